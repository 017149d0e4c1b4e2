"""The state of a fleet as one value: what `status -o json` and `up --once -o json` print, and their tables draw."""

from __future__ import annotations

from typing import Any

from shared.clock import rfc3339
from shared.documents.fleet import Fleet
from shared.state import holds, intents, keys, receipts, sources
from shared.state.receipts import SyncReceipt
from shared.state.store import Store


def report(store: Store, fleet: Fleet) -> dict[str, Any]:
    """`{"clusters": [...], "sources": [...]}` with stable keys; see docs/operations.md."""
    names = list(fleet.clusters)
    by_cluster = receipts.of_clusters(store, names)
    held, running = holds.every(store), intents.running(store)
    pipe = store.redis.pipeline(transaction=False)
    for name in names:
        pipe.exists(keys.reachability(name))
    unreachable = dict(zip(names, pipe.execute(), strict=True)) if names else {}
    clusters = []
    for name in names:
        cluster, known = fleet.clusters[name], by_cluster[name]
        hold = holds.of_cluster(held, name, cluster.spec.queue)
        rows = [
            _sync(sync.name, known.get(sync.name), running=name in running, held=hold is not None)
            for sync in fleet.syncs_of(name)
        ]
        clusters.append(
            {
                "name": name,
                "queue": cluster.spec.queue,
                "reachable": (None if not known else True) if not unreachable[name] else False,
                "held": {"scope": hold.scope, "reason": hold.reason, "actor": hold.actor, "since": rfc3339(hold.since)}
                if hold
                else None,
                "syncs": rows,
            }
        )
    return {"clusters": clusters, "sources": [_source(store, name) for name in fleet.sources]}


def _sync(name: str, receipt: SyncReceipt | None, *, running: bool, held: bool) -> dict[str, Any]:
    if receipt is None:
        receipt = SyncReceipt(name, "", "", "", "held" if held else "pending")
    state = "running" if running else "held" if held else receipt.state
    return {
        "name": name,
        "commit": receipt.commit or None,
        "state": state,
        "health": receipt.health,
        "objects": receipt.objects,
        "created": receipt.created,
        "configured": receipt.configured,
        "unchanged": receipt.unchanged,
        "deleted": receipt.deleted,
        "drifted": receipt.drifted,
        "appliedAt": rfc3339(receipt.applied_at) if receipt.applied_at else None,
        "healthyAt": rfc3339(receipt.healthy_at) if receipt.healthy_at else None,
        "requests": receipt.requests,
        "error": receipt.error,
    }


def _source(store: Store, name: str) -> dict[str, Any]:
    status = sources.get(store, name)
    return {
        "name": name,
        "ref": status.ref if status else None,
        "commit": status.commit or None if status else None,
        "polledAt": rfc3339(status.polled_at) if status else None,
        "error": status.error if status else None,
    }


def settled(value: dict[str, Any]) -> bool:
    """True when every source was asked and no Sync is still on its way."""
    if any(source["polledAt"] is None for source in value["sources"]):
        return False
    for cluster in value["clusters"]:
        for sync in cluster["syncs"]:
            if sync["state"] in {"pending", "running"} or (
                sync["state"] == "applied" and sync["health"] == "progressing"
            ):
                return False
    return True


def succeeded(value: dict[str, Any]) -> bool:
    """True when everything that is not held is applied and healthy."""
    good = all(
        sync["state"] == "held" or (sync["state"] == "applied" and sync["health"] in {"healthy", "suspended"})
        for cluster in value["clusters"]
        for sync in cluster["syncs"]
    )
    return good and not any(source["error"] for source in value["sources"])


def sources_polled_since(store: Store, fleet: Fleet, since: float) -> bool:
    """True when every source was asked after that time."""
    known = sources.every(store)
    return all(
        source.spec.suspend or (name in known and known[name].polled_at >= since)
        for name, source in fleet.sources.items()
    )


def fresh(store: Store, fleet: Fleet, clusters: list[str], since: float) -> bool:
    """True when each of these clusters is held, suspended, or has a receipt of each Sync from a run that ended after `since`."""
    by_cluster, held = receipts.of_clusters(store, clusters), holds.every(store)
    pending = intents.pending(store, clusters)
    for name in clusters:
        cluster = fleet.clusters[name]
        if cluster.spec.suspend or holds.of_cluster(held, name, cluster.spec.queue):
            continue
        known = by_cluster[name]
        for sync in fleet.syncs_of(name):
            if not sync.spec.suspend and (sync.name not in known or known[sync.name].finished_at < since):
                return False
        if pending[name] and any(receipt.health == "progressing" for receipt in known.values()):
            return False
    return True


def untouched(store: Store, fleet: Fleet, clusters: list[str], since: float) -> list[str]:
    """Clusters that nobody is going to sync by themselves now: nothing is pending and no run ended after `since`."""
    pending = intents.pending(store, clusters)
    return [name for name in clusters if not pending[name] and not fresh(store, fleet, [name], since)]
