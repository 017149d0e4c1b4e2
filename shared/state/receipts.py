"""Receipts: how each Sync's last run on each cluster ended, and what each object looked like after it was written."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast

import orjson

from shared.state import keys
from shared.state.store import Store, text

State = Literal["pending", "running", "applied", "failed", "held", "waiting", "unreachable"]
Health = Literal["healthy", "progressing", "degraded", "suspended", "unknown"]


@dataclass(frozen=True, slots=True)
class SyncReceipt:
    """The last run of one Sync on one cluster. Times are seconds since the epoch; `health_until` is when waiting ends.

    Args:
        warnings: What the API server warned of, each text once.
        deletions: `Kind/namespace/name` of objects whose deletion waits for an approval.
        deletions_digest: Names exactly these deletions; an approval repeats it.
        contested: `Kind/namespace/name` of objects that somebody else changes back each time.
        leaving: The Sync is not in the fleet for this cluster any more.
    """

    sync: str
    run: str
    commit: str
    render: str
    state: State
    health: Health = "unknown"
    objects: int = 0
    created: int = 0
    configured: int = 0
    unchanged: int = 0
    deleted: int = 0
    drifted: int = 0
    applied_at: float | None = None
    healthy_at: float | None = None
    requests: int = 0
    error: str | None = None
    finished_at: float = 0.0
    not_ready: tuple[str, ...] = ()
    health_until: float = 0.0
    health_delay: float = 0.0
    warnings: tuple[str, ...] = ()
    deletions: tuple[str, ...] = ()
    deletions_digest: str = ""
    contested: tuple[str, ...] = ()
    leaving: bool = False

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, body: bytes) -> SyncReceipt:
        """Read what `to_json` of this version, an older or a newer one made: what it does not know is passed over."""
        read: dict[str, Any] = orjson.loads(body)
        known: dict[str, Any] = {}
        for item in fields(cls):
            if item.name in read:
                value = read[item.name]
                known[item.name] = tuple(value) if isinstance(value, list) else value
        return cls(**known)


@dataclass(frozen=True, slots=True)
class ObjectReceipt:
    """One object as the write's own answer showed it. Times are seconds since the epoch, in Redis time.

    Args:
        uid: Of the object that was written.
        desired: Digest of what was desired.
        fingerprint: Of what it became.
        drift: What was reported and not corrected.
        corrections: When it was corrected, the last times.
        contested: Since when its correction is suspended; 0 when it is not.
    """

    uid: str
    desired: str
    fingerprint: str
    drift: str = ""
    corrections: tuple[float, ...] = ()
    contested: float = 0.0


@dataclass(frozen=True, slots=True)
class ClusterMark:
    """What a cluster showed of itself: a lower `version` than before is a restored etcd, another `uid` another cluster.

    Args:
        version: The highest resourceVersion that a list showed.
        uid: Of the namespace kube-system.
        compared: Redis time up to which every object whose daily turn had come was compared in full.
    """

    version: int
    uid: str
    compared: float = 0.0

    def to_bytes(self) -> bytes:
        """As it is stored beside the object receipts, in the field `MARK`."""
        return orjson.dumps([self.version, self.uid, self.compared])


MARK = ".cluster"
"""Field of the mark; no Sync has a name with a dot."""
Objects = Mapping[str, ObjectReceipt]
"""By `group/Kind/namespace/name`."""


def of_cluster(store: Store, cluster: str) -> dict[str, SyncReceipt]:
    """Every Sync's receipt of one cluster, by name."""
    return read_syncs(cast("dict[bytes, bytes]", store.redis.hgetall(keys.receipts(cluster))))


def read_syncs(rows: Mapping[bytes, bytes]) -> dict[str, SyncReceipt]:
    """From the hash as it is stored."""
    return {text(name): SyncReceipt.from_json(body) for name, body in rows.items()}


def of_clusters(store: Store, clusters: Iterable[str]) -> dict[str, dict[str, SyncReceipt]]:
    """The receipts of many clusters in one round trip."""
    names = list(clusters)
    pipe = store.redis.pipeline(transaction=False)
    for name in names:
        pipe.hgetall(keys.receipts(name))
    rows = pipe.execute()
    return {name: read_syncs(row) for name, row in zip(names, rows, strict=True)}


def objects_of(store: Store, cluster: str) -> dict[str, dict[str, ObjectReceipt]]:
    """The object receipts of one cluster, by Sync."""
    return read_objects(cast("dict[bytes, bytes]", store.redis.hgetall(keys.objects(cluster))))


def read_objects(rows: Mapping[bytes, bytes]) -> dict[str, dict[str, ObjectReceipt]]:
    """From the hash as it is stored."""
    return {text(sync): unpack(body) for sync, body in rows.items() if text(sync) != MARK}


def mark_of(store: Store, cluster: str) -> ClusterMark | None:
    """The mark of one cluster, or None when nothing is known of it."""
    return read_mark(cast("bytes | None", store.redis.hget(keys.objects(cluster), MARK)))


def read_mark(body: bytes | None) -> ClusterMark | None:
    """What `ClusterMark.to_bytes` made."""
    if body is None:
        return None
    return ClusterMark(*orjson.loads(body)[:3])


def pack(objects: Objects) -> bytes:
    """Compressed JSON, about 60 bytes an object."""
    return zlib.compress(orjson.dumps({key: _row(receipt) for key, receipt in objects.items()}), 1)


def unpack(body: bytes) -> dict[str, ObjectReceipt]:
    """What `pack` made, also that of an older or newer version."""
    rows: dict[str, list[Any]] = orjson.loads(zlib.decompress(body))
    return {key: _receipt(*row[:6]) for key, row in rows.items()}


def _row(receipt: ObjectReceipt) -> list[Any]:
    """In the order of the fields, without defaults at the end: most objects have none but the first three."""
    row: list[Any] = [receipt.uid, receipt.desired, receipt.fingerprint]
    if receipt.drift or receipt.corrections or receipt.contested:
        row.append(receipt.drift)
    if receipt.corrections or receipt.contested:
        row.append(receipt.corrections)
    if receipt.contested:
        row.append(receipt.contested)
    return row


def _receipt(
    uid: str, desired: str, fingerprint: str, drift: str = "", corrections: Sequence[float] = (), contested: float = 0.0
) -> ObjectReceipt:
    return ObjectReceipt(uid, desired, fingerprint, drift, tuple(corrections), contested)
