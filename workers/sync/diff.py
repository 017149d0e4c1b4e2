"""What differs between two states of an object, field by field, fit to be kept: values of Secrets are masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared import redaction

MOST_FIELDS = 50
_IGNORED = frozenset(
    {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink", "deletionTimestamp"}
)
_ABSENT = object()


def fields(before: Mapping[str, Any], after: Mapping[str, Any], key: bytes) -> list[dict[str, Any]]:
    """Changed fields as {path, from, to}; `from` or `to` is absent where there was or is none. At most 50, then a count.

    Values of Secrets are masked with digests under `key`: equal values are equally masked, and nothing else can be told.
    """
    secret = redaction.is_secret(dict(after)) or redaction.is_secret(dict(before))
    rows: list[dict[str, Any]] = []
    _walk("", _visible(before), _visible(after), rows)
    if secret:
        rows = [_masked(row, key) for row in rows]
    rows = [{name: redaction.shortened(value) for name, value in row.items()} for row in rows]
    if len(rows) > MOST_FIELDS:
        rows = [*rows[:MOST_FIELDS], {"path": f"… and {len(rows) - MOST_FIELDS} more fields"}]
    return rows


def _visible(body: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in body.items() if name != "status"}
    shown["metadata"] = {name: value for name, value in (body.get("metadata") or {}).items() if name not in _IGNORED}
    return shown


def _walk(path: str, before: Any, after: Any, rows: list[dict[str, Any]]) -> None:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            _walk(f"{path}.{name}" if path else name, before.get(name, _ABSENT), after.get(name, _ABSENT), rows)
    elif isinstance(before, list) and isinstance(after, list):
        old, new = _keyed(before), _keyed(after)
        for name in list(dict.fromkeys([*old, *new])):
            _walk(f"{path}[{name}]", old.get(name, _ABSENT), new.get(name, _ABSENT), rows)
    else:
        row: dict[str, Any] = {"path": path}
        if before is not _ABSENT:
            row["from"] = before
        if after is not _ABSENT:
            row["to"] = after
        rows.append(row)


def _keyed(items: list[Any]) -> dict[str, Any]:
    names = [str(item["name"]) if isinstance(item, dict) and "name" in item else str(n) for n, item in enumerate(items)]
    return dict(zip(names if len(set(names)) == len(names) else map(str, range(len(items))), items, strict=False))


def _masked(row: dict[str, Any], key: bytes) -> dict[str, Any]:
    if not row["path"].startswith(("data", "stringData", "metadata.annotations")):
        return row
    return {name: value if name == "path" else redaction.masked(value, key) for name, value in row.items()}
