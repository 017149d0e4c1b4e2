"""The inventory of a Sync: an ApplySet (KEP-3659) whose parent is a ConfigMap in the cluster's system namespace."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PART_OF = "applyset.kubernetes.io/part-of"
ID = "applyset.kubernetes.io/id"
TOOLING = "applyset.kubernetes.io/tooling"
GROUP_KINDS = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
FLEET = "fleetbeat/fleet"
SYNC = "fleetbeat/sync"
RENDER = "fleetbeat/render"

GroupKind = tuple[str, str]
Body = dict[str, Any]


def parent_name(sync: str) -> str:
    """The name of the parent ConfigMap."""
    return f"fleetbeat-{sync}"


def applyset_id(name: str, namespace: str) -> str:
    """The id of an ApplySet whose parent is a ConfigMap, by the KEP's formula."""
    digest = hashlib.sha256(f"{name}.{namespace}.ConfigMap.".encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a parent says. Kinds are only ever dropped from it after their objects were seen to be gone."""

    sync: str
    namespace: str
    fleet: str
    group_kinds: frozenset[GroupKind] = frozenset()
    namespaces: frozenset[str] = frozenset()
    render: str = ""

    @property
    def id(self) -> str:
        return applyset_id(parent_name(self.sync), self.namespace)

    def widened(self, group_kinds: Iterable[GroupKind], namespaces: Iterable[str]) -> Inventory:
        """The same inventory with more kinds and namespaces in it."""
        kinds, places = self.group_kinds | set(group_kinds), self.namespaces | set(namespaces)
        return Inventory(self.sync, self.namespace, self.fleet, kinds, places, self.render)

    def manifest(self, data: Mapping[str, str]) -> Body:
        """The parent ConfigMap, with what a person at the cluster asks in its data."""
        kinds = sorted(f"{kind}.{group}" if group else kind for group, kind in self.group_kinds)
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": parent_name(self.sync),
                "namespace": self.namespace,
                "labels": {ID: self.id, "app.kubernetes.io/managed-by": "fleetbeat"},
                "annotations": {
                    TOOLING: "fleetbeat/v1",
                    GROUP_KINDS: ",".join(kinds),
                    NAMESPACES: ",".join(sorted(self.namespaces)),
                    FLEET: self.fleet,
                    SYNC: self.sync,
                    RENDER: self.render,
                },
            },
            "data": dict(data),
        }


def read_parent(meta: Mapping[str, Any]) -> Inventory | None:
    """The inventory in a parent's metadata, or None when the parent is another tool's."""
    notes = meta.get("annotations") or {}
    if not str(notes.get(TOOLING, "")).startswith("fleetbeat/") or SYNC not in notes:
        return None
    kinds = set()
    for text in filter(None, notes.get(GROUP_KINDS, "").split(",")):
        kind, _, group = text.partition(".")
        kinds.add((group, kind))
    places = frozenset(filter(None, notes.get(NAMESPACES, "").split(",")))
    return Inventory(
        notes[SYNC], meta["namespace"], notes.get(FLEET, ""), frozenset(kinds), places, notes.get(RENDER, "")
    )
