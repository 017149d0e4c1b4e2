"""The fleet's snapshot in Redis: published by the faces, read by beat and workers, immutable by its digest."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, cast

import orjson
import redis

from shared.documents.fleet import Fleet
from shared.errors import PermanentError
from shared.state import approvals, due, keys, leaving
from shared.state.store import Store, text

SNAPSHOT_SECONDS = 30 * 86400
"""For how long a snapshot is kept that is not in force any more: a run may still be working with it."""


class NoFleetError(PermanentError):
    """No fleet was ever published to this Redis, or its snapshot is gone."""


@dataclass(frozen=True, slots=True)
class Published:
    """What changed by publishing.

    Args:
        digest: Of the fleet that is in force.
        changed: Clusters marked due.
        removed: Clusters that left; their objects stay where they are.
        left: (cluster, Sync) of Syncs that are not for a cluster any more, which is still in the fleet.
    """

    digest: str
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[tuple[str, str], ...] = ()


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
    while True:
        try:
            before, published = _put_in_force(store, fleet)
            break
        except redis.WatchError:
            continue  # Another fleet came into force meanwhile: compare with that one.
    if before and before.digest == fleet.digest:
        return published
    resolved = orjson.loads(cast("bytes | None", store.redis.get(keys.REVISIONS)) or b"{}")
    moved = {
        name
        for name, source in fleet.sources.items()
        if name not in resolved or not before or name not in before.sources or before.sources[name] != source
    }
    due.mark(store, sorted(f"source/{name}" for name in moved), "fleet", actor)
    members = [member for member in _queues(fleet) if member.startswith("sync/")]
    left = {cluster for cluster, _ in published.left}
    ready = {
        f"sync/{name}"
        for name in published.changed
        if name in left or all(sync.spec.source_ref.name in resolved for sync in fleet.syncs_of(name))
    }
    due.mark(store, [member for member in members if member in ready], "fleet", actor)
    due.mark(store, members, "interval", actor, delay=60.0)
    return published


def _put_in_force(store: Store, fleet: Fleet) -> tuple[Fleet | None, Published]:
    """The one transaction; returns the fleet before, too.

    Raises:
        redis.WatchError: Another fleet came into force since the one before was read; nothing was changed.
    """
    pipe: Any = store.redis.pipeline()
    with pipe:
        pipe.watch(keys.FLEET)
        before = _maybe_current(store)
        if before and before.digest == fleet.digest:
            pipe.multi()
            pipe.persist(keys.snapshot(fleet.digest))
            pipe.delete(keys.FLEET_PROBLEMS)
            pipe.execute()
            return before, Published(fleet.digest, (), ())
        old, new = _fingerprints(before) if before else {}, _fingerprints(fleet)
        changed = tuple(sorted(name for name, print_ in new.items() if old.get(name) != print_))
        removed = tuple(sorted(set(old) - set(new)))
        left = leaving.between(before, fleet)
        void = approvals.fields_of(store, removed)
        pipe.multi()
        # Only what is not in force any more may expire: a fleet can stay unchanged for years.
        pipe.set(keys.snapshot(fleet.digest), fleet.to_json())
        if before:
            pipe.expire(keys.snapshot(before.digest), SNAPSHOT_SECONDS)
        pipe.delete(keys.QUEUES, keys.INTERVALS, keys.FLEET_PROBLEMS)
        if queues := _queues(fleet):
            pipe.hset(keys.QUEUES, mapping=dict[Any, Any](queues))
            pipe.hset(keys.INTERVALS, mapping=dict[Any, Any](_intervals(fleet)))
        pipe.set(keys.FLEET, fleet.digest)
        leaving.note(pipe, left, fleet)
        for name in removed:
            pipe.zrem(keys.DUE, f"sync/{name}")
            pipe.hdel(keys.REASONS, name)
            pipe.delete(keys.receipts(name), keys.objects(name), keys.reachability(name), keys.leaving(name))
        if void:
            pipe.hdel(keys.APPROVALS, *void)
        pipe.execute()
    pairs = tuple((cluster, name) for cluster, syncs in sorted(left.items()) for name in sorted(syncs))
    return before, Published(fleet.digest, changed, removed, pairs)


def _queues(fleet: Fleet) -> dict[str, str]:
    """Due-set members of the fleet, and the queue that each one's work goes to; what is suspended is not among them."""
    clusters = {
        f"sync/{name}": cluster.spec.queue for name, cluster in fleet.clusters.items() if not cluster.spec.suspend
    }
    return clusters | {
        f"source/{name}": SOURCES_QUEUE for name, source in fleet.sources.items() if not source.spec.suspend
    }


def _intervals(fleet: Fleet) -> dict[str, str]:
    """The same members, and the seconds between two looks at each."""
    clusters = {
        f"sync/{name}": str(min((s.spec.interval.total_seconds() for s in fleet.syncs_of(name)), default=600.0))
        for name, cluster in fleet.clusters.items()
        if not cluster.spec.suspend
    }
    return clusters | {
        f"source/{name}": str(source.spec.interval.total_seconds())
        for name, source in fleet.sources.items()
        if not source.spec.suspend
    }


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
