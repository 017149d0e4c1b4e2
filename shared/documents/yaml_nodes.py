"""YAML and JSON into plain values that remember their lines, safely for any input.

It reads the parser's events, so neither depth nor aliases can exhaust the stack or the memory, and finds duplicate keys,
which `yaml.safe_load` passes over. Plain scalars are typed as in YAML 1.2, and `yes`, `no`, `on`, `off` as kubectl does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from shared.documents.problems import shown

MAX_DEPTH = 100
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"(?i:true|yes|on)")
_FALSE = re.compile(r"(?i:false|no|off)")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TAGS = {f"tag:yaml.org,2002:{name}": name for name in ("str", "null", "bool", "int", "float", "seq", "map")}


class YamlProblem(Exception):  # noqa: N818 (caught one module up, where it becomes a Problem)
    """The text cannot be read on from this line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class Number:
    """A number as its text: most fields want none and say so in a message, those that do read it themselves."""

    text: str

    def __str__(self) -> str:
        return self.text


Scalar = str | bool | Number | None


@dataclass(slots=True)
class Node:
    """A value and the line where it starts; for a mapping also the line of every key."""

    line: int
    value: Scalar | list[Node] | dict[str, Node]
    key_lines: dict[str, int] = field(default_factory=dict)
    size: int = 1
    depth: int = 1
    problems: list[tuple[int, str, str]] = field(default_factory=list)
    """On a document's root only: line, field, message."""

    def plain(self) -> Any:
        """Without lines."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def line_of(self, loc: tuple[str | int, ...]) -> int:
        """The line of the deepest part of the location that is there."""
        line, node = self.line, self
        for part in loc:
            if isinstance(node.value, dict) and part in node.value:
                line, node = node.key_lines[str(part)], node.value[str(part)]
            elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.line
            else:
                break
        return line


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is not finished yet."""

    node: Node
    anchor: str | None
    key: str | None = None
    expects_value: bool = False
    merge: bool = False
    merged: list[Node] = field(default_factory=list)


