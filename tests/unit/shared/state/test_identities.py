"""One Kubernetes cluster is one Cluster of the fleet."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest

from shared.state.identities import claim
from shared.state.store import Store

FLEET = {"a", "b", "c"}
NS = "fleetbeat-system"


@pytest.fixture
def store() -> Iterator[Store]:
    client = fakeredis.FakeRedis()
    yield Store(client)
    client.close()


def test_the_first_gets_it_and_keeps_it_and_the_second_is_told_who_has_it(store: Store) -> None:
    assert claim(store, "uid-1", NS, "a", FLEET) is None
    assert claim(store, "uid-1", NS, "b", FLEET) == "a"
    assert claim(store, "uid-1", NS, "a", FLEET) is None


def test_another_cluster_or_another_system_namespace_is_another_identity(store: Store) -> None:
    assert claim(store, "uid-1", NS, "a", FLEET) is None
    assert claim(store, "uid-2", NS, "b", FLEET) is None
    assert claim(store, "uid-1", "fleetbeat-two", "c", FLEET) is None


def test_an_owner_that_left_the_fleet_is_replaced(store: Store) -> None:
    assert claim(store, "uid-1", NS, "gone", {"gone"}) is None
    assert claim(store, "uid-1", NS, "a", FLEET) is None
    assert claim(store, "uid-1", NS, "b", FLEET) == "a"


def test_a_cluster_that_was_built_anew_does_not_keep_its_old_identity(store: Store) -> None:
    assert claim(store, "uid-1", NS, "a", FLEET) is None
    assert claim(store, "uid-2", NS, "a", FLEET) is None
    assert claim(store, "uid-1", NS, "b", FLEET) is None


def test_two_clusters_whose_kubeconfigs_were_exchanged_get_along_by_themselves(store: Store) -> None:
    assert claim(store, "uid-1", NS, "a", FLEET) is None
    assert claim(store, "uid-2", NS, "b", FLEET) is None
    assert claim(store, "uid-2", NS, "a", FLEET) == "b"
    assert claim(store, "uid-1", NS, "b", FLEET) is None
    assert claim(store, "uid-2", NS, "a", FLEET) is None
