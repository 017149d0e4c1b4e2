"""Kubernetes' `Status` objects for answers that are no object. Raised everywhere in the simulator, sent by the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason of a 422: the machine's word (like FieldValueInvalid), the person's, and the field."""

    reason: str
    message: str
    field: str


class StatusError(Exception):
    """A refusal with its HTTP code; `reason` is empty where a real server gives none, `text` replaces the JSON body."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Status | None = None,
        *,
        text: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.text = text
        self.body: Status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.body["reason"] = reason
        if details is not None:
            self.body["details"] = details
        self.body["code"] = code


def details(name: str, group: str, kind: str, **more: Any) -> Status:
    """`details` in the order and with the omissions of a real server."""
    found: Status = {}
    if name:
        found["name"] = name
    if group:
        found["group"] = group
    return {**found, "kind": kind, **more}


def _qualified(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> StatusError:
    return StatusError(404, "NotFound", f'{_qualified(plural, group)} "{name}" not found', details(name, group, plural))


def no_such_resource() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def not_allowed() -> StatusError:
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, {})


def no_such_page() -> StatusError:
    return StatusError(404, "NotFound", "404 page not found", text="404 page not found\n")


def already_exists(plural: str, group: str, name: str) -> StatusError:
    return StatusError(
        409, "AlreadyExists", f'{_qualified(plural, group)} "{name}" already exists', details(name, group, plural)
    )


def conflict(plural: str, group: str, name: str, why: str) -> StatusError:
    return StatusError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {_qualified(plural, group)} "{name}": {why}',
        details(name, group, plural),
    )


def forbidden(plural: str, group: str, name: str, why: str) -> StatusError:
    message = f'{_qualified(plural, group)} "{name}" is forbidden: {why}'
    return StatusError(403, "Forbidden", message, details(name, group, plural))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> StatusError:
    """422 with its causes."""
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    return StatusError(
        422,
        "Invalid",
        f'{_qualified(kind, group)} "{name}" is invalid: {told[0] if len(told) == 1 else "[" + ", ".join(told) + "]"}',
        details(
            name,
            group,
            kind,
            causes=[{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes],
        ),
    )


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def untyped(name: str, namespace: str, kind: str, group: str, version: str, problem: str) -> StatusError:
    """How server-side apply refuses what its schema does not know: 500, and no reason."""
    return StatusError(
        500,
        "",
        f"failed to create typed patch object ({namespace}/{name}; {group}/{version}, Kind={kind}): {problem}",
    )


def unknown_fields(kind: str, version: str, body: Status, problems: Sequence[str], *, patch: bool) -> StatusError:
    """How a create, an update (400) or a patch (422) with `fieldValidation=Strict` refuses what its schema does not know."""
    told = f"strict decoding error: {', '.join(problems)}"
    if not patch:
        return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {told}')
    shown = orjson.dumps(orjson.dumps(body).decode()).decode()
    return invalid("", "", "", [Cause("FieldValueInvalid", f"Invalid value: {shown}: {told}", "patch")])


def not_covered(what: str) -> StatusError:
    return StatusError(501, "NotImplemented", f"the simulator does not cover {what}")


def success(name: str, group: str, plural: str, uid: str) -> Status:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details(name, group, plural, uid=uid),
    }
