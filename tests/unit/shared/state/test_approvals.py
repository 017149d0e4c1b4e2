"""An approval is for one Sync on one cluster, and gone when it was used or its cluster left."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest

from shared.state import approvals
from shared.state.approvals import Approval
from shared.state.store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    client = fakeredis.FakeRedis()
    yield Store(client)
    client.close()


def test_what_was_granted_is_found_at_its_cluster_and_nowhere_else(store: Store) -> None:
    web, infra = Approval("web", "eu-1", "d1", "ada", 1.5), Approval("infra", "eu-1", "d2", "ada", 2.5)
    other = Approval("web", "eu-10", "d3", "grace", 3.5)
    for approval in (web, infra, other):
        approvals.grant(store, approval)
    assert approvals.of_cluster(store, "eu-1") == {"web": web, "infra": infra}
    assert approvals.of_cluster(store, "eu-10") == {"web": other}
    assert approvals.of_cluster(store, "eu") == {}


def test_a_second_approval_of_the_same_sync_and_cluster_replaces_the_first(store: Store) -> None:
    approvals.grant(store, Approval("web", "eu-1", "old", "ada", 1.0))
    approvals.grant(store, Approval("web", "eu-1", "new", "grace", 2.0))
    assert approvals.of_cluster(store, "eu-1")["web"].digest == "new"


def test_a_used_approval_is_gone_and_the_others_stay(store: Store) -> None:
    for sync in ("web", "infra"):
        approvals.grant(store, Approval(sync, "eu-1", "d", "ada", 1.0))
    approvals.forget(store, "eu-1", "web")
    approvals.forget(store, "eu-1", "web")
    assert list(approvals.of_cluster(store, "eu-1")) == ["infra"]
