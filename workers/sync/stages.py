"""In which order objects are written: Flux's stages and sort order with Argo CD's waves inside; deletes exactly the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from workers.sync.plan import Key, Wanted

_FIRST = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
]
_LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_RANK = {kind: rank for rank, kind in enumerate(_FIRST)} | {kind: 1001 + rank for rank, kind in enumerate(_LAST)}
_DEFINITIONS = frozenset({"CustomResourceDefinition", "Namespace", "ClusterRole"})


def order(key: Key) -> tuple[int, Key]:
    """Sort key of a write."""
    return _RANK.get(key[1], 1000), key


def stage(key: Key) -> int:
    """0 definitions, 1 class-like kinds, 2 all the rest, 3 webhooks, which would stand in the way of the rest."""
    if key[1] in _LAST:
        return 3
    return 0 if key[1] in _DEFINITIONS else 1 if key[1].endswith("Class") else 2


def staged(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """What is written together, in order: stages, and inside a stage its waves, the smallest first."""
    ranked = sorted(wanted, key=lambda want: (_step(want), order(want.key)))
    return [list(group) for _, group in groupby(ranked, key=_step)]


def _step(want: Wanted) -> tuple[int, int]:
    return stage(want.key), want.policy.wave
