"""The promises of the due set, intents, leases and holds, on fakeredis with its Lua."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fakeredis
import orjson
import pytest
import yaml

from shared.audit import stream
from shared.documents import Fleet, load
from shared.errors import LostLeaseError
from shared.state import due, holds, intents, keys
from shared.state import fleet as fleets
from shared.state.due import Claim
from shared.state.holds import Hold
from shared.state.intents import HeldError, Refused, Run
from shared.state.store import Store
from tests.support.fleet import cluster, source, sync

LEASE, QUEUED = 30.0, 60.0


@pytest.fixture
def store() -> Iterator[Store]:
    client = fakeredis.FakeRedis()
    found = Store(client)
    yield found
    client.close()


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    documents = [source("platform", "https://example.org/platform"), sync("app", "platform", "./app", interval="1h")]
    for name in ("a", "b"):
        (tmp_path / f"{name}.kubeconfig").write_text("{}")
        documents.append(cluster(name, tmp_path / f"{name}.kubeconfig", queue="eu" if name == "b" else "default"))
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump_all(documents))
    return load(tmp_path)


def claim(store: Store, stem: str = "t", owner: str = "beat-1", lease: float = 5.0, queued: float = QUEUED) -> Claim:
    return due.claim(store, owner, stem, lease=lease, queued=queued)


def started(store: Store, stem: str = "t", name: str = "a", run: str = "run-1", lease: float = LEASE) -> Run:
    found = next(item for item in claim(store, stem).dispatches if item.name == name)
    got = intents.start(store, name, found.intent, found.queue, run, "w1", lease)
    assert isinstance(got, Run)
    return got


def published(store: Store, fleet: Fleet) -> None:
    fleets.publish(store, fleet, "ada")
    due.mark(store, ["sync/a", "sync/b"], "fleet", "ada")


def until(true: Callable[[], bool]) -> None:
    pause, deadline = threading.Event(), time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def taken_over(store: Store) -> Run:
    """The run of another worker that takes over cluster `a` once its lease has run out."""
    taken: list[Run] = []

    def over() -> bool:
        for item in claim(store, f"again-{time.monotonic()}", queued=0.05).dispatches:
            if item.name == "a":
                answer = intents.start(store, "a", item.intent, item.queue, "run-2", "w2", LEASE)
                taken.extend([answer] if isinstance(answer, Run) else [])
        return bool(taken)

    until(over)
    return taken[0]


def test_of_a_published_fleet_the_sources_are_due_first(store: Store, fleet: Fleet) -> None:
    fleets.publish(store, fleet, "ada")
    assert [item.member for item in claim(store).dispatches] == ["source/platform"]


def test_what_is_due_goes_to_the_queue_it_names(store: Store, fleet: Fleet) -> None:
    published(store, fleet)
    found = {(item.member, item.queue, bool(item.intent)) for item in claim(store).dispatches}
    assert found == {("source/platform", "sources", False), ("sync/a", "default", True), ("sync/b", "eu", True)}


def test_what_was_claimed_is_not_claimed_again_until_its_message_counts_as_lost(store: Store, fleet: Fleet) -> None:
    published(store, fleet)
    first = claim(store, "one", queued=0.05).dispatches
    assert len(first) == 3
    assert claim(store, "two").dispatches == ()
    again: list[str] = []

    def sent_again() -> bool:
        again.extend(item.member for item in claim(store, "three", queued=0.05).dispatches)
        return {"sync/a", "sync/b"} <= set(again)

    until(sent_again)


def test_only_one_beat_leads_until_it_lets_go(store: Store, fleet: Fleet) -> None:
    published(store, fleet)
    assert claim(store, owner="beat-1").leader
    other = claim(store, owner="beat-2")
    assert (other.leader, other.dispatches) == (False, ())
    due.release(store, "beat-2")
    assert not claim(store, owner="beat-2").leader
    due.release(store, "beat-1")
    assert claim(store, owner="beat-2").leader


def test_marks_coalesce_into_one_intent_and_the_strongest_reason_is_kept(store: Store, fleet: Fleet) -> None:
    published(store, fleet)
    intents.finish(store, started(store), next_in=3600)
    due.mark(store, ["sync/a"], "drift", "beat")
    due.mark(store, ["sync/a"], "manual", "grace")
    for _ in range(3):
        due.mark(store, ["sync/a"], "interval", "beat")
    run = started(store, "again", run="run-2")
    assert (run.reason, run.actor) == ("manual", "grace")
    assert claim(store, "more").dispatches == ()


def test_the_second_message_of_one_intent_is_surplus(store: Store, fleet: Fleet) -> None:
    published(store, fleet)
    found = next(item for item in claim(store).dispatches if item.name == "a")
    assert isinstance(intents.start(store, "a", found.intent, "default", "run-1", "w1", LEASE), Run)
    second = intents.start(store, "a", found.intent, "default", "run-2", "w2", LEASE)
    assert isinstance(second, Refused)
    assert second.why in {"surplus", "running"}


def test_a_running_sync_is_not_started_twice_and_what_came_meanwhile_runs_after_it(store: Store, fleet: Fleet) -> None:
    published(store, fleet)
    run = started(store)
    due.mark(store, ["sync/a"], "commit", "beat")
    for item in claim(store, "two").dispatches:
        answer = intents.start(store, item.name, item.intent, item.queue, "run-2", "w2", LEASE)
        assert isinstance(answer, Refused)
    assert intents.finish(store, run, next_in=3600)
    assert started(store, "three", run="run-3").reason == "commit"


def test_a_dead_workers_lease_is_taken_over_and_the_old_run_can_do_nothing_more(store: Store, fleet: Fleet) -> None:
    published(store, fleet)
    old = started(store, lease=0.05)
    store.redis.rpush(keys.journal("a"), b"{}")
    successor = taken_over(store)
    with pytest.raises(LostLeaseError):
        intents.gate(store, old, LEASE)
    with pytest.raises(LostLeaseError):
        intents.gate(store, old, LEASE, [b'{"late": 1}'])
    assert not intents.finish(store, old, events=[("1", b"{}")], receipts={"app": b"{}"})
    assert list(stream.read(store)) == []
    assert intents.journalled(store, "a") == [b"{}"]
    assert intents.gate(store, successor, LEASE) > 0


def test_finish_is_one_step_events_receipts_journal_and_lease(store: Store, fleet: Fleet) -> None:
    published(store, fleet)
    run = started(store)
    intents.gate(store, run, LEASE, [b"{}"])
    event = orjson.dumps({"id": "1", "type": "sync.applied"})
    assert intents.finish(store, run, events=[("1", event)], receipts={"app": b"{}"}, next_in=60)
    assert [row["id"] for row in stream.read(store)] == ["1"]
    assert store.redis.hget(keys.receipts("a"), "app") == b"{}"
    assert intents.journalled(store, "a") == []
    assert intents.running(store) == {}
    assert not intents.finish(store, run, events=[("2", event)])


@pytest.mark.parametrize("scope", ["fleet", "queue/default", "cluster/a"])
def test_a_held_cluster_is_neither_sent_nor_started_nor_written(store: Store, fleet: Fleet, scope: str) -> None:
    published(store, fleet)
    run = started(store)
    assert holds.put(store, Hold(scope, "INC-1", "grace", store.time()))
    assert not holds.put(store, Hold(scope, "another", "ada", store.time()))
    with pytest.raises(HeldError, match="INC-1"):
        intents.gate(store, run, LEASE, [b"{}"])
    assert intents.journalled(store, "a") == []
    intents.finish(store, run)
    due.mark(store, ["sync/a"], "commit", "beat")
    sent = [item for item in claim(store, "held").dispatches if item.name == "a"]
    answers = [intents.start(store, "a", item.intent, item.queue, "run-2", "w", LEASE) for item in sent]
    assert all(isinstance(answer, Refused) and answer.why == "held" for answer in answers)
    released = holds.release(store, scope)
    assert released is not None
    assert released.reason == "INC-1"
    due.mark(store, ["sync/a"], "manual", "grace")
    assert started(store, "after", run="run-3").id == "run-3"


def test_a_write_whose_outcome_nobody_knows_stays_in_the_journal_and_an_empty_value_removes_a_receipt(
    store: Store, fleet: Fleet
) -> None:
    published(store, fleet)
    run = started(store)
    intents.gate(store, run, LEASE, [b'{"a": 1}', b'{"b": 1}'])
    assert intents.finish(store, run, receipts={"app": b"{}"}, objects={"app": b"x"}, unsettled=[b'{"b": 1}'])
    assert intents.journalled(store, "a") == [b'{"b": 1}']
    due.mark(store, ["sync/a"], "manual", "ada")
    again = started(store, "two", run="run-2")
    assert intents.finish(store, again, receipts={"app": b""}, objects={"app": b""})
    assert not store.redis.exists(keys.receipts("a"), keys.objects("a"))


def test_who_takes_over_a_dead_run_runs_for_the_same_reason(store: Store, fleet: Fleet) -> None:
    published(store, fleet)
    due.mark(store, ["sync/a"], "commit", "ada")
    assert started(store, lease=0.05).reason == "commit"
    successor = taken_over(store)
    assert successor.reason == "commit"


def test_a_due_set_that_lost_an_entry_heals(store: Store, fleet: Fleet) -> None:
    fleets.publish(store, fleet, "ada")
    store.redis.zrem(keys.DUE, "sync/a", "source/platform")
    assert due.reconcile(store) == 2
    assert {item.member for item in claim(store).dispatches} >= {"sync/a", "source/platform"}


def test_publishing_the_same_fleet_again_changes_nothing(store: Store, fleet: Fleet) -> None:
    published(store, fleet)
    claim(store)
    again = fleets.publish(store, fleet, "ada")
    assert not again.changed
    assert claim(store, "two").dispatches == ()


@pytest.mark.parametrize("name", ["a", "prod-eu-1", "x" * 60])
def test_the_jitter_of_a_cluster_is_always_the_same_and_at_most_a_tenth(name: str) -> None:
    assert due.jittered(name, 100.0) == due.jittered(name, 100.0)
    assert 100.0 <= due.jittered(name, 100.0) <= 110.0
