"""What may not change on an object that exists, and a selector that does not fit its template. Called by storage for every write.

The causes are those of a real server, one for one; where it prints its own types as the value, only the end of the message is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from fleetbeat.simulator.fields import Body
from fleetbeat.simulator.kinds import Kind
from fleetbeat.simulator.statuses import Cause

_SELECTED = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"})
_ONCE_SET = "field is immutable when `immutable` is set"
_CLAIM = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"

# Fields that never change, in the order in which a real server names them.
_FIXED: dict[tuple[str, str], tuple[tuple[str, ...], ...]] = {
    ("apps", "Deployment"): (("spec", "selector"),),
    ("apps", "ReplicaSet"): (("spec", "selector"),),
    ("apps", "DaemonSet"): (("spec", "selector"),),
    ("apps", "StatefulSet"): (
        ("spec", "selector"),
        ("spec", "volumeClaimTemplates"),
        ("spec", "serviceName"),
        ("spec", "podManagementPolicy"),
    ),
    ("batch", "Job"): (("spec", "completions"), ("spec", "selector"), ("spec", "template"), ("spec", "completionMode")),
    ("", "Secret"): (("type",),),
    ("rbac.authorization.k8s.io", "RoleBinding"): (("roleRef",),),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (("roleRef",),),
    ("storage.k8s.io", "StorageClass"): (("provisioner",), ("parameters",), ("reclaimPolicy",), ("volumeBindingMode",)),
    ("networking.k8s.io", "IngressClass"): (("spec", "controller"),),
    ("scheduling.k8s.io", "PriorityClass"): (("preemptionPolicy",),),
}

# What a missing value stands for.
_DEFAULTS: dict[tuple[str, ...], Any] = {
    ("spec", "podManagementPolicy"): "OrderedReady",
    ("spec", "completions"): 1,
    ("spec", "completionMode"): "NonIndexed",
    ("type",): "Opaque",
    ("reclaimPolicy",): "Delete",
    ("volumeBindingMode",): "Immediate",
    ("preemptionPolicy",): "PreemptLowerPriority",
}


def refused(kind: Kind, old: Body | None, new: Body) -> list[Cause]:
    """Every reason why `new` may not be, or may not follow `old`; none for what is allowed."""
    unfit = list(_unfit(kind, new)) if kind.group == "apps" and kind.kind in _SELECTED else []
    if old is None:
        return unfit
    changed = [*_identity(old, new), *_rules(kind, old, new)]
    return [*changed, *unfit] if kind.kind == "DaemonSet" else [*unfit, *changed]


def _rules(kind: Kind, old: Body, new: Body) -> Iterator[Cause]:
    special = _SPECIAL.get((kind.group, kind.kind))
    if special:
        yield from special(old, new)
    for path in _FIXED.get((kind.group, kind.kind), ()):
        before, after = (_at(body, path) for body in (old, new))
        if before != after:
            field = ".".join(path)
            yield Cause("FieldValueInvalid", f"Invalid value: {_shown(kind, path, after)}: field is immutable", field)


def _identity(old: Body, new: Body) -> Iterator[Cause]:
    for key in ("uid", "deletionTimestamp"):
        value = new["metadata"].get(key)
        if value and value != old["metadata"].get(key):
            yield Cause("FieldValueInvalid", f'Invalid value: "{value}": field is immutable', f"metadata.{key}")
    if old["metadata"].get("deletionTimestamp"):
        before = old["metadata"].get("finalizers") or []
        added = [name for name in new["metadata"].get("finalizers") or [] if name not in before]
        if added:
            names = ", ".join(f'"{name}"' for name in added)
            why = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{names}}}"
            yield Cause("FieldValueForbidden", f"Forbidden: {why}", "metadata.finalizers")


def _unfit(kind: Kind, new: Body) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    selector = spec.get("selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if selector is None and kind.kind != "DaemonSet":
        yield Cause("FieldValueRequired", "Required value", "spec.selector")
    wanted = (selector or {}).get("matchLabels") or {}
    if selector is None or any(labels.get(key) != value for key, value in wanted.items()):
        message = f"Invalid value: {_json(labels)}: `selector` does not match template `labels`"
        yield Cause("FieldValueInvalid", message, "spec.template.metadata.labels")


def _frozen_data(old: Body, new: Body) -> Iterator[Cause]:
    if old.get("immutable"):
        if not new.get("immutable"):
            yield Cause("FieldValueForbidden", f"Forbidden: {_ONCE_SET}", "immutable")
        for name in ("data", "binaryData"):
            if (old.get(name) or {}) != (new.get(name) or {}):
                yield Cause("FieldValueForbidden", f"Forbidden: {_ONCE_SET}", name)


def _claim(old: Body, new: Body) -> Iterator[Cause]:
    before, after = dict(old.get("spec") or {}), dict(new.get("spec") or {})
    # A volume is bound once, and a class may be named once.
    for name in ("volumeName", "storageClassName"):
        if before.get(name) is None:
            after.pop(name, None)
    if before != after:
        yield Cause("FieldValueForbidden", f"Forbidden: {_CLAIM}", "spec")


def _priority(old: Body, new: Body) -> Iterator[Cause]:
    if old.get("value") != new.get("value"):
        yield Cause("FieldValueForbidden", "Forbidden: may not be changed in an update.", "value")


def _service(old: Body, new: Body) -> Iterator[Cause]:
    before, after = ((body.get("spec") or {}).get("clusterIP") for body in (old, new))
    if before and before != after:
        yield Cause(
            "FieldValueInvalid", f"Invalid value: {_json([after])}: may not change once set", "spec.clusterIPs[0]"
        )


_SPECIAL: dict[tuple[str, str], Callable[[Body, Body], Iterator[Cause]]] = {
    ("", "ConfigMap"): _frozen_data,
    ("", "Secret"): _frozen_data,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("scheduling.k8s.io", "PriorityClass"): _priority,
}


def _at(body: Body, path: tuple[str, ...]) -> Any:
    value: Any = body
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return _DEFAULTS.get(path) if value is None else value


def _shown(kind: Kind, path: tuple[str, ...], value: Any) -> str:
    if kind.kind == "StorageClass":
        return "null"
    if path == ("roleRef",):
        return _json({"APIGroup": value.get("apiGroup"), "Kind": value.get("kind"), "Name": value.get("name")})
    return _json(value)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
