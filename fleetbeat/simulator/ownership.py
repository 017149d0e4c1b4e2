"""Who owns which field: server-side apply and plain updates, with conflicts. Called by storage for every write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import orjson

from fleetbeat.simulator import fields
from fleetbeat.simulator.fields import Body, Fields
from fleetbeat.simulator.kinds import Kind
from fleetbeat.simulator.managed import Manager, Managers, Owned
from fleetbeat.simulator.statuses import StatusError


def applied(
    kind: Kind, live: Body, managers: Managers, wanted: Body, mine: Fields, manager: Manager, *, force: bool, now: str
) -> tuple[Body, Managers]:
    """Server-side apply over a live object (or an empty one): the new object and its managers.

    `mine` are the paths of what is wanted. Nothing that is given is changed; what stays the same is shared.

    Raises:
        StatusError: 409, other managers own fields with other values and `force` is off.
    """
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
    moved, removed = fields.changes(kind, live, merged)
    conflicts = {key: owned.fields & moved for key, owned in others.items() if owned.fields & moved}
    if conflicts and not force:
        raise _conflict(conflicts)
    # What others own stays unless it changes: even a map that is gone, as long as nobody puts it back.
    left = {key: _without(owned, moved) for key, owned in others.items()}
    same = last and last.fields == mine and earlier == manager and not moved and not removed
    left[manager] = last if last and same else Owned(fields.shared(mine), now)
    return merged, {key: owned for key, owned in left.items() if owned.fields}


def updated(kind: Kind, old: Body, new: Body, managers: Managers, manager: Manager, *, now: str) -> Managers:
    """The managers after a create, an update or a patch: who changes a field owns it, alone."""
    moved, removed = fields.changes(kind, old, new)
    if not moved and not removed:
        return managers
    left = {key: _without(owned, moved | removed) for key, owned in managers.items() if key != manager}
    own = managers.get(manager)
    left[manager] = Owned(fields.shared(((own.fields if own else frozenset()) - removed) | moved), now)
    return {key: owned for key, owned in left.items() if owned.fields}


def before_first_apply(kind: Kind, live: Body, *, now: str) -> Managers:
    """Who owns an object that nobody owns when it is first applied: one manager, everything but the status."""
    paths = fields.of(kind, live, maps=True)
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
    return owned if owned.fields.isdisjoint(paths) else replace(owned, fields=fields.shared(owned.fields - paths))


def _conflict(conflicts: Mapping[Manager, Fields]) -> StatusError:
    rows = [
        (f'"{key.name}"{_spoken(key)}', fields.spoken(path))
        for key, paths in conflicts.items()
        for path in sorted(paths)
    ]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": field} for who, field in rows
    ]
    if len(rows) == 1:
        told = f"1 conflict: conflict with {rows[0][0]}: {rows[0][1]}"
    else:
        lines = []
        for who in sorted({who for who, _ in rows}):
            lines += [f"conflicts with {who}:", *(f"- {field}" for other, field in rows if other == who)]
        told = f"{len(rows)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", f"Apply failed with {told}", {"causes": causes})


def _spoken(key: Manager) -> str:
    subresource = f' with subresource "{key.subresource}"' if key.subresource else ""
    return subresource + (f" using {key.api_version}" if key.operation == "Update" else "")
