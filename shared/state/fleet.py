"""The fleet's snapshot in Redis: published by the faces, read by beat and workers, immutable by its digest."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, cast

import orjson

from shared.documents.fleet import Fleet
from shared.errors import PermanentError
from shared.state import due, keys
from shared.state.store import Store, text

SNAPSHOT_SECONDS = 30 * 86400


class NoFleetError(PermanentError):
    """No fleet was ever published to this Redis, or its snapshot is gone."""


@dataclass(frozen=True, slots=True)
class Published:
    """What changed by publishing: clusters marked due, and those that left (their objects stay where they are)."""

    digest: str
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def _fingerprints(fleet: Fleet) -> dict[str, bytes]:
    rows = {}
    for name, cluster in fleet.clusters.items():
        syncs = fleet.syncs_of(name)
        sources = sorted({sync.spec.source_ref.name for sync in syncs})
        parts = [cluster, *syncs, *(fleet.sources[source] for source in sources)]
        rows[name] = orjson.dumps([part.model_dump(mode="json", by_alias=True) for part in parts])
    return rows


def publish(store: Store, fleet: Fleet, actor: str) -> Published:
    """Put a fleet in force. Only what it changes is marked due; publishing the same fleet again changes nothing."""
    before = _maybe_current(store)
    if before and before.digest == fleet.digest:
        store.redis.delete(keys.FLEET_PROBLEMS)
        return Published(fleet.digest, (), ())
    old = _fingerprints(before) if before else {}
    new = _fingerprints(fleet)
    changed = tuple(sorted(name for name, print_ in new.items() if old.get(name) != print_))
    removed = tuple(sorted(set(old) - set(new)))
    queues = {
        f"sync/{name}": cluster.spec.queue for name, cluster in fleet.clusters.items() if not cluster.spec.suspend
    }
    queues |= {f"source/{name}": SOURCES_QUEUE for name, source in fleet.sources.items() if not source.spec.suspend}
    intervals = {
        f"sync/{name}": str(min((s.spec.interval.total_seconds() for s in fleet.syncs_of(name)), default=600.0))
        for name, cluster in fleet.clusters.items()
        if not cluster.spec.suspend
    }
    intervals |= {
        f"source/{name}": str(source.spec.interval.total_seconds())
        for name, source in fleet.sources.items()
        if not source.spec.suspend
    }
    pipe = store.redis.pipeline()
    pipe.set(keys.snapshot(fleet.digest), fleet.to_json(), ex=SNAPSHOT_SECONDS)
    pipe.delete(keys.QUEUES, keys.INTERVALS, keys.FLEET_PROBLEMS)
    if queues:
        pipe.hset(keys.QUEUES, mapping=dict[Any, Any](queues))
        pipe.hset(keys.INTERVALS, mapping=dict[Any, Any](intervals))
    pipe.set(keys.FLEET, fleet.digest)
    for name in removed:
        pipe.zrem(keys.DUE, f"sync/{name}")
        pipe.hdel(keys.REASONS, name)
        pipe.delete(keys.receipts(name), keys.objects(name), keys.reachability(name))
    pipe.execute()
    resolved = orjson.loads(cast("bytes | None", store.redis.get(keys.REVISIONS)) or b"{}")
    moved = {
        name
        for name, source in fleet.sources.items()
        if name not in resolved or not before or name not in before.sources or before.sources[name] != source
    }
    due.mark(store, sorted(f"source/{name}" for name in moved), "fleet", actor)
    ready = [
        f"sync/{name}"
        for name in changed
        if all(sync.spec.source_ref.name in resolved for sync in fleet.syncs_of(name))
    ]
    due.mark(store, [member for member in ready if member in queues], "fleet", actor)
    due.mark(store, [member for member in queues if member.startswith("sync/")], "interval", actor, delay=60.0)
    return Published(fleet.digest, changed, removed)


SOURCES_QUEUE = "sources"
"""The queue of source polls; every worker consumes it unless it is told otherwise."""


def refuse(store: Store, problems: str) -> None:
    """Note that a newer fleet was refused; the one in force stays."""
    store.redis.set(keys.FLEET_PROBLEMS, problems)


def refused(store: Store) -> str | None:
    """Why the newest fleet was refused, or None."""
    body = store.redis.get(keys.FLEET_PROBLEMS)
    return text(body) if body else None


_cache: dict[str, Fleet] = {}
_lock = threading.Lock()


def read(store: Store, digest: str) -> Fleet:
    """The snapshot of that digest, kept in this process once it was read.

    Raises:
        NoFleetError: There is no such snapshot.
    """
    with _lock:
        if digest in _cache:
            return _cache[digest]
    body = cast("bytes | None", store.redis.get(keys.snapshot(digest)))
    if body is None:
        raise NoFleetError(
            f"the fleet {digest[:12] or '(none)'} is not in Redis: publish one with `fleetbeat up --fleet DIR`"
        )
    fleet = Fleet.from_json(body)
    with _lock:
        if len(_cache) > 4:
            _cache.clear()
        _cache[digest] = fleet
    return fleet


def current(store: Store) -> Fleet:
    """The fleet in force.

    Raises:
        NoFleetError: None was published yet.
    """
    fleet = _maybe_current(store)
    if fleet is None:
        raise NoFleetError("no fleet was published to this Redis yet: run `fleetbeat up --fleet DIR`")
    return fleet


def _maybe_current(store: Store) -> Fleet | None:
    digest = text(store.redis.get(keys.FLEET))
    if not digest:
        return None
    try:
        return read(store, digest)
    except NoFleetError:
        return None
