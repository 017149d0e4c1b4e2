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
        ("", "Pod"),
        ("", "PodTemplate"),
        ("", "ReplicationController"),
        *(
            ("admissionregistration.k8s.io", f"{what}{how}")
            for what in ("Mutating", "Validating")
            for how in ("AdmissionPolicy", "AdmissionPolicyBinding", "WebhookConfiguration")
        ),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apps", "DaemonSet"),
        ("apps", "Deployment"),
        ("apps", "ReplicaSet"),
        ("apps", "StatefulSet"),
        ("autoscaling", "HorizontalPodAutoscaler"),
        ("batch", "CronJob"),
        ("batch", "Job"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("networking.k8s.io", "Ingress"),
        ("networking.k8s.io", "IngressClass"),
        ("networking.k8s.io", "NetworkPolicy"),
        ("policy", "PodDisruptionBudget"),
        ("resource.k8s.io", "DeviceTaintRule"),
        ("storage.k8s.io", "CSIDriver"),
    }
)
"""(group, kind) whose generation is proved to move with every change outside metadata and status. Others have none, or, like
PriorityClass, one that stays. The table of edits in the tests holds this list to a real API server."""


def desired(body: Mapping[str, Any], key: bytes) -> str:
    """Digest of a desired object; under the installation's key, since it may hold a secret."""
    return redaction.digest(key, orjson.dumps(body, option=_SORTED))[:32]


def fingerprint(key: tuple[str, str, str, str], meta: Mapping[str, Any]) -> str:
    """Digest of what moves in an object's metadata whenever anybody but its status writer changes the object.

    Entries of managedFields for the subresource `status` do not count; those of others move with every write that changes something,
    and unlike a generation they do not repeat after the store was restored. But they tell time in whole seconds: a hand that already
    owns a field leaves no trace when it changes that once more in the same second. That the generation tells, where it counts, and
    else the resourceVersion, unless nobody but us and a writer of its status have written the object.
    """
    entries = meta.get("managedFields") or ()
    written = [entry for entry in entries if entry.get("subresource") != "status"]
    generation, version = meta.get("generation"), None
    if not _counts(key, generation) and (len(written) > 1 or len(written) == len(entries)):
        version = meta.get("resourceVersion")
    seen = (
        meta.get("uid"),
        generation,
        version,
        written,
        meta.get("deletionTimestamp"),
        meta.get("labels"),
        meta.get("annotations"),
        meta.get("finalizers"),
        meta.get("ownerReferences"),
    )
    return hashlib.blake2b(orjson.dumps(seen, option=_SORTED), digest_size=16).hexdigest()


def _counts(key: tuple[str, str, str, str], generation: object) -> bool:
    """True where another content has another generation; for custom resources the API server itself sees to that."""
    group = key[0]
    custom = "." in group and not group.endswith(".k8s.io")
    return generation is not None and (custom or key[:2] in COUNTED)
