"""`metadata.managedFields`: who owns which fields, on the wire. Called by storage, which keeps it decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fleetbeat.simulator import fields
from fleetbeat.simulator.fields import Body, Fields, Path


@dataclass(frozen=True, slots=True)
class Manager:
    """The identity of one entry."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Owned:
    """What one manager owns, and since when (RFC 3339; empty where the entry says nothing)."""

    fields: Fields
    time: str


Managers = Mapping[Manager, Owned]


def encoded(managers: Managers) -> list[Body]:
    """The entries in the order of a real server."""
    rows = sorted(managers.items(), key=lambda row: (row[0].operation, row[1].time, row[0].name, row[0].subresource))
    return [
        {
            "manager": key.name,
            "operation": key.operation,
            "apiVersion": key.api_version,
            **({"time": owned.time} if owned.time else {}),
            "fieldsType": "FieldsV1",
            "fieldsV1": fields.encode(owned.fields),
            **({"subresource": key.subresource} if key.subresource else {}),
        }
        for key, owned in rows
    ]


def given(rows: Any, kept: Managers, served: Callable[[str], bool]) -> Managers:
    """What a client's own list makes of the entries that are `kept`: `[]` and `[{}]` reset, no list and a broken one change
    nothing, anything else replaces. Entries of an apiVersion that is not served, and entries without fields, go.
    """
    if not isinstance(rows, list):
        return kept
    if rows in ([], [{}]):
        return {}
    found: dict[Manager, Owned] = {}
    for row in rows:
        decoded = _decoded(row)
        if decoded is None:
            return kept
        found[decoded[0]] = decoded[1]
    return {key: owned for key, owned in found.items() if owned.fields and served(key.api_version)}


def _decoded(row: Any) -> tuple[Manager, Owned] | None:
    if not isinstance(row, dict) or row.get("operation") not in {"Apply", "Update"} or not row.get("apiVersion"):
        return None
    tree = row.get("fieldsV1") or {}
    try:
        owned = fields.shared(frozenset(_paths(tree, ()))) if row.get("fieldsType") == "FieldsV1" else None
    except ValueError:
        return None
    if owned is None:
        return None
    manager = Manager(row.get("manager") or "", row["operation"], row["apiVersion"], row.get("subresource") or "")
    return manager, Owned(owned, row.get("time") or "")


def _paths(tree: Body, above: Path) -> Iterator[Path]:
    for step, child in tree.items():
        if step == ".":
            yield above
            continue
        if step[:2] not in {"f:", "k:", "v:", "i:"} or not isinstance(child, dict):
            raise ValueError(step)
        path = (*above, step)
        if child:
            yield from _paths(child, path)
        else:
            yield path
