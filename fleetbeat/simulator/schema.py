"""Which lists and maps server-side apply merges and by which keys, for the built-in kinds. Read by field ownership only.

Source: the list-type, list-map-key, struct-type and map-type markers in k8s.io/api. Custom resources merge maps; their lists
are atomic, as without such markers in their schema.
"""

from __future__ import annotations

from typing import Literal

from fleetbeat.simulator.kinds import Kind

Path = tuple[str, ...]

_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
}
_CONTAINERS = frozenset({"containers", "initContainers", "ephemeralContainers"})

# Nothing of these is merged: the last applier owns the whole.
_ATOMIC = frozenset(
    {
        "selector", "labelSelector", "podSelector", "namespaceSelector", "nodeSelector", "secretKeyRef", "configMapKeyRef",
        "fieldRef", "resourceFieldRef", "secretRef", "configMapRef", "roleRef", "scaleTargetRef", "claimRef", "dataSource",
        "requiredDuringSchedulingIgnoredDuringExecution", "allowedTopologies", "openAPIV3Schema",
    }
)  # fmt: skip

DEFAULTS = {"protocol": "TCP"}
"""Keys of list items that may be left out."""

# Structs that every object of a built-in kind has, given or not, so that nobody adds them.
_ALWAYS = frozenset({"spec", "status", "template", "jobTemplate", "strategy", "updateStrategy", "containers", "names"})


def list_shape(kind: Kind, path: Path) -> tuple[str, ...] | Literal["set", "atomic"]:
    """The merge keys of the list at a path, or how else it is treated."""
    name = path[-1]
    if path == ("metadata", "finalizers"):
        return "set"
    if path == ("metadata", "ownerReferences"):
        return _KEYS["ownerReferences"]
    if kind.custom or path[0] == "metadata":
        return "atomic"
    if name == "ports":
        if len(path) > 1 and path[-2] in _CONTAINERS:
            return ("containerPort", "protocol")
        return ("port", "protocol") if kind.kind == "Service" and len(path) == 2 else "atomic"
    return _KEYS.get(name, "atomic")


def atomic_map(kind: Kind, path: Path) -> bool:
    """True when the map at this path is owned as a whole."""
    return not kind.custom and path[-1] in _ATOMIC


def always_there(kind: Kind, path: Path) -> bool:
    """True for maps and lists that exist in an empty object too: no Update comes to own them."""
    return not kind.custom and (path[-1] in _ALWAYS or path[-1] == "metadata")
