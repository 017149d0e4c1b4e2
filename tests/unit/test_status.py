"""When a fleet counts as settled, as good, and as looked at again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest

from fleetbeat import status
from fleetbeat.cli import tables
from shared.documents import Cluster, Fleet, GitRepository, Sync
from shared.state import fleet as fleets
from shared.state import keys, leaving, sources
from shared.state.receipts import SyncReceipt
from shared.state.sources import SourceStatus
from shared.state.store import Store

SOURCE = GitRepository.model_validate({"metadata": {"name": "platform"}, "spec": {"url": "https://h/a.git"}})


@pytest.fixture
def store() -> Iterator[Store]:
    client = fakeredis.FakeRedis()
    found = Store(client)
    sources.put(found, SourceStatus("platform", "main", "c0ffee", 1.0))
    yield found
    client.close()


def fleet(*syncs: str, suspended: str = "") -> Fleet:
    spec = {"kubeconfig": {"env": "K"}, "suspend": suspended == "a"}
    made: list[Any] = [SOURCE, Cluster.model_validate({"metadata": {"name": "a"}, "spec": spec})]
    for name in syncs:
        body = {"sourceRef": {"name": "platform"}, "suspend": suspended == name}
        made.append(Sync.model_validate({"metadata": {"name": name}, "spec": body}))
    return Fleet.of(made)


def receipt(store: Store, sync: str, **fields: Any) -> None:
    fields = {"state": "applied", "health": "healthy", "finished_at": 100.0, **fields}
    store.redis.hset(keys.receipts("a"), sync, SyncReceipt(sync, "r", "c0ffee", "d", **fields).to_json())


def left(store: Store) -> Fleet:
    """`web` has left cluster a, `infra` is still for it and fine."""
    fleets.publish(store, fleet("web", "infra"), "ada")
    receipt(store, "web")
    receipt(store, "infra")
    now = fleet("infra")
    fleets.publish(store, now, "ada")
    return now


def states(report: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["state"] for row in report["clusters"][0]["syncs"]}


@pytest.mark.parametrize("state", ["applied", "waiting"])
def test_deletions_that_wait_for_an_approval_are_settled_and_no_success(store: Store, state: str) -> None:
    now = fleet("web")
    receipt(store, "web", state=state, deletions=("ConfigMap/a/b",), deletions_digest="d")
    report = status.report(store, now)
    assert (status.settled(report), status.succeeded(report)) == (True, False)
    receipt(store, "web")
    report = status.report(store, now)
    assert (status.settled(report), status.succeeded(report)) == (True, True)


def test_a_sync_that_left_is_on_its_way_until_a_run_dealt_with_its_leaving(store: Store) -> None:
    now = left(store)
    report = status.report(store, now)
    assert states(report) == {"infra": "applied", "web": "pending"}
    assert not status.settled(report)
    assert not status.fresh(store, now, ["a"], 50.0)


def test_a_sync_that_could_not_leave_is_settled_and_no_success(store: Store) -> None:
    now = left(store)
    receipt(store, "web", state="failed", error="forbidden", leaving=True)
    report = status.report(store, now)
    assert (states(report)["web"], status.settled(report), status.succeeded(report)) == ("failed", True, False)
    assert status.fresh(store, now, ["a"], 50.0)
    assert not status.fresh(store, now, ["a"], 150.0)


def test_a_sync_that_is_gone_is_neither_shown_nor_waited_for(store: Store) -> None:
    now = left(store)
    leaving.forget(store, "a", "web")
    report = status.report(store, now)
    assert (states(report), status.settled(report), status.succeeded(report)) == ({"infra": "applied"}, True, True)
    assert status.fresh(store, now, ["a"], 50.0)


def test_a_sync_that_is_back_is_not_judged_by_how_far_its_leaving_came(store: Store) -> None:
    left(store)
    receipt(store, "web", state="waiting", deletions=("ConfigMap/a/b",), leaving=True)
    back = fleet("web", "infra")
    fleets.publish(store, back, "ada")
    report = status.report(store, back)
    assert states(report) == {"infra": "applied", "web": "pending"}
    assert all(row["deletions"] == [] and not row["leaving"] for row in report["clusters"][0]["syncs"])
    assert not status.fresh(store, back, ["a"], 50.0)


@pytest.mark.parametrize("suspended", ["web", "a"])
def test_what_is_suspended_is_not_waited_for_though_it_never_ran(store: Store, suspended: str) -> None:
    now = fleet("web", suspended=suspended)
    report = status.report(store, now)
    assert states(report) == {"web": "held"}
    assert (status.settled(report), status.succeeded(report)) == (True, True)
    assert status.fresh(store, now, ["a"], 50.0)


def test_many_contested_objects_are_one_line_that_names_the_first(store: Store) -> None:
    receipt(store, "web", contested=tuple(f"Service/x/s{number}" for number in range(8)))
    (line,) = tables.problems(status.report(store, fleet("web")))
    assert "Service/x/s0, Service/x/s1, Service/x/s2, Service/x/s3, Service/x/s4 and 3 more" in line


def test_a_waiting_sync_says_why_unless_it_waits_for_an_approval(store: Store) -> None:
    receipt(store, "web", state="waiting", error="Sync infra is failed")
    assert tables.problems(status.report(store, fleet("web"))) == ["a/web: Sync infra is failed"]
    receipt(store, "web", state="waiting", error="1 deletion waits", deletions=("Service/x/y",))
    assert tables.problems(status.report(store, fleet("web"))) == [
        "web@a: 1 deletion waits for: fleetbeat approve web@a"
    ]
