"""Who is not for a cluster any more is noted in the moment in which the new fleet comes into force, and not forgotten before its time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fakeredis
import orjson
import pytest

from shared.documents import Cluster, Fleet, GitRepository, Sync
from shared.state import approvals, due, intents, keys, leaving, receipts
from shared.state import fleet as fleets
from shared.state.approvals import Approval
from shared.state.receipts import ObjectReceipt, SyncReceipt, pack
from shared.state.store import Store

SOURCE = GitRepository.model_validate({"metadata": {"name": "platform"}, "spec": {"url": "https://h/a.git"}})


@pytest.fixture
def store() -> Iterator[Store]:
    client = fakeredis.FakeRedis()
    found = Store(client)
    found.pin(keys=[keys.REVISIONS], args=["platform", "c0ffee"])
    yield found
    client.close()


def cluster(name: str, env: str = "prod", **spec: Any) -> Cluster:
    body = {"metadata": {"name": name, "labels": {"env": env}}, "spec": {"kubeconfig": {"env": "K"}, **spec}}
    return Cluster.model_validate(body)


def sync(name: str, env: str | None = None, **spec: Any) -> Sync:
    selector = {"matchLabels": {"env": env}} if env else {}
    body = {
        "metadata": {"name": name},
        "spec": {"sourceRef": {"name": "platform"}, "clusterSelector": selector, **spec},
    }
    return Sync.model_validate(body)


def publish(store: Store, *documents: Cluster | Sync) -> fleets.Published:
    return fleets.publish(store, Fleet.of([SOURCE, *documents]), "ada")


def noted(store: Store, *clusters: str) -> dict[str, list[str]]:
    return {name: list(syncs) for name, syncs in leaving.of_clusters(store, clusters).items() if syncs}


def quiet(store: Store) -> None:
    """Everything that is due now has run."""
    for item in due.claim(store, "beat", "quiet", lease=5, queued=60).dispatches:
        if not item.is_source:
            run = intents.start(store, item.name, item.intent, item.queue, "r", "w", 30)
            assert isinstance(run, intents.Run)
            intents.finish(store, run, next_in=3600)


def reasons(store: Store) -> dict[str, str]:
    """Why each cluster is due before its interval."""
    rows: Any = store.redis.hgetall(keys.REASONS)
    due_now: Any = store.redis.zrangebyscore(keys.DUE, "-inf", store.time())
    return {name.decode(): orjson.loads(body)["reason"] for name, body in rows.items() if b"sync/" + name in due_now}


def test_a_removed_sync_is_noted_on_every_cluster_it_was_for_with_its_last_document(store: Store) -> None:
    last = sync("web", "prod", prune=False, serviceAccountName="deployer", targetNamespace="web-${CLUSTER_NAME}")
    publish(store, cluster("a"), cluster("b"), cluster("t", "test"), sync("infra"), last)
    published = publish(store, cluster("a"), cluster("b"), cluster("t", "test"), sync("infra"))
    assert noted(store, "a", "b", "t") == {"a": ["web"], "b": ["web"]}
    assert leaving.of_cluster(store, "a") == {"web": last}
    assert published.left == (("a", "web"), ("b", "web"))


def test_a_sync_that_no_longer_selects_a_cluster_is_noted_there_alone(store: Store) -> None:
    publish(store, cluster("a"), cluster("t", "test"), sync("web"))
    publish(store, cluster("a"), cluster("t", "test"), sync("web", "prod"))
    assert noted(store, "a", "t") == {"t": ["web"]}


def test_a_cluster_whose_labels_changed_notes_whom_it_lost(store: Store) -> None:
    publish(store, cluster("a"), sync("web", "prod"))
    publish(store, cluster("a", "test"), sync("web", "prod"))
    assert noted(store, "a") == {"a": ["web"]}


@pytest.mark.parametrize("suspended", ["sync", "cluster"])
def test_what_is_removed_while_it_is_suspended_is_noted_as_well(store: Store, suspended: str) -> None:
    first = cluster("a", suspend=suspended == "cluster")
    publish(store, first, sync("web", suspend=suspended == "sync"))
    publish(store, first)
    assert noted(store, "a") == {"a": ["web"]}


def test_a_note_outlives_further_fleets_until_the_sync_is_back_on_the_cluster(store: Store) -> None:
    publish(store, cluster("a"), cluster("t", "test"), sync("web"))
    publish(store, cluster("a"), cluster("t", "test"))
    publish(store, cluster("a"), cluster("t", "test"), sync("infra"))
    assert noted(store, "a", "t") == {"a": ["web"], "t": ["web"]}
    publish(store, cluster("a"), cluster("t", "test"), sync("infra"), sync("web", "prod"))
    assert noted(store, "a", "t") == {"t": ["web"]}


def test_a_removed_cluster_leaves_no_note_no_approval_and_no_receipt(store: Store) -> None:
    publish(store, cluster("a"), cluster("b"), sync("web"))
    publish(store, cluster("a"), cluster("b"))
    for name in ("a", "b"):
        approvals.grant(store, Approval("web", name, "d", "ada", 1.0))
        store.redis.hset(keys.receipts(name), "web", SyncReceipt("web", "r", "c", "d", "applied").to_json())
    published = publish(store, cluster("b"))
    assert noted(store, "a", "b") == {"b": ["web"]}
    assert published.removed == ("a",)
    assert published.left == ()
    assert (approvals.of_cluster(store, "a"), list(approvals.of_cluster(store, "b"))) == ({}, ["web"])
    assert (receipts.of_cluster(store, "a"), list(receipts.of_cluster(store, "b"))) == ({}, ["web"])


def test_a_cluster_that_lost_a_sync_is_due_at_once_because_of_the_fleet_and_the_others_are_not(store: Store) -> None:
    publish(store, cluster("a"), cluster("t", "test"), sync("web", "prod"), sync("infra"))
    quiet(store)
    assert reasons(store) == {}
    publish(store, cluster("a"), cluster("t", "test"), sync("infra"))
    assert reasons(store) == {"a": "fleet"}


def test_a_cluster_that_lost_a_sync_does_not_wait_for_a_source_that_was_never_reached(store: Store) -> None:
    publish(store, cluster("a"), sync("web"))
    quiet(store)
    away = GitRepository.model_validate({"metadata": {"name": "away"}, "spec": {"url": "https://h/b.git"}})
    waits = sync("infra", sourceRef={"name": "away"})
    fleets.publish(store, Fleet.of([SOURCE, away, cluster("a"), waits]), "ada")
    assert reasons(store) == {"a": "fleet"}


def test_a_suspended_cluster_that_lost_a_sync_is_not_due(store: Store) -> None:
    publish(store, cluster("a", suspend=True), sync("web"))
    publish(store, cluster("a", suspend=True))
    assert reasons(store) == {}


def test_forgetting_takes_the_receipts_along_and_nothing_of_other_syncs(store: Store) -> None:
    publish(store, cluster("a"), sync("web"), sync("infra"))
    publish(store, cluster("a"))
    for name in ("web", "infra"):
        store.redis.hset(keys.receipts("a"), name, SyncReceipt(name, "r", "c", "d", "applied").to_json())
        store.redis.hset(keys.objects("a"), name, pack({"k": ObjectReceipt("u", "d", "f")}))
    leaving.forget(store, "a", "web")
    leaving.forget(store, "a", "web")
    assert noted(store, "a") == {"a": ["infra"]}
    assert list(receipts.of_cluster(store, "a")) == list(receipts.objects_of(store, "a")) == ["infra"]


def test_a_fleet_that_came_into_force_meanwhile_is_the_one_compared_with(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, cluster("a"), sync("web"))
    real, others = leaving.between, [Fleet.of([SOURCE, cluster("a"), sync("web"), sync("late")])]

    def between(before: Fleet | None, after: Fleet) -> dict[str, dict[str, Sync]]:
        while others:
            fleets.publish(store, others.pop(), "grace")
        return real(before, after)

    monkeypatch.setattr(leaving, "between", between)
    publish(store, cluster("a"), sync("infra"))
    assert noted(store, "a") == {"a": ["late", "web"]}
    assert list(fleets.current(store).syncs) == ["infra"]


def test_a_fleet_in_force_never_expires_and_the_one_before_does(store: Store) -> None:
    first, second = Fleet.of([SOURCE, cluster("a")]), Fleet.of([SOURCE, cluster("b")])
    fleets.publish(store, first, "ada")
    assert store.redis.ttl(keys.snapshot(first.digest)) == -1
    fleets.publish(store, second, "ada")
    assert store.redis.ttl(keys.snapshot(second.digest)) == -1
    assert 0 < store.redis.ttl(keys.snapshot(first.digest)) <= fleets.SNAPSHOT_SECONDS
    fleets.publish(store, first, "ada")
    assert store.redis.ttl(keys.snapshot(first.digest)) == -1
    store.redis.expire(keys.snapshot(first.digest), 60)
    fleets.publish(store, first, "ada")
    assert store.redis.ttl(keys.snapshot(first.digest)) == -1
