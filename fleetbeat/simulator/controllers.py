"""What happens in a cluster by itself: custom kinds are served, workloads become ready, namespaces go. Told by storage of every change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fleetbeat.simulator.fields import Body
from fleetbeat.simulator.kinds import API_SERVICE, CRD, NAMESPACE, Kind
from fleetbeat.simulator.knobs import Knobs
from fleetbeat.simulator.registry import Registry
from fleetbeat.simulator.storage import Change, Storage

Later = Callable[[float, Callable[[], None]], object]

_WORKLOADS = frozenset({("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet")})
_SERVED = (
    {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"},
    {"type": "Established", "status": "True", "reason": "InitialNamesAccepted",
     "message": "the initial names have been accepted"},
)  # fmt: skip


@dataclass(slots=True)
class Controllers:
    """One cluster's. `later(seconds, call)` runs a call on the loop."""

    storage: Storage
    registry: Registry
    knobs: Knobs
    later: Later

    def changed(self, change: Change) -> None:
        """An object was written, or removed when there is no new one."""
        kind, new = change.kind, change.new
        if kind is CRD:
            self._custom_kind(change)
        elif kind is API_SERVICE:
            self._aggregated(change)
        elif kind is NAMESPACE:
            self._namespace(change)
        elif new and (kind.group, kind.kind) in _WORKLOADS and self.knobs.ready_after >= 0:
            old = change.old
            if old is None or old["metadata"].get("generation") != new["metadata"]["generation"]:
                self.later(self.knobs.ready_after, lambda: self._make_ready(kind, change.namespace, change.name))

    def _custom_kind(self, change: Change) -> None:
        if change.new:
            self.later(self.knobs.established_after, lambda: self._establish(change.name))
        elif change.old:
            spec = change.old["spec"]
            self.storage.forget((spec["group"], spec["names"]["plural"]))
            self.registry.replace(spec["group"], spec["names"]["plural"], [])

    def _establish(self, name: str) -> None:
        found = self.storage.find(CRD, "", name)
        if found is None:
            return
        spec = found.body["spec"]
        versions = spec.get("versions") or []
        self.registry.replace(
            spec["group"],
            spec["names"]["plural"],
            [_custom(spec, version) for version in versions if version.get("served")],
        )
        status = {
            "conditions": list(_SERVED),
            "acceptedNames": spec["names"],
            "storedVersions": [version["name"] for version in versions if version.get("storage")],
        }
        self.storage.set_status(CRD, "", name, status, "kube-apiserver")

    def _aggregated(self, change: Change) -> None:
        for body in (change.old, change.new):
            spec = (body or {}).get("spec") or {}
            self.registry.dead.pop((spec.get("group", ""), spec.get("version", "")), None)
        self.registry.epoch += 1
        spec = (change.new or {}).get("spec") or {}
        service = spec.get("service")
        # No aggregated API server is simulated, so a Service behind an APIService never answers.
        if service:
            self.registry.dead[spec.get("group", ""), spec.get("version", "")] = change.name
            message = f'service/{service.get("name")} in "{service.get("namespace")}" is not present'
            condition = {"type": "Available", "status": "False", "reason": "ServiceNotFound", "message": message}
            status = {"conditions": [condition]}
            self.later(0, lambda: self.storage.set_status(API_SERVICE, "", change.name, status, "kube-apiserver"))

    def _namespace(self, change: Change) -> None:
        ending, ended = (bool(body and body["metadata"].get("deletionTimestamp")) for body in (change.new, change.old))
        if ending and not ended and self.knobs.namespace_removal >= 0:
            self.later(self.knobs.namespace_removal, lambda: self._remove_namespace(change.name))

    def _remove_namespace(self, name: str) -> None:
        for key in self.storage.tables():
            kind = self.registry.of_key(key)
            if kind and kind.namespaced:
                self.storage.remove_all(kind, name)
        if self.storage.find(NAMESPACE, "", name):
            self.storage.remove(NAMESPACE, "", name)

    def _make_ready(self, kind: Kind, namespace: str, name: str) -> None:
        found = self.storage.find(kind, namespace, name)
        if found:
            self.storage.set_status(kind, namespace, name, _ready(kind, found.body), "kube-controller-manager")


def _custom(spec: Body, version: Body) -> Kind:
    names = spec["names"]
    properties: Any = ((version.get("schema") or {}).get("openAPIV3Schema") or {}).get("properties")
    return Kind(
        spec["group"],
        version["name"],
        names["kind"],
        names["plural"],
        namespaced=spec.get("scope") == "Namespaced",
        generation="content",
        status="status" in (version.get("subresources") or {}),
        custom=True,
        unconditional=False,
        fields=frozenset(properties) - {"apiVersion", "kind", "metadata"} if properties else None,
        singular=names.get("singular") or names["kind"].lower(),
        short_names=tuple(names.get("shortNames") or ()),
    )


def _ready(kind: Kind, body: Body) -> Body:
    replicas = (body.get("spec") or {}).get("replicas", 1)
    status: Body = {"observedGeneration": body["metadata"]["generation"]}
    if kind.kind == "DaemonSet":
        for key in ("currentNumberScheduled", "desiredNumberScheduled", "numberAvailable", "numberReady"):
            status[key] = 1
        return status | {"numberMisscheduled": 0, "updatedNumberScheduled": 1}
    for key in ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"):
        status[key] = replicas
    if kind.kind == "Deployment":
        status["conditions"] = [
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        ]
    if kind.kind == "StatefulSet":
        status |= {"currentReplicas": replicas, "currentRevision": "1", "updateRevision": "1"}
    return status
