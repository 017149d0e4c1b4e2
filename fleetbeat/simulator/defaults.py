"""What a real server fills in and rewrites, as far as a comparison of wanted and live objects meets it. Called by storage.

Bodies are shared with answers and with older versions, so they are copied where they change and never changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fleetbeat.simulator import quantities
from fleetbeat.simulator.fields import Body
from fleetbeat.simulator.kinds import Kind

Change = Callable[[Any], Any]

_REPLICATED = frozenset({"Deployment", "ReplicaSet", "StatefulSet"})
_TEMPLATE = ("spec", "template", "spec")
_POD: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): ("spec",),
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("apps", "StatefulSet"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("batch", "Job"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", *_TEMPLATE),
}


def pod_path(kind: Kind) -> tuple[str, ...] | None:
    """Where the pod's spec stands in an object of this kind."""
    return _POD.get((kind.group, kind.kind))


def filled(kind: Kind, body: Body) -> Body:
    """The object with its defaults; the same one when nothing is missing."""
    if kind.custom:
        return body
    where = pod_path(kind)
    if where:
        for name in ("containers", "initContainers"):
            body = _at(body, (*where, name), lambda items: _each(items, _container))
    if kind.group == "apps" and kind.kind in _REPLICATED:
        body = _at(body, ("spec",), lambda spec: spec if spec.get("replicas") is not None else {**spec, "replicas": 1})
    if kind.group == "":
        if kind.kind == "Service":
            body = _at(body, ("spec", "ports"), lambda ports: _each(ports, _service_port))
        elif kind.kind == "ResourceQuota":
            body = _at(body, ("spec", "hard"), _amounts)
        elif kind.kind == "PersistentVolumeClaim":
            body = _at(body, ("spec", "resources"), _resources)
        elif kind.kind == "Secret" and not body.get("type"):
            body = {**body, "type": "Opaque"}
    return body


def addressed(kind: Kind, old: Body | None, new: Body, number: int) -> Body:
    """A Service with its address: the one it has, or one made of a number that no other Service of the cluster has."""
    if (kind.group, kind.kind) != ("", "Service"):
        return new
    spec = new.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return new
    before = (old or {}).get("spec") or {}
    address = spec.get("clusterIP") or before.get("clusterIP") or f"10.96.{number // 256 % 256}.{number % 256}"
    added = {"clusterIP": address, "clusterIPs": spec.get("clusterIPs") or [address]}
    same = all(spec.get(key) == value for key, value in added.items())
    return new if same else {**new, "spec": {**spec, **added}}


def _at(value: Any, path: tuple[str, ...], change: Change) -> Any:
    """The value with what stands at a path changed; the very same one when nothing changes or nothing stands there."""
    if not path:
        return change(value)
    if not isinstance(value, dict) or value.get(path[0]) is None:
        return value
    old = value[path[0]]
    new = _at(old, path[1:], change)
    return value if new is old else {**value, path[0]: new}


def _each(items: Any, change: Change) -> Any:
    if not isinstance(items, list):
        return items
    changed = [change(item) if isinstance(item, dict) else item for item in items]
    return items if all(new is old for new, old in zip(changed, items, strict=True)) else changed


def _container(item: Body) -> Body:
    found = _at(item, ("ports",), lambda ports: _each(ports, _protocol))
    changed: Body = _at(found, ("resources",), _resources)
    return changed


def _protocol(port: Body) -> Body:
    return port if port.get("protocol") else {**port, "protocol": "TCP"}


def _service_port(port: Body) -> Body:
    found = _protocol(port)
    return found if found.get("targetPort") else {**found, "targetPort": found.get("port")}


def _resources(resources: Any) -> Any:
    return _at(_at(resources, ("limits",), _amounts), ("requests",), _amounts)


def _amounts(amounts: Any) -> Any:
    if not isinstance(amounts, Mapping):
        return amounts
    changed = {name: quantities.canonical(amount) for name, amount in amounts.items()}
    return amounts if changed == amounts else changed
