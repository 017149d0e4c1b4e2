"""Receipts: how each Sync's last run on each cluster ended, and what each object looked like after it was written."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, cast

import orjson

from shared.state import keys
from shared.state.store import Store, text

State = Literal["pending", "running", "applied", "failed", "held", "waiting", "unreachable"]
Health = Literal["healthy", "progressing", "degraded", "suspended", "unknown"]


@dataclass(frozen=True, slots=True)
class SyncReceipt:
    """The last run of one Sync on one cluster. Times are seconds since the epoch; `health_until` is when waiting ends."""

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

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, body: bytes) -> SyncReceipt:
        values = orjson.loads(body)
        values["not_ready"] = tuple(values["not_ready"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class ObjectReceipt:
    """One object as the write's own answer showed it: its uid, a digest of what was desired, a fingerprint of what it became."""

    uid: str
    desired: str
    fingerprint: str


Objects = Mapping[str, ObjectReceipt]
"""By `group/Kind/namespace/name`."""


def of_cluster(store: Store, cluster: str) -> dict[str, SyncReceipt]:
    """Every Sync's receipt of one cluster, by name."""
    rows = cast("dict[bytes, bytes]", store.redis.hgetall(keys.receipts(cluster)))
    return {text(name): SyncReceipt.from_json(body) for name, body in rows.items()}


def of_clusters(store: Store, clusters: Iterable[str]) -> dict[str, dict[str, SyncReceipt]]:
    """The receipts of many clusters in one round trip."""
    names = list(clusters)
    pipe = store.redis.pipeline(transaction=False)
    for name in names:
        pipe.hgetall(keys.receipts(name))
    rows = pipe.execute()
    return {
        name: {text(sync): SyncReceipt.from_json(body) for sync, body in row.items()}
        for name, row in zip(names, rows, strict=True)
    }


def objects_of(store: Store, cluster: str) -> dict[str, dict[str, ObjectReceipt]]:
    """The object receipts of one cluster, by Sync."""
    rows = cast("dict[bytes, bytes]", store.redis.hgetall(keys.objects(cluster)))
    return {text(sync): unpack(body) for sync, body in rows.items()}


def pack(objects: Objects) -> bytes:
    """Compressed JSON, about 60 bytes an object."""
    return zlib.compress(orjson.dumps({key: [r.uid, r.desired, r.fingerprint] for key, r in objects.items()}), 1)


def unpack(body: bytes) -> dict[str, ObjectReceipt]:
    """What `pack` made."""
    return {key: ObjectReceipt(*row) for key, row in orjson.loads(zlib.decompress(body)).items()}
