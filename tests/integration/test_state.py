"""What several processes do to the state at once, on a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import redis

from shared.documents import Cluster, Fleet, GitRepository, Sync
from shared.state import fleet as fleets
from shared.state import leaving
from shared.state.identities import claim
from shared.state.store import Store

SOURCE = GitRepository.model_validate({"metadata": {"name": "platform"}, "spec": {"url": "https://h/a.git"}})
CLUSTER = Cluster.model_validate({"metadata": {"name": "a"}, "spec": {"kubeconfig": {"env": "K"}}})
MANY = 8


@pytest.fixture
def stores(running: Store) -> Iterator[list[Store]]:
    """Connections of their own, as processes have them."""
    path = running.redis.connection_pool.connection_kwargs["path"]
    found = [Store(redis.Redis(unix_socket_path=path)) for _ in range(MANY)]
    yield found
    for store in found:
        store.close()


def at_once(stores: list[Store], work: Callable[[Store, int], Any]) -> list[Any]:
    start = Barrier(len(stores))

    def one(number: int) -> Any:
        stores[number].redis.ping()
        start.wait(10)
        return work(stores[number], number)

    with ThreadPoolExecutor(len(stores)) as pool:
        return list(pool.map(one, range(len(stores)), timeout=30))


def test_of_many_that_claim_one_identity_at_once_exactly_one_gets_it(stores: list[Store]) -> None:
    known = {f"c{number}" for number in range(MANY)}
    for attempt in range(20):

        def take(store: Store, number: int, uid: str = f"uid-{attempt}") -> str | None:
            return claim(store, uid, "ns", f"c{number}", known)

        answers = at_once(stores, take)
        winners = [f"c{number}" for number, answer in enumerate(answers) if answer is None]
        assert len(winners) == 1
        assert {answer for answer in answers if answer} == set(winners)


def test_fleets_that_are_published_at_once_lose_no_sync_that_left(stores: list[Store]) -> None:
    syncs = [
        Sync.model_validate({"metadata": {"name": f"s{number}"}, "spec": {"sourceRef": {"name": "platform"}}})
        for number in range(MANY)
    ]
    every = {sync.name for sync in syncs}
    for _ in range(5):
        fleets.publish(stores[0], Fleet.of([SOURCE, CLUSTER, *syncs]), "ada")
        at_once(stores, lambda store, number: fleets.publish(store, Fleet.of([SOURCE, CLUSTER, syncs[number]]), "ada"))
        stays = {sync.name for sync in fleets.current(stores[0]).syncs_of("a")}
        assert len(stays) == 1
        assert set(leaving.of_cluster(stores[0], "a")) == every - stays
