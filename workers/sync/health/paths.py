"""Reads one field of an object by its path, as `predicates` describes paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Place = Mapping[str, Any]
"""An object, or a part of one: a condition, a container's status."""
_STEP = re.compile(r"\[([^\]]+)\]|([^.\[]+)")


def value(path: str, place: Place) -> Any:
    """The field, else the default that the path names, else None; also where something on the way is no mapping."""
    steps, _, default = path.partition("|")
    found: Any = place
    for bracketed, plain in _STEP.findall(steps):
        found = found.get(bracketed or plain) if isinstance(found, Mapping) else None
    if found is None and default:
        return int(default) if default.isdigit() else default
    return found


def mappings(path: str, place: Place) -> Iterator[Place]:
    """The items that are mappings of the list at the path; a custom resource may hold anything there."""
    found = value(path, place)
    if isinstance(found, list):
        yield from (item for item in found if isinstance(item, Mapping))
