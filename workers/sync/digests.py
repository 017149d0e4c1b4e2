"""Two digests decide whether an object has to be looked at: what was desired, and how it looked after it was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from shared import redaction

_SORTED = orjson.OPT_SORT_KEYS

COUNTED = frozenset(
    {
        ("apps", "DaemonSet"),
        ("apps", "Deployment"),
        ("apps", "ReplicaSet"),
        ("apps", "StatefulSet"),
        ("autoscaling", "HorizontalPodAutoscaler"),
        ("batch", "CronJob"),
        ("batch", "Job"),
        ("networking.k8s.io", "Ingress"),
        ("networking.k8s.io", "NetworkPolicy"),
        ("policy", "PodDisruptionBudget"),
    }
)
"""(group, kind) whose generation is proved to move with every change outside metadata and status. Others have none, or, like
PriorityClass, one that stays: for those managedFields tell. The table of edits in the tests holds this list to a real API server."""


def desired(body: Mapping[str, Any], key: bytes) -> str:
    """Digest of a desired object; under the installation's key, since it may hold a secret."""
    return redaction.digest(key, orjson.dumps(body, option=_SORTED))[:32]


def fingerprint(key: tuple[str, str, str, str], meta: Mapping[str, Any]) -> str:
    """Digest of what moves in an object's metadata whenever anybody but its status writer changes the object.

    Entries of managedFields for the subresource `status` do not count; those of others move with every write that changes something.
    """
    content: Any = meta.get("generation")
    if key[:2] not in COUNTED or content is None:
        content = [entry for entry in meta.get("managedFields") or () if entry.get("subresource") != "status"]
    seen = (
        meta.get("uid"),
        content,
        meta.get("deletionTimestamp"),
        meta.get("labels"),
        meta.get("annotations"),
        meta.get("finalizers"),
        meta.get("ownerReferences"),
    )
    return hashlib.blake2b(orjson.dumps(seen, option=_SORTED), digest_size=16).hexdigest()
