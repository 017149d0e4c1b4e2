"""Field paths as `managedFields` writes them, and what merging, comparing and removing them does to an object.

A path is a tuple of elements: `f:NAME` a field, `k:{"name":"x"}` an item of a keyed list, `v:"x"` an item of a set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from operator import is_
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
_ABSENT = object()

# What nobody owns, because the server writes it or it names the object.
_NOBODYS = frozenset(
    {
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "selfLink", "managedFields",
    }
)  # fmt: skip


class DuplicateItemError(ValueError):
    """A keyed list has two items with the same keys; server-side apply refuses those."""


def of(kind: Kind, body: Mapping[str, Any], *, maps: bool = False) -> Paths:
    """Every owned path of an object with its value; `maps` adds maps and merged lists themselves, as an Update owns them.

    Raises:
        DuplicateItemError: without `maps` only.
    """
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
            if not maps and element in found:
                keys = spoken(element[-1:])
                raise DuplicateItemError(f"{spoken(path)}: duplicate entries for key {keys}")
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


def merge(kind: Kind, live: Any, wanted: Any, names: tuple[str, ...] = ()) -> Any:
    """The live value with everything wanted laid over it; what is wanted stays in its own order.

    What does not change stays the very same value, all the way up, which is how `changes` knows where not to look.
    """
    if isinstance(live, dict) and isinstance(wanted, dict):
        if names and schema.atomic_map(kind, names):
            return live if same(live, wanted) else wanted
        found = {}
        for name, value in wanted.items():
            if name not in live:
                found[name] = value
            elif (merged := merge(kind, live[name], value, (*names, name))) is not live[name]:
                found[name] = merged
        return {**live, **found} if found else live
    if isinstance(live, list) and isinstance(wanted, list):
        shape = schema.list_shape(kind, names)
        if shape == "set":
            added = [item for item in wanted if item not in live]
            return [*live, *added] if added else live
        if shape != "atomic":
            return _merged_items(kind, live, wanted, names, shape)
    return live if same(live, wanted) else wanted


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
    merged.extend(pending.values())
    return live if len(merged) == len(live) and all(map(is_, merged, live)) else merged


def same(one: Any, other: Any) -> bool:
    """True for the same JSON: 1 is 1.0 and is not true."""
    if one is other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)


def changes(kind: Kind, old: Body, new: Body) -> tuple[Fields, Fields]:
    """(changed or added, removed) paths between two objects, maps and merged lists themselves included."""
    moved: set[Path] = set()
    removed: set[Path] = set()
    for name in {**old, **new}:
        if name == "metadata":
            before, after = old.get(name) or {}, new.get(name) or {}
            for key in {**before, **after}:
                if key not in _NOBODYS:
                    sides = before.get(key, _ABSENT), after.get(key, _ABSENT)
                    _compare(kind, *sides, ("f:metadata", f"f:{key}"), ("metadata", key), moved, removed)
        elif name not in {"apiVersion", "kind"}:
            _compare(kind, old.get(name, _ABSENT), new.get(name, _ABSENT), (f"f:{name}",), (name,), moved, removed)
    return frozenset(moved), frozenset(removed)


def _compare(
    kind: Kind, old: Any, new: Any, path: Path, names: tuple[str, ...], moved: set[Path], removed: set[Path]
) -> None:
    if old is new:
        return
    if isinstance(old, dict) and isinstance(new, dict) and old and new and not schema.atomic_map(kind, names):
        for name in {**old, **new}:
            sides = old.get(name, _ABSENT), new.get(name, _ABSENT)
            _compare(kind, *sides, (*path, f"f:{name}"), (*names, name), moved, removed)
        return
    if isinstance(old, list) and isinstance(new, list) and old and new:
        shape = schema.list_shape(kind, names)
        if shape != "atomic":
            before, after = ({_element(shape, item): item for item in items} for items in (old, new))
            for element in {**before, **after}:
                sides = [before[element]] if element in before else [], [after[element]] if element in after else []
                _compare_items(kind, *sides, (*path, element), names, moved, removed)
            return
    one, other = (_below(kind, value, path, names) for value in (old, new))
    moved.update(key for key, value in other.items() if key not in one or not same(one[key], value))
    removed.update(key for key in one if key not in other)


def _compare_items(
    kind: Kind, old: list[Any], new: list[Any], path: Path, names: tuple[str, ...], moved: set[Path], removed: set[Path]
) -> None:
    """Items with the same keys, of which one may be absent: none is told by an empty list."""
    if not old or not new:
        (moved if new else removed).add(path)
    one, other = (items[0] if items and isinstance(items[0], dict) else {} for items in (old, new))
    for name in {**one, **other}:
        sides = one.get(name, _ABSENT), other.get(name, _ABSENT)
        _compare(kind, *sides, (*path, f"f:{name}"), (*names, name), moved, removed)


def _below(kind: Kind, value: Any, path: Path, names: tuple[str, ...]) -> Paths:
    found: Paths = {}
    if value is not _ABSENT:
        _visit(kind, value, path, names, found, maps=True)
    return found


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


@lru_cache(maxsize=8192)
def encode(fields: Fields) -> Body:
    """`fieldsV1`. Objects of one shape share one answer, so it is never to be changed."""
    tree: Body = {}
    for path in fields:
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node["."] = {}
    return _thinned(tree)


@lru_cache(maxsize=8192)
def shared(fields: Fields) -> Fields:
    """The same set, one for all objects that own the same."""
    return fields


def _thinned(node: Body) -> Body:
    return {
        step: {} if step == "." or child.keys() == {"."} else _thinned(child) for step, child in sorted(node.items())
    }


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
