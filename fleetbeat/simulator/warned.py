"""What a real server warns of on ordinary objects, in its words. Called by storage for every write that is let through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from fleetbeat.simulator import defaults, quantities
from fleetbeat.simulator.fields import Body
from fleetbeat.simulator.kinds import Kind

_NAMES_PODS = frozenset({"Deployment", "ReplicaSet", "CronJob", "Job"})
_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
_HINTS = "service.kubernetes.io/topology-aware-hints"


def texts(kind: Kind, old: Body | None, new: Body) -> tuple[str, ...]:
    """The warnings of a write, in order; of a pod's template only when the write moved the generation."""
    found: list[str] = []
    if kind.group == "networking.k8s.io" and kind.kind == "Ingress" and old is None:
        if "kubernetes.io/ingress.class" in (new["metadata"].get("annotations") or {}):
            found.append(
                "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
            )
    elif kind.group == "" and kind.kind == "Service":
        found.extend(_service(new))
    elif where := defaults.pod_path(kind):
        found.extend(_name(kind, old, new))
        if old is None or (kind.kind != "Pod" and old["metadata"]["generation"] != new["metadata"]["generation"]):
            found.extend(_pod(new, where))
    return tuple(dict.fromkeys(found))


def unknown_field(name: str) -> str:
    return f'unknown field "{name}"'


def _name(kind: Kind, old: Body | None, new: Body) -> Iterator[str]:
    if old is None and kind.kind in _NAMES_PODS and "." in new["metadata"]["name"]:
        why = "this is used in Pod names and hostnames, which can result in surprising behavior"
        yield f"metadata.name: {why}; a DNS label is recommended: [must not contain dots]"


def _service(new: Body) -> Iterator[str]:
    spec = new.get("spec") or {}
    headless = spec.get("type", "ClusterIP") == "ClusterIP" and spec.get("clusterIP") == "None"
    if _HINTS in (new["metadata"].get("annotations") or {}):
        yield f"annotation {_HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"
    if headless:
        if spec.get("externalIPs"):
            yield "spec.externalIPs is ignored for headless services"
        if spec.get("sessionAffinity") not in {None, "None"}:
            yield "spec.SessionAffinity is ignored for headless services"
    elif spec.get("externalIPs") and spec.get("type") != "ExternalName":
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"


def _pod(new: Body, where: tuple[str, ...]) -> Iterator[str]:
    spec: Any = new
    for name in where:
        spec = spec.get(name) or {}
    at = ".".join(where)
    for label in spec.get("nodeSelector") or {}:
        if label in _LABELS:
            yield f"{at}.nodeSelector[{label}]: {_LABELS[label]}"
    for index, item in enumerate(spec.get("topologySpreadConstraints") or []):
        if item.get("labelSelector") is None:
            yield f"{at}.topologySpreadConstraints[{index}].labelSelector: a null labelSelector results in matching no pod"
    yield from _twice(spec.get("hostAliases"), "ip", f"{at}.hostAliases")
    yield from _twice(spec.get("imagePullSecrets"), "name", f"{at}.imagePullSecrets")
    containers = [
        (f"{at}.{name}[{index}]", container)
        for name in ("initContainers", "containers")
        for index, container in enumerate(spec.get(name) or [])
    ]
    for place, container in containers:
        yield from _fractions(container.get("resources") or {}, place)
        yield from _environment(container.get("env") or [], place)
    yield from _ports(containers)


def _twice(items: Any, key: str, at: str) -> Iterator[str]:
    seen = set()
    for index, item in enumerate(items or []):
        if item.get(key) in seen:
            yield f'{at}[{index}].{key}: duplicate {key} "{item.get(key)}"'
        seen.add(item.get(key))


def _fractions(resources: Body, at: str) -> Iterator[str]:
    for resource in ("memory", "ephemeral-storage"):
        for bound in ("limits", "requests"):
            amount = (resources.get(bound) or {}).get(resource)
            if str(quantities.canonical(amount)).endswith("m"):
                yield f'{at}.resources.{bound}[{resource}]: fractional byte value "{amount}" is invalid, must be an integer'


def _environment(items: list[Body], at: str) -> Iterator[str]:
    seen = set()
    for index, item in enumerate(items):
        name = item.get("name")
        reference = f"$({name})"
        extends = reference in (item.get("value") or "") and item["value"] != reference and not item.get("valueFrom")
        if name in seen and not extends:
            yield f'{at}.env[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)


def _ports(containers: list[tuple[str, Body]]) -> Iterator[str]:
    rows = [(f"{at}.ports[{n}]", port) for at, item in containers for n, port in enumerate(item.get("ports") or [])]
    numbers: dict[tuple[Any, Any], list[tuple[str, Body]]] = defaultdict(list)
    for at, port in rows:
        same = numbers[port.get("containerPort"), port.get("protocol")]
        for place, other in same:
            if all(port.get(key) == other.get(key) for key in ("hostIP", "hostPort")):
                yield f"{at}: duplicate port definition with {place}"
        same.append((at, port))
    names: dict[str, str] = {}
    for at, port in rows:
        name = port.get("name")
        if name in names:
            first = names[name]
            yield f'{at}: duplicate port name "{name}" with {first}, services and probes that select ports by name will use {first}'
        elif name:
            names[name] = at
