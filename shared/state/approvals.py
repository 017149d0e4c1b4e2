"""Approvals: a person agreed to exactly the deletions that wait for one Sync on one cluster.

The command line grants them, the sync that deletes forgets them. An approval whose digest is not that of what waits now is worth
nothing, so an old one never covers a new list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import cast

import orjson

from shared.state import keys
from shared.state.store import Store, text


@dataclass(frozen=True, slots=True)
class Approval:
    """`digest` is the receipt's `deletions_digest`; `at` is seconds since the epoch in Redis time."""

    sync: str
    cluster: str
    digest: str
    actor: str
    at: float

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, body: bytes) -> Approval:
        return cls(**orjson.loads(body))


def grant(store: Store, approval: Approval) -> None:
    """Put an approval in force; one that was there before for the same Sync and cluster is replaced."""
    store.redis.hset(keys.APPROVALS, field(approval.cluster, approval.sync), approval.to_json())


def every(store: Store) -> dict[str, dict[str, Approval]]:
    """All approvals in force, by cluster and Sync."""
    found: dict[str, dict[str, Approval]] = {}
    for body in cast("list[bytes]", store.redis.hvals(keys.APPROVALS)):
        approval = Approval.from_json(body)
        found.setdefault(approval.cluster, {})[approval.sync] = approval
    return found


def of_cluster(store: Store, cluster: str) -> dict[str, Approval]:
    """The approvals of one cluster, by Sync. Reads all there are: they are few, and each lives until the next sync."""
    return every(store).get(cluster, {})


def forget(store: Store, cluster: str, sync: str) -> None:
    """Drop an approval, used or void. Idempotent."""
    store.redis.hdel(keys.APPROVALS, field(cluster, sync))


def fields_of(store: Store, clusters: Iterable[str]) -> list[str]:
    """Names in the hash of all approvals of these clusters, for whoever removes them."""
    wanted = set(clusters)
    names = [text(name) for name in cast("list[bytes]", store.redis.hkeys(keys.APPROVALS))] if wanted else []
    return [name for name in names if name.partition("@")[2] in wanted]


def field(cluster: str, sync: str) -> str:
    """`SYNC@CLUSTER`, as people write it."""
    return f"{sync}@{cluster}"
