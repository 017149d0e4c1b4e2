"""Syncs that left a cluster, removed from the fleet or no longer selecting it, and whose objects are still there.

Publishing a fleet notes them; the cluster's next sync prunes or releases their objects, as their last document says, and then
forgets the note.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import orjson

from shared.documents.fleet import Fleet
from shared.documents.sync import Sync
from shared.state import keys
from shared.state.store import Store, text


def of_cluster(store: Store, cluster: str) -> dict[str, Sync]:
    """The last documents of the Syncs that are leaving the cluster, by name."""
    return of_clusters(store, [cluster])[cluster]


def of_clusters(store: Store, clusters: Iterable[str]) -> dict[str, dict[str, Sync]]:
    """The same for many clusters in one round trip."""
    names = list(clusters)
    pipe = store.redis.pipeline(transaction=False)
    for name in names:
        pipe.hgetall(keys.leaving(name))
    rows = cast("list[dict[bytes, bytes]]", pipe.execute())
    return {name: read(row) for name, row in zip(names, rows, strict=True)}


def read(rows: Mapping[bytes, bytes]) -> dict[str, Sync]:
    """From the hash as it is stored."""
    return {text(sync): _document(body) for sync, body in sorted(rows.items())}


def forget(store: Store, cluster: str, sync: str) -> None:
    """Nothing of the Sync is on the cluster any more, or is its own: the note goes, and with it its receipts. Idempotent."""
    pipe = store.redis.pipeline()
    pipe.hdel(keys.leaving(cluster), sync)
    pipe.hdel(keys.receipts(cluster), sync)
    pipe.hdel(keys.objects(cluster), sync)
    pipe.execute()


def between(before: Fleet | None, after: Fleet) -> dict[str, dict[str, Sync]]:
    """The Syncs that selected a cluster before and do not now, by cluster and name; only clusters of both fleets.

    A cluster that left orphans its objects: without its document there is no way to reach it.
    """
    found = {}
    for name in after.clusters if before else ():
        if before and name in before.clusters:
            stay = {sync.name for sync in after.syncs_of(name)}
            gone = {sync.name: sync for sync in before.syncs_of(name) if sync.name not in stay}
            if gone:
                found[name] = gone
    return found


def note(pipe: Any, left: Mapping[str, Mapping[str, Sync]], after: Fleet) -> None:
    """Queue on a transaction: note who left, and drop the notes of Syncs that are on their clusters (again)."""
    for cluster in after.clusters:
        here = [sync.name for sync in after.syncs_of(cluster)]
        if here:
            pipe.hdel(keys.leaving(cluster), *here)
    for cluster, syncs in left.items():
        mapping = {name: sync.model_dump_json(by_alias=True, exclude_none=True) for name, sync in syncs.items()}
        pipe.hset(keys.leaving(cluster), mapping=mapping)


def _document(body: bytes) -> Sync:
    return Sync.model_validate(orjson.loads(body), by_alias=True, by_name=False)
