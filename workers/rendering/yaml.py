"""YAML as kubectl reads it: sigs.k8s.io/yaml's scalars, an error on duplicate keys, and a limit on what aliases expand to."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterator
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from workers.rendering.errors import RenderError

_BASE60 = re.compile(r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$")
_BOOL = {"true": True, "yes": True, "on": True, "y": True, "false": False, "no": False, "off": False, "n": False}
_INT = re.compile(r"^[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|[0-9][0-9_]*)$")
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?$")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_WORD = re.compile(r"^([a-z]+|[A-Z][a-z]*|[A-Z]+)$")


class _Loader(yaml.CSafeLoader):
    """Composes nodes; their values are made by `_value`, not by PyYAML's constructors."""


def documents(text: bytes, path: str, limit: int) -> Iterator[tuple[int, Any]]:
    """(line, value) of every document that is not empty.

    Raises:
        RenderError: Not UTF-8, not YAML, a duplicate key, or more than `limit` nodes once aliases are expanded.
    """
    loader = None
    try:
        loader = _Loader(text.decode("utf-8-sig"))
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            if _size(node, {}, limit) > limit:
                raise RenderError([f"{path}:{_line(node)}: more than {limit} YAML nodes once its aliases are expanded"])
            value = _value(node, path, {})
            if value is not None:
                yield _line(node), value
    except UnicodeDecodeError:
        raise RenderError([f"{path}:1: is not UTF-8 text; leave binary files out with .sourceignore"]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise RenderError(
            [f"{path}:{mark.line + 1 if mark else 1}: malformed YAML: {error.problem or error.context}"]
        ) from None
    except yaml.YAMLError as error:
        raise RenderError([f"{path}:1: malformed YAML: {' '.join(str(error).split())}"]) from None
    except RecursionError:
        raise RenderError([f"{path}:1: is nested too deeply"]) from None
    finally:
        if loader is not None:
            loader.dispose()


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _size(node: Node, known: dict[int, int], limit: int) -> int:
    """Nodes below this one with every alias expanded; shared ones are counted once and multiplied."""
    if id(node) in known:
        if known[id(node)] < 0:
            return limit + 1
        return known[id(node)]
    known[id(node)] = -1
    total = 1
    children = [part for pair in node.value for part in pair] if isinstance(node, MappingNode) else node.value
    if not isinstance(node, ScalarNode):
        for child in children:
            total += _size(child, known, limit)
            if total > limit:
                break
    known[id(node)] = total
    return total


def _value(node: Node, path: str, known: dict[int, Any]) -> Any:
    if id(node) in known:
        return known[id(node)]
    if isinstance(node, ScalarNode):
        value = _scalar(node)
    elif isinstance(node, SequenceNode):
        value = [_value(child, path, known) for child in node.value]
    else:
        value = _mapping(node, path, known)
    known[id(node)] = value
    return value


def _mapping(node: Node, path: str, known: dict[int, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, ScalarNode):
            raise RenderError([f"{path}:{_line(key_node)}: a key must be a single value"])
        value = _value(value_node, path, known)
        if key_node.value == "<<" and not key_node.style:
            for part in value if isinstance(value, list) else [value]:
                if not isinstance(part, dict):
                    raise RenderError([f"{path}:{_line(key_node)}: << needs a mapping"])
                merged = {**part, **merged}
            continue
        key = _key(_scalar(key_node))
        if key in own:
            raise RenderError([f"{path}:{_line(key_node)}: the key {key!r} is there twice; remove one"])
        own[key] = value
    return {**merged, **own}


def _key(value: Hashable) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


_RESOLVER = yaml.resolver.Resolver()


def _scalar(node: ScalarNode) -> Any:
    text: str = node.value
    if node.style or node.tag == "tag:yaml.org,2002:binary":
        return text
    explicit = node.tag != _RESOLVER.resolve(ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return text if explicit and node.tag == "tag:yaml.org,2002:str" else resolve(text)


def resolve(text: str) -> Any:
    """The value of a plain scalar, as sigs.k8s.io/yaml gives it to kubectl."""
    if text in _NULL:
        return None
    if _WORD.match(text) and text.lower() in _BOOL:
        return _BOOL[text.lower()]
    if _BASE60.match(text):
        return text
    if _INT.match(text):
        number = _integer(text.replace("_", ""))
        if number is not None:
            return number
    if _FLOAT.match(text):
        value = float(text.replace("_", ""))
        if math.isfinite(value):
            return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return text


def _integer(text: str) -> int | None:
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    for prefix, base in (("0x", 16), ("0b", 2), ("0o", 8)):
        if digits.startswith(prefix):
            return sign * int(digits[2:], base)
    if len(digits) > 1 and digits[0] == "0":
        return sign * int(digits, 8 if re.fullmatch("[0-7]+", digits) else 10)
    return sign * int(digits) if digits.isdigit() else None
