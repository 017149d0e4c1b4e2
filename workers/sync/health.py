"""Is an object ready? kstatus' rules for the kinds most used, and for everything else its conditions. Messages say why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.state.receipts import Health

Verdict = tuple[Health, str]
READY: Verdict = ("healthy", "")
WATCHED = frozenset(
    {
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "ReplicaSet",
        "Job",
        "Pod",
        "PersistentVolumeClaim",
        "CustomResourceDefinition",
        "APIService",
        "Namespace",
    }
)
"""Kinds of Kubernetes itself whose readiness is not given by their being there."""


def may_be_unready(group: str, kind: str) -> bool:
    """False for kinds that are ready by existing: those of Kubernetes itself that have no rule here."""
    return kind in WATCHED or ("." in group and not group.endswith(".k8s.io"))


def judge(body: Mapping[str, Any]) -> Verdict:
    """The health of one live object, and the reason when it is not healthy. Source: sigs.k8s.io/cli-utils kstatus."""
    meta, spec, status = body.get("metadata") or {}, body.get("spec") or {}, body.get("status") or {}
    if meta.get("deletionTimestamp"):
        return "progressing", "is being deleted"
    observed = status.get("observedGeneration")
    if observed is not None and observed != meta.get("generation", observed):
        return "progressing", "its controller has not seen the newest change yet"
    conditions = {c.get("type"): c for c in status.get("conditions") or [] if isinstance(c, dict)}
    if _is(conditions, "Stalled", "True"):
        return "degraded", _why(conditions["Stalled"])
    if _is(conditions, "Reconciling", "True"):
        return "progressing", _why(conditions["Reconciling"])
    rule = _RULES.get(body.get("kind", ""))
    if rule:
        return rule(spec, status, conditions)
    if "Ready" in conditions and not _is(conditions, "Ready", "True"):
        return "progressing", _why(conditions["Ready"])
    return READY


def _is(conditions: Mapping[Any, Any], name: str, value: str) -> bool:
    return bool(conditions.get(name, {}).get("status") == value)


def _why(condition: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (condition.get("reason"), condition.get("message")))) or str(condition.get("type"))


def _deployment(spec: Mapping[str, Any], status: Mapping[str, Any], conditions: Mapping[Any, Any]) -> Verdict:
    if spec.get("paused"):
        return "suspended", "the Deployment is paused"
    if conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded":
        return "degraded", _why(conditions["Progressing"])
    if "observedGeneration" not in status:
        return "progressing", "its controller has not looked at it yet"
    want = spec.get("replicas", 1)
    for field, words in (("updatedReplicas", "updated"), ("availableReplicas", "available")):
        have = status.get(field) or 0
        if have < want:
            return "progressing", f"{have} of {want} replicas {words}"
    if (status.get("replicas") or 0) > want:
        return "progressing", f"{(status.get('replicas') or 0) - want} old replicas are still there"
    return READY


def _stateful_set(spec: Mapping[str, Any], status: Mapping[str, Any], _: Mapping[Any, Any]) -> Verdict:
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        return READY
    if "observedGeneration" not in status:
        return "progressing", "its controller has not looked at it yet"
    want, have = spec.get("replicas", 1), status.get("readyReplicas") or 0
    if have < want:
        return "progressing", f"{have} of {want} replicas ready"
    partition = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0
    if partition == 0 and want and status.get("currentRevision") != status.get("updateRevision"):
        return "progressing", "replicas of the old revision are still there"
    return READY


def _daemon_set(_: Mapping[str, Any], status: Mapping[str, Any], __: Mapping[Any, Any]) -> Verdict:
    if "observedGeneration" not in status:
        return "progressing", "its controller has not looked at it yet"
    want = status.get("desiredNumberScheduled") or 0
    have = min(status.get("numberAvailable") or 0, status.get("updatedNumberScheduled") or 0)
    return READY if have >= want else ("progressing", f"{have} of {want} Pods available")


def _replica_set(spec: Mapping[str, Any], status: Mapping[str, Any], _: Mapping[Any, Any]) -> Verdict:
    want, have = spec.get("replicas", 1), status.get("availableReplicas") or 0
    return READY if have >= want else ("progressing", f"{have} of {want} replicas available")


def _job(spec: Mapping[str, Any], status: Mapping[str, Any], conditions: Mapping[Any, Any]) -> Verdict:
    if _is(conditions, "Failed", "True"):
        return "degraded", _why(conditions["Failed"])
    if spec.get("suspend"):
        return "suspended", "the Job is suspended"
    return (
        READY
        if _is(conditions, "Complete", "True")
        else ("progressing", f"{status.get('active') or 0} Pods are running")
    )


def _pod(_: Mapping[str, Any], status: Mapping[str, Any], conditions: Mapping[Any, Any]) -> Verdict:
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in {
            "CrashLoopBackOff",
            "ImagePullBackOff",
            "ErrImagePull",
            "CreateContainerConfigError",
        }:
            return "degraded", f"container {container.get('name')}: {waiting['reason']}"
    if status.get("phase") == "Failed":
        return "degraded", str(status.get("message") or status.get("reason") or "the Pod failed")
    if status.get("phase") == "Succeeded" or _is(conditions, "Ready", "True"):
        return READY
    return "progressing", f"the Pod is {status.get('phase') or 'new'}"


def _claim(_: Mapping[str, Any], status: Mapping[str, Any], __: Mapping[Any, Any]) -> Verdict:
    return READY if status.get("phase") == "Bound" else ("progressing", f"the claim is {status.get('phase') or 'new'}")


def _definition(_: Mapping[str, Any], __: Mapping[str, Any], conditions: Mapping[Any, Any]) -> Verdict:
    if _is(conditions, "NamesAccepted", "False"):
        return "degraded", _why(conditions["NamesAccepted"])
    return READY if _is(conditions, "Established", "True") else ("progressing", "the definition is not established yet")


def _api_service(_: Mapping[str, Any], __: Mapping[str, Any], conditions: Mapping[Any, Any]) -> Verdict:
    if _is(conditions, "Available", "True"):
        return READY
    return "progressing", _why(conditions["Available"]) if "Available" in conditions else "not looked at yet"


def _namespace(_: Mapping[str, Any], status: Mapping[str, Any], __: Mapping[Any, Any]) -> Verdict:
    return (
        READY if status.get("phase", "Active") == "Active" else ("progressing", f"the Namespace is {status['phase']}")
    )


_RULES = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "ReplicaSet": _replica_set,
    "Job": _job,
    "Pod": _pod,
    "PersistentVolumeClaim": _claim,
    "CustomResourceDefinition": _definition,
    "APIService": _api_service,
    "Namespace": _namespace,
}