def documents(text: str, max_nodes: int) -> Iterator[Node]:
    """Every document of the text.

    Args:
        text: YAML, or JSON.
        max_nodes: Most values in the whole text, those behind an alias counted as often as it is used.

    Raises:
        YamlProblem: It is no YAML from some line on, or too large, or nested too deep.
    """
    reader = _Reader(max_nodes)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if (root := reader.take(event)) is not None:
                yield root
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlProblem(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlProblem(line, f"not YAML: {error.reason}") from error


class _Reader:
    def __init__(self, max_nodes: int) -> None:
        self._left = max_nodes
        self._max = max_nodes
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node | None] = {}
        self._problems: list[tuple[int, str, str]] = []

    def take(self, event: Any) -> Node | None:
        """One event in; a root out when it completes a document."""
        line = event.start_mark.line + 1
        match event:
            case yaml.DocumentStartEvent():
                self._anchors, self._problems = {}, []
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._open(event, line)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                frame = self._stack.pop()
                self._merge(frame)
                return self._done(frame.node, frame.anchor)
            case yaml.ScalarEvent():
                self._count(1, line)
                is_merge = event.value == "<<" and event.implicit[0] and bool(self._stack)
                return self._done(Node(line, self._scalar(event, line)), event.anchor, is_merge=is_merge)
            case yaml.AliasEvent():
                return self._done(self._aliased(str(event.anchor), line), None)
        return None

    def _open(self, event: Any, line: int) -> None:
        self._count(1, line)
        if len(self._stack) >= MAX_DEPTH:
            raise YamlProblem(line, f"nested deeper than {MAX_DEPTH} levels")
        is_list = isinstance(event, yaml.SequenceStartEvent)
        self._check_tag(event.tag, {"seq"} if is_list else {"map"}, line)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Frame(Node(line, [] if is_list else {}), event.anchor))

    def _done(self, node: Node, anchor: str | None, *, is_merge: bool = False) -> Node | None:
        if anchor:
            self._anchors[anchor] = node
        if not self._stack:
            node.problems = self._problems
            return node
        frame = self._stack[-1]
        parent = frame.node
        if isinstance(parent.value, list):
            parent.value.append(node)
            self._grow(parent, node)
        elif frame.expects_value:
            self._put(frame, node)
        else:
            frame.key, frame.merge = self._key(frame, node, is_merge=is_merge), is_merge
            frame.expects_value = True
            if frame.key is not None:
                parent.key_lines[frame.key] = node.line
        return None

    def _key(self, frame: _Frame, node: Node, *, is_merge: bool) -> str | None:
        if is_merge:
            return None
        if not isinstance(node.value, str):
            self._problems.append(
                (node.line, "", f"a key must be a text, here it is {said(node.value)}; write it in quotes")
            )
            return None
        if node.value in frame.node.key_lines:
            first = frame.node.key_lines[node.value]
            self._problems.append((node.line, node.value, f"given twice, first in line {first}; remove one"))
        return node.value

    def _put(self, frame: _Frame, node: Node) -> None:
        frame.expects_value = False
        if frame.merge:
            frame.merged.append(node)
        elif frame.key is not None and isinstance(frame.node.value, dict):
            frame.node.value[frame.key] = node
        self._grow(frame.node, node)

    @staticmethod
    def _grow(parent: Node, child: Node) -> None:
        parent.size += child.size
        parent.depth = max(parent.depth, child.depth + 1)

    def _merge(self, frame: _Frame) -> None:
        """`<<` of YAML 1.1: keys of the mapping itself win, then those of the first one merged."""
        target = frame.node
        for node in frame.merged:
            for source in node.value if isinstance(node.value, list) else [node]:
                if not isinstance(source.value, dict) or not isinstance(target.value, dict):
                    self._problems.append((node.line, "<<", "must name a mapping or a list of mappings"))
                    continue
                for key, child in source.value.items():
                    if key not in target.value:
                        target.value[key] = child
                        target.key_lines[key] = source.key_lines[key]

    def _aliased(self, anchor: str, line: int) -> Node:
        if anchor not in self._anchors:
            raise YamlProblem(line, f"*{anchor} has no &{anchor} before it")
        node = self._anchors[anchor]
        if node is None:
            raise YamlProblem(line, f"*{anchor} is inside &{anchor}; it cannot hold itself")
        self._count(node.size, line)
        if len(self._stack) + node.depth > MAX_DEPTH:
            raise YamlProblem(line, f"nested deeper than {MAX_DEPTH} levels")
        return node

    def _scalar(self, event: Any, line: int) -> Scalar:
        text: str = event.value
        kinds = {"str", "null", "bool", "int", "float"}
        tag = self._check_tag(event.tag, kinds, line)
        if tag == "str" or (tag is None and not event.implicit[0]):
            return self._text(text, line)
        if _NULL.fullmatch(text):
            return None
        if _TRUE.fullmatch(text):
            return True
        if _FALSE.fullmatch(text):
            return False
        return Number(text) if _INT.fullmatch(text) or _FLOAT.fullmatch(text) else self._text(text, line)

    def _text(self, text: str, line: int) -> str:
        """Libyaml refuses escapes for half a character on its own, PyYAML's own parser does not."""
        if any("\ud800" <= char <= "\udfff" for char in text):
            self._problems.append((line, "", "a text holds half of a surrogate pair (\\ud800 to \\udfff)"))
            return ""
        return text

    def _check_tag(self, tag: str | None, kinds: set[str], line: int) -> str | None:
        if tag is None or tag == "!":
            return "str" if tag == "!" and "str" in kinds else None
        name = _TAGS.get(tag)
        if name not in kinds:
            self._problems.append((line, "", f"the tag {shown(tag)} is not supported here; remove it"))
            return None
        return name

    def _count(self, nodes: int, line: int) -> None:
        self._left -= nodes
        if self._left < 0:
            raise YamlProblem(
                line, f"more than {self._max} values, aliases counted as often as they are used; split the file"
            )


def said(value: object) -> str:
    """A value in words, for `here it is …`."""
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return "true or false (yes, no, on and off count as such)"
        case None:
            return "empty"
        case Number():
            return f"the number {shown(value)}"
        case _:
            return shown(value)
