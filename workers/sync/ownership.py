"""Who wrote what of an object, read from its managedFields: is it ours, what would we take from whom, who changed it last. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.clusters.client import MANAGER
from workers.sync import fields
from workers.sync.fields import Path
from workers.sync.inventory import PART_OF

Body = Mapping[str, Any]
Entry = Mapping[str, Any]

PREDECESSORS = frozenset(
    {
        "before-first-apply",
        "kustomize-controller",
        "helm-controller",
        "argocd-controller",
        "argocd-application-controller",
    }
)
"""Managers whose fields become ours when we first meet an object: tools that applied it before us."""
PEOPLE = "kubectl"
"""Prefix of the managers of people at a terminal; what they add is drift, as in Flux."""
KEPT = (
    ("f:metadata", "f:annotations", "f:kubectl.kubernetes.io/restartedAt"),
    (
        "f:spec", "f:template", "f:metadata", "f:annotations", "f:kubectl.kubernetes.io/restartedAt",
    ),
)  # fmt: skip
"""What `kubectl rollout restart` leaves: a request, no configuration. Taking it back would restart the Pods once more."""


def entries(meta: Body) -> Sequence[Entry]:
    """managedFields, or nothing."""
    found: Sequence[Entry] = meta.get("managedFields") or ()
    return found


def ours(meta: Body) -> Entry | None:
    """The entry of what we applied."""
    return next((entry for entry in entries(meta) if _is_ours(entry)), None)


def applied_at(meta: Body) -> str | None:
    """When we last changed the object (RFC 3339); an apply that changes nothing does not move it."""
    entry = ours(meta)
    return str(entry.get("time")) if entry else None


def owned(meta: Body) -> bool:
    """True when we applied the inventory's label ourselves: a copy that carries the label is nobody's."""
    entry = ours(meta)
    labels = ((((entry or {}).get("fieldsV1") or {}).get("f:metadata") or {}).get("f:labels")) or {}
    return f"f:{PART_OF}" in labels


def others(meta: Body) -> list[Entry]:
    """Entries that are not ours and not of a subresource like status or scale."""
    return [entry for entry in entries(meta) if not entry.get("subresource") and not _is_ours(entry)]


def _is_ours(entry: Entry) -> bool:
    return entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource")


def surplus(live: Body, desired: Body) -> set[Path]:
    """What we own in the live object and want no more."""
    entry = ours(live["metadata"])
    return _beyond(entry, desired) if entry else set()


def added(live: Body, desired: Body) -> dict[str, set[Path]]:
    """What people added to an object with kubectl, by manager; empty when they only set what we want as well."""
    found: dict[str, set[Path]] = {}
    for entry in others(live["metadata"]):
        manager = str(entry.get("manager"))
        if manager.startswith(PEOPLE) and (beyond := _beyond(entry, desired) - set(KEPT)):
            found.setdefault(manager, set()).update(beyond)
    return found


def reshaped(live: Body, desired: Body) -> bool:
    """True when somebody else owns, as one piece, a map or list that Git names, and it has not exactly what Git says.

    Some maps, like a Service's selector, are owned whole: who adds a key takes them over.
    """
    for entry in others(live["metadata"]):
        for path in _leaves(fields.members(entry.get("fieldsV1") or {})):
            wanted, value = fields.at(desired, path)
            if wanted and value and isinstance(value, (dict, list)) and fields.at(live, path)[1] != value:
                return True
    return False


def _beyond(entry: Entry, desired: Body) -> set[Path]:
    paths = fields.members(entry.get("fieldsV1") or {})
    return {path for path in _leaves(paths) if not fields.holds(desired, path)}


def _leaves(paths: set[Path]) -> set[Path]:
    inner = {path[:length] for path in paths for length in range(1, len(path))}
    return paths - inner


def adopted(meta: Body, time: str, api_version: str) -> list[dict[str, Any]] | None:
    """ManagedFields in which what our predecessors (on first contact) and people with kubectl own is ours.

    The next apply then removes what it does not name. None when there is nobody to take anything from.

    Args:
        meta: The live object's metadata.
        time: For an entry of ours that is new.
        api_version: The version that the apply will use.
    """
    first = ours(meta) is None
    taken: set[Path] = set()
    rest: list[dict[str, Any]] = []
    for entry in entries(meta):
        name = str(entry.get("manager"))
        mine = _is_ours(entry)
        inherits = not entry.get("subresource") and (name.startswith(PEOPLE) or (first and name in PREDECESSORS))
        if not mine and not inherits:
            rest.append(dict(entry))
            continue
        paths = fields.members(entry.get("fieldsV1") or {})
        kept = paths & set(KEPT) if not mine else set()
        taken |= paths - kept
        if kept:
            rest.append({**entry, "fieldsV1": fields.tree(kept)})
    before = ours(meta)
    if not taken or (before is not None and taken == fields.members(before.get("fieldsV1") or {})):
        return None
    entry = {
        "manager": MANAGER,
        "operation": "Apply",
        "apiVersion": (before or {}).get("apiVersion") or api_version,
        "time": (before or {}).get("time") or time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields.tree(taken),
    }
    return [entry, *rest]


@dataclass(frozen=True, slots=True)
class Hand:
    """Who changed an object, as managedFields name it: the field manager, and when (RFC 3339)."""

    manager: str
    time: str

    def __str__(self) -> str:
        return f"changed by {self.manager} at {self.time}"


UNNAMED = "changed by somebody that managedFields does not name"


def overruled(before: Body, after: Body) -> Hand | None:
    """Whose fields a write of ours took: of several the last who wrote."""
    kept = {(entry.get("manager"), entry.get("operation")): entry.get("fieldsV1") for entry in others(after)}
    lost = [
        entry
        for entry in others(before)
        if kept.get((entry.get("manager"), entry.get("operation"))) != entry.get("fieldsV1")
    ]
    return _last(lost)


def latest(meta: Body, paths: set[Path] | None = None) -> Hand | None:
    """Who else wrote last; with paths only among those who own one of them."""
    found = others(meta)
    if paths is not None:
        found = [entry for entry in found if fields.members(entry.get("fieldsV1") or {}) & paths]
    return _last(found)


def _last(found: Sequence[Entry]) -> Hand | None:
    if not found:
        return None
    entry = max(found, key=lambda item: str(item.get("time") or ""))
    return Hand(str(entry.get("manager")), str(entry.get("time")))
