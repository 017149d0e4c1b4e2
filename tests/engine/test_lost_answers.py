"""A write whose answer got lost is on the trail once, and one that never arrived is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from fleetbeat.simulator import Knobs, Simulator
from shared.audit.events import Event
from tests.support.api import Api
from tests.support.lab import Lab, config_map, document
from workers.clusters.loop import LoopThread

SYNC = document("app")
Fault = Callable[[Knobs], None]


@pytest.fixture
def faulty(loop: LoopThread) -> Iterator[tuple[Lab, Knobs]]:
    """A cluster of its own with ConfigMaps `a` and `b` applied, and its knobs."""
    with Simulator() as running:
        knobs = running.add("faulty")
        lab = Lab(Api.of_simulated(running, "faulty"), "fleetbeat-system", loop)
        lab.run(lab.job(SYNC, config_map("a", "default", {"k": "1"}), config_map("b", "default")))
        yield lab, knobs
        loop.run(lab.client.close(), 5)


def changes(lab: Lab, since: int) -> list[Event]:
    return [event for event in lab.events[since:] if event.object is not None]


def at_the_write(lab: Lab, knobs: Knobs, turn: Fault) -> None:
    """Turn a knob when the gate lets the first batch through: the next request is the write."""

    def once() -> None:
        lab.gate = lambda: None
        turn(knobs)

    lab.gate = once


def lose(knobs: Knobs) -> None:
    knobs.lose_answer_at = 1


def fail(knobs: Knobs) -> None:
    knobs.fail_at = 1


@pytest.mark.parametrize(("fault", "recovered"), [(lose, True), (fail, False)], ids=["answer lost", "never arrived"])
def test_a_changed_object_is_recorded_once(faulty: tuple[Lab, Knobs], fault: Fault, *, recovered: bool) -> None:
    lab, knobs = faulty
    job = lab.job(SYNC, config_map("a", "default", {"k": "2"}), config_map("b", "default"))
    before = len(lab.events)
    at_the_write(lab, knobs, fault)
    assert lab.run(job)["app"].errors
    assert changes(lab, before) == []
    lab.run(job)
    lab.run(job)
    (event,) = changes(lab, before)
    assert (event.type, event.object and event.object.name, event.recovered) == ("object.configured", "a", recovered)
    assert lab.api.get("/api/v1/namespaces/default/configmaps/a")["data"] == {"k": "2"}


@pytest.mark.parametrize("fault", [lose, fail], ids=["answer lost", "never arrived"])
def test_a_deleted_object_is_recorded_once(faulty: tuple[Lab, Knobs], fault: Fault) -> None:
    lab, knobs = faulty
    job = lab.job(SYNC, config_map("a", "default", {"k": "1"}))
    before = len(lab.events)
    at_the_write(lab, knobs, fault)
    lab.run(job)
    lab.run(job)
    lab.run(job)
    (event,) = changes(lab, before)
    assert (event.type, event.object and event.object.name) == ("object.deleted", "b")
