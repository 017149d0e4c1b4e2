"""The state of a fleet as one value: what `status -o json` and `up --once -o json` print, and their tables draw."""

from __future__ import annotations

from typing import Any

from shared.clock import rfc3339
from shared.documents.fleet import Fleet
from shared.state import holds, intents, keys, leaving, receipts, sources
from shared.state.receipts import SyncReceipt
from shared.state.store import Store


def report(store: Store, fleet: Fleet) -> dict[str, Any]:
    """`{"clusters": [...], "sources": [...]}` with stable keys; see docs/operations.md."""
    names = list(fleet.clusters)
    by_cluster, gone = receipts.of_clusters(store, names), leaving.of_clusters(store, names)
    held, running = holds.every(store), intents.running(store)
    pipe = store.redis.pipeline(transaction=False)
    for name in names:
        pipe.exists(keys.reachability(name))
    unreachable = dict(zip(names, pipe.execute(), strict=True)) if names else {}
    clusters = []
    for name in names:
        cluster, known = fleet.clusters[name], by_cluster[name]
        hold = holds.of_cluster(held, name, cluster.spec.queue)
        over = "running" if name in running else "held" if hold or cluster.spec.suspend else None
        rows = [
            _sync(sync.name, known.get(sync.name), over or ("held" if sync.spec.suspend else None), leaves=False)
            for sync in fleet.syncs_of(name)
        ]
        here = {row["name"] for row in rows}
        rows += [_sync(sync, known.get(sync), over, leaves=True) for sync in gone[name] if sync not in here]
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


def current(receipt: SyncReceipt | None, *, leaves: bool) -> SyncReceipt | None:
    """The receipt, if it is of a run that knew what we know: that the Sync is leaving the cluster, or that it is not."""
    return receipt if receipt and receipt.leaving == leaves else None


def _sync(name: str, receipt: SyncReceipt | None, over: str | None, *, leaves: bool) -> dict[str, Any]:
    """One row. `over` is what keeps the Sync from being judged by its receipt, if anything does."""
    known = current(receipt, leaves=leaves)
    if known is None:
        commit = receipt.commit if receipt else ""
        known = SyncReceipt(name, "", commit, "", "pending", objects=receipt.objects if receipt else 0)
    return {
        "name": name,
        "commit": known.commit or None,
        "state": over or known.state,
        "health": known.health,
        "objects": known.objects,
        "created": known.created,
        "configured": known.configured,
        "unchanged": known.unchanged,
        "deleted": known.deleted,
        "drifted": known.drifted,
        "appliedAt": rfc3339(known.applied_at) if known.applied_at else None,
        "healthyAt": rfc3339(known.healthy_at) if known.healthy_at else None,
        "requests": known.requests,
        "error": known.error,
        "warnings": list(known.warnings),
        "deletions": list(known.deletions),
        "contested": list(known.contested),
        "leaving": leaves,
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
    """True when every source was asked and no Sync is still on its way; one that waits for an approval is not."""
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
    """True when everything that is not held or suspended is applied and healthy, and nothing waits for an approval."""
    good = all(
        sync["state"] == "held"
        or (sync["state"] == "applied" and sync["health"] in {"healthy", "suspended"} and not sync["deletions"])
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
    """True when each of these clusters is held, suspended, or has a receipt from a run that ended after `since` of each Sync,
    those that are leaving it included.
    """
    by_cluster, held = receipts.of_clusters(store, clusters), holds.every(store)
    pending, gone = intents.pending(store, clusters), leaving.of_clusters(store, clusters)
    for name in clusters:
        cluster = fleet.clusters[name]
        if cluster.spec.suspend or holds.of_cluster(held, name, cluster.spec.queue):
            continue
        here = dict.fromkeys(gone[name], True)
        here |= {sync.name: False for sync in fleet.syncs_of(name)}
        idle = {sync.name for sync in fleet.syncs_of(name) if sync.spec.suspend}
        known = {
            sync: current(by_cluster[name].get(sync), leaves=leaves)
            for sync, leaves in here.items()
            if sync not in idle
        }
        if any(receipt is None or receipt.finished_at < since for receipt in known.values()):
            return False
        if pending[name] and any(receipt and receipt.health == "progressing" for receipt in known.values()):
            return False
    return True


def untouched(store: Store, fleet: Fleet, clusters: list[str], since: float) -> list[str]:
    """Clusters that nobody is going to sync by themselves now: nothing is pending and no run ended after `since`."""
    pending = intents.pending(store, clusters)
    return [name for name in clusters if not pending[name] and not fresh(store, fleet, [name], since)]
