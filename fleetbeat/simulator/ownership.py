"""Who owns which field: server-side apply and plain updates, with conflicts. Called by storage for every write."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from fleetbeat.simulator import fields
from fleetbeat.simulator.fields import Body, Fields
from fleetbeat.simulator.kinds import Kind
from fleetbeat.simulator.statuses import StatusError, details


@dataclass(frozen=True, slots=True)
class Manager:
    """The identity of one entry of `managedFields`."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Owned:
    """What one manager owns, and since when (RFC 3339)."""

    fields: Fields
    time: str


Managers = Mapping[Manager, Owned]


def applied(
    kind: Kind, live: Body | None, managers: Managers, config: Body, manager: Manager, *, force: bool, now: str
) -> tuple[Body, Managers]:
    """Server-side apply: the new object and its managers.

    Raises:
        StatusError: 409, other managers own fields with other values and `force` is off.
    """
    wanted = {name: value for name, value in _without_nulls(config).items() if name != "status" or not kind.status}
    mine = frozenset(fields.of(kind, wanted))
    before = live or {}
    merged = deepcopy(fields.merge(kind, before, wanted))
    last = managers.get(manager)
    if last:
        others = {path for key, owned in managers.items() if key != manager for path in owned.fields}
        kept = fields.with_ancestors(others | mine)
        fields.remove(merged, (path for path in last.fields if path not in kept))
    moved, removed = fields.differing(fields.of(kind, before, maps=True), fields.of(kind, merged, maps=True))
    conflicts = {
        key: owned.fields & moved for key, owned in managers.items() if key != manager and owned.fields & moved
    }
    if conflicts and not force:
        raise _conflict(conflicts)
    left = {
        key: replace(owned, fields=owned.fields - moved - removed) for key, owned in managers.items() if key != manager
    }
    since = last.time if last and last.fields == mine and not moved and not removed else now
    left[manager] = Owned(mine, since)
    return merged, {key: owned for key, owned in left.items() if owned.fields}


def updated(kind: Kind, live: Body | None, managers: Managers, new: Body, manager: Manager, *, now: str) -> Managers:
    """The managers after a create, an update or a patch: who changes a field owns it, alone."""
    moved, removed = fields.differing(fields.of(kind, live or {}, maps=True), fields.of(kind, new, maps=True))
    if not moved and not removed:
        return managers
    left = {
        key: replace(owned, fields=owned.fields - moved - removed) for key, owned in managers.items() if key != manager
    }
    own = managers.get(manager)
    left[manager] = Owned(((own.fields if own else frozenset()) - removed) | moved, now)
    return {key: owned for key, owned in left.items() if owned.fields}


def encoded(managers: Managers) -> list[Body]:
    """`metadata.managedFields`."""
    rows = sorted(managers.items(), key=lambda row: (row[0].operation, row[1].time, row[0].name, row[0].subresource))
    return [
        {
            "manager": key.name,
            "operation": key.operation,
            "apiVersion": key.api_version,
            "time": owned.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields.encode(owned.fields),
            **({"subresource": key.subresource} if key.subresource else {}),
        }
        for key, owned in rows
    ]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(child) for name, child in value.items() if child is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _conflict(conflicts: Mapping[Manager, Fields]) -> StatusError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{key.name}"'
            + (f' with subresource "{key.subresource}"' if key.subresource else "")
            + (f" using {key.api_version}" if key.operation == "Update" else ""),
            "field": fields.spoken(path),
        }
        for key, paths in conflicts.items()
        for path in sorted(paths)
    ]
    count = len(causes)
    listed = "".join(f"\n- {cause['field']}" for cause in causes)
    first = causes[0]
    message = (
        f"Apply failed with {count} conflict: {first['message']}: {first['field']}"
        if count == 1
        else f"Apply failed with {count} conflicts: {first['message']}:{listed}"
    )
    return StatusError(409, "Conflict", message, {**details("", "", ""), "causes": causes})
