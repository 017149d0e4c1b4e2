"""Which Cluster of the fleet a Kubernetes cluster is: no two of them may work on the same one with the same inventories.

A sync claims, before it writes, the cluster that its kubeconfig really led to.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import redis

from shared.state import keys
from shared.state.store import Store, text


def claim(store: Store, uid: str, namespace: str, cluster: str, known: Collection[str]) -> str | None:
    """Take an identity for a cluster, atomically; idempotent.

    A Cluster has one identity. So whatever else it had is free afterwards, also when it is refused the new one: two whose
    kubeconfigs were exchanged get along by themselves.

    Args:
        store: The state.
        uid: Of the namespace kube-system.
        namespace: The Cluster's system namespace.
        cluster: Who claims.
        known: The clusters of the fleet; an owner that is none of them lost its claim.

    Returns:
        The other cluster of the fleet that has it, or None when `cluster` has it now.
    """
    wanted = f"{uid}/{namespace}"
    if text(store.redis.hget(keys.IDENTITIES, wanted)) == cluster:
        return None
    while True:
        try:
            return _take(store, wanted, cluster, known)
        except redis.WatchError:
            continue


def _take(store: Store, wanted: str, cluster: str, known: Collection[str]) -> str | None:
    pipe: Any = store.redis.pipeline()
    with pipe:
        pipe.watch(keys.IDENTITIES)
        rows: dict[bytes, bytes] = pipe.hgetall(keys.IDENTITIES)
        owners = {text(identity): text(owner) for identity, owner in rows.items()}
        owner = owners.get(wanted)
        refused = owner if owner is not None and owner != cluster and owner in known else None
        left = [identity for identity, name in owners.items() if name == cluster and identity != wanted]
        pipe.multi()
        if left:
            pipe.hdel(keys.IDENTITIES, *left)
        if refused is None:
            pipe.hset(keys.IDENTITIES, wanted, cluster)
        pipe.execute()
    return refused
