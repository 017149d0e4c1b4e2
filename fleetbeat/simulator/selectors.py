"""Label selectors as the API server reads them: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`. Called for LIST."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from fleetbeat.simulator.statuses import bad_request

Selector = Callable[[Mapping[str, str]], bool]

_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?"
_SET = re.compile(rf"({_NAME})\s+(in|notin)\s*\(([^()]*)\)")
_EQUALITY = re.compile(rf"({_NAME})\s*(==|=|!=)\s*([-A-Za-z0-9_.]*)")
_EXISTS = re.compile(rf"(!?)\s*({_NAME})")
_COMMA = re.compile(r"\s*,\s*")


@lru_cache(maxsize=512)
def parse(text: str) -> Selector:
    """The predicate on labels; an empty text picks everything.

    Raises:
        StatusError: 400, the text is no selector.
    """
    requirements: list[Selector] = []
    rest = text.strip()
    while rest:
        matched, requirement = _requirement(rest)
        requirements.append(requirement)
        rest = rest[matched:].lstrip()
        if rest:
            comma = _COMMA.match(rest)
            if not comma or comma.end() == len(rest):
                raise _problem(rest)
            rest = rest[comma.end() :]
    return lambda labels: all(requirement(labels) for requirement in requirements)


def _requirement(text: str) -> tuple[int, Selector]:
    if found := _SET.match(text):
        key, values, wanted = found[1], _values(found[3]), found[2] == "in"
        if wanted:
            return found.end(), lambda labels: labels.get(key) in values
        return found.end(), lambda labels: labels.get(key) not in values
    if found := _EQUALITY.match(text):
        key, value = found[1], found[3]
        if found[2] == "!=":
            return found.end(), lambda labels: labels.get(key) != value
        return found.end(), lambda labels: labels.get(key) == value
    if found := _EXISTS.match(text):
        key = found[2]
        if found[1]:
            return found.end(), lambda labels: key not in labels
        return found.end(), lambda labels: key in labels
    raise _problem(text)


def _values(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(","))


def _problem(text: str) -> Exception:
    return bad_request(f"unable to parse requirement: found '{text[:1]}', expected: identifier")
