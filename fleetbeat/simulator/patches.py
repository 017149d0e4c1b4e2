"""Merge patch (RFC 7386) and JSON patch (RFC 6902), as far as contracts go. Pure: neither changes what it is given. Called by the server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from fleetbeat.simulator import statuses
from fleetbeat.simulator.fields import Body
from fleetbeat.simulator.statuses import StatusError

_INDEX = re.compile(r"0|[1-9][0-9]*")
_OPERATIONS = frozenset({"add", "remove", "replace", "test"})


def merged(live: Any, patch: Any) -> Any:
    """The live value under a merge patch; null removes."""
    if not isinstance(patch, dict):
        return patch
    base: Mapping[str, Any] = live if isinstance(live, dict) else {}
    found = {key: value for key, value in base.items() if key not in patch}
    for key, value in patch.items():
        if value is not None:
            found[key] = merged(base.get(key), value)
    return found


def patched(live: Body, operations: Any) -> Body:
    """The live object under a JSON patch: all of its operations or none. Like a real server, and unlike the RFC, replacing
    a member that is not there adds it.

    Raises:
        StatusError: 400, no list; 422, an operation that does not fit; 501, `move`, `copy`, the whole object, a value null.
    """
    if not isinstance(operations, list):
        raise statuses.bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
    found: Body = orjson.loads(orjson.dumps(live))
    for operation in operations:
        _operate(found, operation)
    return found


def _operate(body: Body, operation: Any) -> None:
    if (
        not isinstance(operation, dict)
        or operation.get("op") in {"move", "copy"}
        or set(operation) - {"op", "path", "value"}
    ):
        raise statuses.not_covered("JSON patches with move, copy or members of their own")
    verb, path = operation.get("op"), operation.get("path")
    if verb not in _OPERATIONS:
        raise _rejected()
    if not isinstance(path, str) or not path.startswith("/"):
        raise statuses.not_covered("JSON patches of the whole object or without a path")
    if verb in {"add", "replace"} and operation.get("value") is None:
        raise statuses.not_covered("JSON patches that set null")
    *above, last = (step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/"))
    holder: Any = body
    for step in above:
        holder = _child(holder, step)
    if verb == "test":
        if _tested(holder, last) != operation.get("value"):
            raise _rejected()
    elif isinstance(holder, dict):
        if verb == "remove":
            if last not in holder:
                raise _rejected()
            del holder[last]
        else:
            holder[last] = operation["value"]
    else:
        _change_list(holder, last, verb, operation.get("value"))


def _change_list(items: Any, step: str, verb: str, value: Any) -> None:
    if not isinstance(items, list):
        raise _rejected()
    if verb == "add":
        items.insert(len(items) if step == "-" else _index(step, len(items) + 1), value)
    elif verb == "remove":
        del items[_index(step, len(items))]
    else:
        items[_index(step, len(items))] = value


def _child(holder: Any, step: str) -> Any:
    if isinstance(holder, dict) and step in holder:
        return holder[step]
    if isinstance(holder, list):
        return holder[_index(step, len(holder))]
    raise _rejected()


def _tested(holder: Any, step: str) -> Any:
    return holder.get(step) if isinstance(holder, dict) else _child(holder, step)


def _index(step: str, end: int) -> int:
    if (step.startswith("-") and step != "-") or (step.startswith("0") and step != "0"):
        raise statuses.not_covered("JSON patches that count from the end")
    if not _INDEX.fullmatch(step) or int(step) >= end:
        raise _rejected()
    return int(step)


def _rejected() -> StatusError:
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})
