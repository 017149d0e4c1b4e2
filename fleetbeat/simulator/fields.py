"""Field paths as `managedFields` writes them, and what merging, comparing and removing them does to an object.

A path is a tuple of elements: `f:NAME` a field, `k:{"name":"x"}` an item of a keyed list, `v:"x"` an item of a set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from fleetbeat.simulator import schema
from fleetbeat.simulator.kinds import Kind

Path = tuple[str, ...]
Fields = frozenset[Path]
Paths = dict[Path, Any]
"""What `of` gives: each path with its value."""
Body = dict[str, Any]

_ITEM = object()

# What nobody owns, because the server writes it or it names the object.
_NOBODYS = frozenset(
    {
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "selfLink", "managedFields",
    }
)  # fmt: skip


def of(kind: Kind, body: Mapping[str, Any], *, maps: bool = False) -> Paths:
    """Every owned path of an object with its value; `maps` adds maps and merged lists themselves, as an Update owns them."""
    found: Paths = {}
    for name, value in body.items():
        if name == "metadata":
            for key, child in value.items():
                if key not in _NOBODYS:
                    _visit(kind, child, ("f:metadata", f"f:{key}"), ("metadata", key), found, maps)
        elif name not in {"apiVersion", "kind"}:
            _visit(kind, value, (f"f:{name}",), (name,), found, maps)
    return found


def _visit(kind: Kind, value: Any, path: Path, names: tuple[str, ...], found: Paths, maps: bool) -> None:
    if isinstance(value, dict):
        if not value or schema.atomic_map(kind, names):
            found[path] = value
            return
        if maps and not schema.always_there(kind, names):
            found[path] = _ITEM
        for name, child in value.items():
            _visit(kind, child, (*path, f"f:{name}"), (*names, name), found, maps)
    elif isinstance(value, list):
        shape = schema.list_shape(kind, names)
        if shape == "atomic":
            found[path] = value
            return
        if maps and value and not schema.always_there(kind, names):
            found[path] = _ITEM
        for item in value:
            element = (*path, _element(shape, item))
            found[element] = _ITEM
            if isinstance(item, dict):
                for name, child in item.items():
                    _visit(kind, child, (*element, f"f:{name}"), (*names, name), found, maps)
    else:
        found[path] = value


def _element(shape: tuple[str, ...] | str, item: Any) -> str:
    if shape == "set":
        return "v:" + orjson.dumps(item).decode()
    keys = {key: _key(item, key) for key in shape}
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def _key(item: Any, key: str) -> Any:
    return item.get(key, schema.DEFAULTS.get(key)) if isinstance(item, dict) else None


def duplicate(kind: Kind, body: Mapping[str, Any]) -> str | None:
    """The first keyed list item that stands twice, as a message; server-side apply refuses those."""
    return _duplicate(kind, body, ())


def _duplicate(kind: Kind, value: Any, names: tuple[str, ...]) -> str | None:
    if isinstance(value, dict):
        return next(
            (found for name, child in value.items() if (found := _duplicate(kind, child, (*names, name)))), None
        )
    if not isinstance(value, list) or schema.list_shape(kind, names) == "atomic":
        return None
    seen: set[str] = set()
    for item in value:
        element = _element(schema.list_shape(kind, names), item)
        if element in seen:
            return f".{'.'.join(names)}: duplicate entries for key [{element[2:]}]"
        seen.add(element)
        if found := _duplicate(kind, item, names):
            return found
    return None


def merge(kind: Kind, live: Any, wanted: Any, names: tuple[str, ...] = ()) -> Any:
    """The live value with everything wanted laid over it; what is wanted stays in its own order."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        if names and schema.atomic_map(kind, names):
            return wanted
        return {
            **live,
            **{
                name: merge(kind, live[name], value, (*names, name)) if name in live else value
                for name, value in wanted.items()
            },
        }
    if isinstance(live, list) and isinstance(wanted, list):
        shape = schema.list_shape(kind, names)
        if shape == "set":
            return [*live, *(item for item in wanted if item not in live)]
        if shape != "atomic":
            return _merged_items(kind, live, wanted, names, shape)
    return wanted


def _merged_items(kind: Kind, live: list[Any], wanted: list[Any], names: tuple[str, ...], shape: Any) -> list[Any]:
    mine = {_element(shape, item): item for item in wanted}
    theirs = {_element(shape, item): item for item in live}
    merged: list[Any] = []
    pending = dict(mine)
    for element, item in theirs.items():
        if element not in mine:
            merged.append(item)
            continue
        # Wanted items that stand before this one keep their place before it.
        for earlier in list(pending):
            if earlier == element:
                break
            if earlier not in theirs:
                merged.append(pending.pop(earlier))
        pending.pop(element, None)
        merged.append(merge(kind, item, mine[element], names))
    return [*merged, *pending.values()]


def differing(old: Mapping[Path, Any], new: Mapping[Path, Any]) -> tuple[Fields, Fields]:
    """(changed or added, removed) between two answers of `of`."""
    moved = {path for path, value in new.items() if path not in old or not _same(old[path], value)}
    return frozenset(moved), frozenset(path for path in old if path not in new)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def with_ancestors(fields: Iterable[Path]) -> set[Path]:
    """The paths and everything above them."""
    return {path[:length] for path in fields for length in range(1, len(path) + 1)}


def remove(body: Body, paths: Iterable[Path]) -> None:
    """Take paths out of an object; maps and lists that become empty go too."""
    gone: set[Path] = set()
    for path in sorted(paths, key=len):
        # An item goes whole: without its keys it could not be found again.
        if not any(path[:length] in gone for length in range(1, len(path))):
            gone.add(path)
            _remove(body, path)


def _remove(value: Any, path: Path) -> None:
    step, rest = path[0], path[1:]
    if step.startswith("f:") and isinstance(value, dict):
        name = step[2:]
        if name not in value:
            return
        if not rest:
            del value[name]
            return
        _remove(value[name], rest)
        if value[name] in ({}, []) and name != "metadata":
            del value[name]
    elif isinstance(value, list):
        wanted = orjson.loads(step[2:])
        for index, item in enumerate(value):
            if item == wanted if step.startswith("v:") else all(_key(item, k) == v for k, v in wanted.items()):
                if rest:
                    _remove(item, rest)
                else:
                    del value[index]
                return


def encode(fields: Iterable[Path]) -> Body:
    """`fieldsV1`."""
    tree: Body = {}
    for path in sorted(fields, key=len):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node.setdefault(".", {})
    return _thinned(tree)


def _thinned(node: Body) -> Body:
    return {step: {} if step == "." or set(child) == {"."} else _thinned(child) for step, child in sorted(node.items())}


def spoken(path: Path) -> str:
    """The path as conflicts name it: `.spec.template.spec.containers[name="web"].image`."""
    return "".join(_spoken(path))


def _spoken(path: Path) -> Iterator[str]:
    for step in path:
        if step.startswith("f:"):
            yield f".{step[2:]}"
        elif step.startswith("v:"):
            yield f"[={step[2:]}]"
        else:
            keys = orjson.loads(step[2:])
            yield "[" + ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in keys.items()) + "]"
