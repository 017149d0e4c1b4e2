"""Who owns which field: server-side apply and plain updates, with conflicts. Called by storage for every write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from fleetbeat.simulator import fields
from fleetbeat.simulator.fields import Body, Fields, Paths
from fleetbeat.simulator.kinds import Kind
from fleetbeat.simulator.managed import Manager, Managers, Owned
from fleetbeat.simulator.statuses import StatusError, details


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply makes: the object, its paths as `fields.of` gives them with maps, and its managers."""

    body: Body
    paths: Paths
    managers: Managers


def applied(
    kind: Kind, live: Body, before: Paths, managers: Managers, config: Body, manager: Manager, *, force: bool, now: str
) -> Applied:
    """Server-side apply over a live object (or an empty one) whose paths are `before`. Changes nothing that it is given.

    Raises:
        StatusError: 409, other managers own fields with other values and `force` is off.
    """
    wanted = {name: value for name, value in _without_nulls(config).items() if name != "status" or not kind.status}
    mine = frozenset(fields.of(kind, wanted))
    # An applier stays the same one when it moves to another version.
    earlier = next((key for key in managers if _identity(key) == _identity(manager)), manager)
    last = managers.get(earlier)
    others = {key: owned for key, owned in managers.items() if key != earlier}
    merged: Body = fields.merge(kind, live, wanted)
    gone = last.fields - mine if last else frozenset()
    if gone:
        kept = fields.with_ancestors(mine.union(*(owned.fields for owned in others.values())))
        merged = orjson.loads(orjson.dumps(merged))
        fields.remove(merged, (path for path in gone if path not in kept))
    paths = fields.of(kind, merged, maps=True)
    moved, removed = fields.differing(before, paths)
    conflicts = {key: owned.fields & moved for key, owned in others.items() if owned.fields & moved}
    if conflicts and not force:
        raise _conflict(conflicts)
    left = {key: _without(owned, moved | removed) for key, owned in others.items()}
    same = last and last.fields == mine and earlier == manager and not moved and not removed
    left[manager] = Owned(mine, last.time if last and same else now)
    return Applied(merged, paths, {key: owned for key, owned in left.items() if owned.fields})


def updated(before: Paths, managers: Managers, after: Paths, manager: Manager, *, now: str) -> Managers:
    """The managers after a create, an update or a patch: who changes a field owns it, alone."""
    moved, removed = fields.differing(before, after)
    if not moved and not removed:
        return managers
    left = {key: _without(owned, moved | removed) for key, owned in managers.items() if key != manager}
    own = managers.get(manager)
    left[manager] = Owned(((own.fields if own else frozenset()) - removed) | moved, now)
    return {key: owned for key, owned in left.items() if owned.fields}


def before_first_apply(kind: Kind, paths: Paths, *, now: str) -> Managers:
    """Who owns an object that nobody owns when it is first applied: one manager, everything but the status."""
    owned = frozenset(path for path in paths if path[0] != "f:status" or not kind.status)
    return {Manager("before-first-apply", "Update", kind.api_version): Owned(owned, now)} if owned else {}


def alike(one: Managers, other: Managers) -> bool:
    """True when the same managers own the same fields, whenever they came to; a real server writes no new times alone."""
    return len(one) == len(other) and all(
        key in other and (owned is other[key] or owned.fields == other[key].fields) for key, owned in one.items()
    )


def _identity(key: Manager) -> tuple[str, ...]:
    return key.name, key.operation, key.subresource, "" if key.operation == "Apply" else key.api_version


def _without(owned: Owned, paths: Fields) -> Owned:
    return owned if owned.fields.isdisjoint(paths) else replace(owned, fields=owned.fields - paths)


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
