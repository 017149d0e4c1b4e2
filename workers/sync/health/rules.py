"""Reads the table of health: which check of an object's kind is so, and what to say of it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, assert_never

from shared.state.receipts import Health
from workers.sync.health.paths import Place, mappings, value
from workers.sync.health.predicates import (
    Differs,
    Either,
    Equals,
    Every,
    Is,
    Less,
    Matches,
    Not,
    Predicate,
    Present,
    Row,
    Some,
)
from workers.sync.health.reasons import say
from workers.sync.health.table import FIRST, KUBERNETES_GROUPS, ROWS, UNTAUGHT

Rows = Mapping[tuple[str, str], Row]

AUTOSCALER_CONDITIONS = "metadata.annotations[autoscaling.alpha.kubernetes.io/conditions]"
"""Where a HorizontalPodAutoscaler of autoscaling/v1 keeps its conditions, as JSON."""


class Verdict(NamedTuple):
    """The health of one object, and in one line why it is not healthy."""

    health: Health
    reason: str = ""


def may_be_unready(group: str, kind: str) -> bool:
    """False for kinds that are ready by existing: those of Kubernetes itself that have no rule."""
    return (group, kind) in ROWS or group not in KUBERNETES_GROUPS


def judge(body: Place, rows: Rows = ROWS) -> Verdict:
    """The verdict on one live object, whole and with apiVersion and kind, by the first of its checks that is so.

    Args:
        body: The object.
        rows: The rules by (group, kind); others than the built-in ones for expressions of a Sync.
    """
    group = str(body.get("apiVersion") or "").rpartition("/")[0]
    row = rows.get((group, str(body.get("kind") or "")))
    for check in (*FIRST, *(row.checks if row else UNTAUGHT)):
        place = _find(check.when, body)
        if place is not None:
            return Verdict(check.health, say(check.message, place) if check.health != "healthy" else "")
    return Verdict("healthy")


def _find(predicate: Predicate, place: Place) -> Place | None:
    """Where it is so: the condition, the item or the place itself; None where it is not."""
    match predicate:
        case Is():
            return next((found for found in _conditions(place) if _is(predicate, found)), None)
        case Some(lists, so):
            items = (item for path in lists for item in mappings(path, place))
            return next((item for item in items if _find(so, item) is not None), None)
        case Every(parts):
            found: Place | None = place
            for part in parts:
                found = _find(part, place)
                if found is None:
                    return None
            return found
        case Either(parts):
            return next((found for part in parts if (found := _find(part, place)) is not None), None)
        case Not(part):
            return place if _find(part, place) is None else None
        case _:
            return place if _holds(predicate, place) else None


def _holds(predicate: Equals | Matches | Present | Less | Differs, place: Place) -> bool:
    match predicate:
        case Equals(path, values):
            return value(path, place) in values
        case Matches(path, pattern):
            return re.search(pattern, str(value(path, place) or "")) is not None
        case Present(path):
            return bool(value(path, place))
        case Less(left, right, minus):
            return _less(value(left, place), value(right, place), value(minus, place) if minus else 0)
        case Differs(left, right):
            one, other = value(left, place), value(right, place)
            # Some controllers write a generation as text.
            return one is not None and other is not None and str(one) != str(other)
        case _:
            assert_never(predicate)


def _less(left: Any, right: Any, minus: Any) -> bool:
    if isinstance(left, int) and isinstance(right, int) and isinstance(minus, int):
        return left < right - minus
    # Times of the API are texts of one form, in UTC.
    return isinstance(left, str) and isinstance(right, str) and left < right


def _is(wanted: Is, condition: Place) -> bool:
    return (
        condition.get("type") == wanted.condition
        and (not wanted.statuses or condition.get("status") in wanted.statuses)
        and (not wanted.reasons or condition.get("reason") in wanted.reasons)
    )


def _conditions(body: Place) -> Iterator[Place]:
    text = value(AUTOSCALER_CONDITIONS, body)
    if value("status.conditions", body) is None and isinstance(text, str):
        try:
            body = {"status": {"conditions": json.loads(text)}}
        except ValueError:
            return
    yield from mappings("status.conditions", body)
