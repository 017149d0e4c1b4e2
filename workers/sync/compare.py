"""Is an object what Git wants? By value, on every path that Git names, whoever owns it. Pure; no normalising: what differs here in
writing only (`1` and `1000m`) is decided by the API server with a dry run, and its verdict is remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Body = Mapping[str, Any]


def covers(live: Any, desired: Any) -> bool:
    """True when the live value has everything desired, with the same values; a desired null asks for nothing."""
    if desired is None:
        return live is None
    if isinstance(desired, dict):
        return isinstance(live, dict) and all(
            (value is None and name not in live) or (name in live and covers(live[name], value))
            for name, value in desired.items()
        )
    if isinstance(desired, list):
        return (
            isinstance(live, list)
            and len(live) == len(desired)
            and all(covers(one, other) for one, other in zip(live, desired, strict=True))
        )
    return type(live) is type(desired) and bool(live == desired)


def reduced(live: Any, desired: Any) -> Any:
    """The live value on the paths that are desired: what a write will change is the difference to it."""
    if isinstance(live, dict) and isinstance(desired, dict):
        return {name: reduced(live[name], value) for name, value in desired.items() if name in live}
    return live


def wanted_changes(
    live: Any, desired: Any, above: tuple[str | int, ...] = ()
) -> list[tuple[tuple[str | int, ...], Any]]:
    """(path, value) of everything desired that the live value does not have; a list that differs counts as a whole."""
    if isinstance(live, dict) and isinstance(desired, dict):
        return [
            found for name, value in desired.items() for found in wanted_changes(live.get(name), value, (*above, name))
        ]
    return [] if covers(live, desired) else [(above, desired)]


def at(body: Any, path: tuple[str | int, ...] | list[str | int]) -> Any:
    """The value at a path of `wanted_changes`, or None."""
    for step in path:
        body = body.get(step) if isinstance(body, dict) else None
    return body
