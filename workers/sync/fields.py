"""Field sets as `managedFields` writes them (`fieldsV1`), as plain sets of paths. Pure.

A path is a tuple of steps: `f:NAME` a field, `k:{"name":"x"}` an item of a keyed list, `v:"x"` an item of a set, `i:0` an item by
position. Source: sigs.k8s.io/structured-merge-diff, fieldpath/serialize.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

Path = tuple[str, ...]
Tree = Mapping[str, Any]


def members(tree: Tree) -> set[Path]:
    """The paths that a field set holds: every leaf, and every inner node that is a member itself."""
    return set(_members(tree, ()))


def _members(tree: Tree, above: Path) -> Iterator[Path]:
    for step, below in tree.items():
        if step == ".":
            continue
        path = (*above, step)
        if not below or "." in below:
            yield path
        if below:
            yield from _members(below, path)


def tree(paths: Iterable[Path]) -> dict[str, Any]:
    """The `fieldsV1` that holds exactly these paths."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for step in path:
            node = node.setdefault(step, {})
        node["."] = {}
    return _thinned(root)


def _thinned(node: dict[str, Any]) -> dict[str, Any]:
    return {step: {} if step == "." or set(below) == {"."} else _thinned(below) for step, below in sorted(node.items())}


def holds(body: Any, path: Path) -> bool:
    """True when an object says something at a path, be it null."""
    return at(body, path)[0]


def at(body: Any, path: Path) -> tuple[bool, Any]:
    """Whether an object says something at a path, and what."""
    value = body
    for step in path:
        found, value = _step(value, step)
        if not found:
            return False, None
    return True, value


def _step(value: Any, step: str) -> tuple[bool, Any]:
    if step.startswith("f:"):
        name = step[2:]
        return (True, value[name]) if isinstance(value, dict) and name in value else (False, None)
    if not isinstance(value, list):
        return False, None
    if step.startswith("i:"):
        index = int(step[2:])
        return (True, value[index]) if index < len(value) else (False, None)
    wanted = orjson.loads(step[2:])
    for item in value:
        if item == wanted if step.startswith("v:") else _has(item, wanted):
            return True, item
    return False, None


def _has(item: Any, keys: Any) -> bool:
    return isinstance(item, dict) and all(item.get(name) == value for name, value in keys.items())


def spoken(path: Path) -> str:
    """The path as people read it: `spec.template.spec.containers[web].image`."""
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}" if text else step[2:]
        elif step.startswith("k:"):
            text += "[" + ",".join(str(value) for value in orjson.loads(step[2:]).values()) + "]"
        else:
            text += f"[{step[2:]}]"
    return text
