"""All that Redis knows of one cluster when a run of it starts, in one round trip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.documents.sync import Sync
from shared.state import approvals, keys, leaving, receipts
from shared.state.receipts import ClusterMark, ObjectReceipt, SyncReceipt
from shared.state.store import Store


@dataclass(frozen=True, slots=True)
class Known:
    """Of one cluster.

    Args:
        receipts: Sync → how its last run ended.
        objects: Sync → object receipts by `group/Kind/namespace/name`.
        mark: Where the cluster's store stood.
        leaving: Syncs that left, and their last documents.
        approved: Sync → digest of the deletions that somebody approved.
        unreachable: The last run could not reach it.
        journal: Writes of earlier runs whose outcome nobody knows.
        now: Redis time, seconds since the epoch.
        memory_used: Bytes that Redis uses.
        memory_limit: Bytes that it may use; 0 for no limit.
    """

    receipts: Mapping[str, SyncReceipt]
    objects: Mapping[str, Mapping[str, ObjectReceipt]]
    mark: ClusterMark | None
    leaving: Mapping[str, Sync]
    approved: Mapping[str, str]
    unreachable: bool
    journal: list[bytes]
    now: float
    memory_used: int
    memory_limit: int


def of_cluster(store: Store, cluster: str) -> Known:
    """Read it."""
    pipe = store.redis.pipeline(transaction=False)
    pipe.hgetall(keys.receipts(cluster))
    pipe.hgetall(keys.objects(cluster))
    pipe.hgetall(keys.leaving(cluster))
    pipe.hvals(keys.APPROVALS)
    pipe.exists(keys.reachability(cluster))
    pipe.lrange(keys.journal(cluster), 0, -1)
    pipe.time()
    pipe.info("memory")
    rows = pipe.execute()
    seconds, micros = rows[6]
    granted = [approvals.Approval.from_json(body) for body in rows[3]]
    return Known(
        receipts=receipts.read_syncs(rows[0]),
        objects=receipts.read_objects(rows[1]),
        mark=receipts.read_mark(rows[1].get(receipts.MARK.encode())),
        leaving=leaving.read(rows[2]),
        approved={approval.sync: approval.digest for approval in granted if approval.cluster == cluster},
        unreachable=bool(rows[4]),
        journal=rows[5],
        now=seconds + micros / 1e6,
        memory_used=int(rows[7].get("used_memory") or 0),
        memory_limit=int(rows[7].get("maxmemory") or 0),
    )
