"""What a Kubernetes API server answers, as errors that carry the cluster and what to do about it."""

from __future__ import annotations

import re
from typing import Any

import orjson

from shared.errors import ConflictError, PermanentError, StaleError, TransientError


class KubeconfigError(PermanentError):
    """The kubeconfig of a cluster cannot be used."""


class ClusterUnreachableError(TransientError):
    """The API server does not answer; nobody can say what is on the cluster."""


class UnauthorizedError(PermanentError):
    """The credentials are refused (401)."""


class ForbiddenError(PermanentError):
    """The credentials, or the service account that is impersonated, are not allowed to do this (403)."""


class UnknownKindError(PermanentError):
    """The cluster serves no such kind."""


class KindUnavailableError(TransientError):
    """The kind's API group is served by an APIService that does not answer: present, but not to be talked to now."""


class InvalidObjectError(PermanentError):
    """The API server refuses the object as it is."""


class ImmutableFieldError(InvalidObjectError):
    """The only cause is a field that cannot be changed: a new object in its place would be accepted."""


class FieldConflictError(ConflictError):
    """Another field manager owns what would be changed."""


class NotFoundError(PermanentError):
    """There is no such object."""


class ServerError(TransientError):
    """The API server failed or is too busy."""


def translate(cluster: str, what: str, status: int, body: bytes, retry_after: str | None = None) -> Exception:
    """The error for an answer of 400 or more; `what` is the subject, like `Deployment/web/frontend`."""
    answer = _status(body)
    reason, message = str(answer.get("reason") or ""), str(answer.get("message") or body[:300].decode(errors="replace"))
    text = f"cluster {cluster}: {what}: " + " ".join(message.split())
    details = answer.get("details")
    causes = (details.get("causes") if isinstance(details, dict) else None) or []
    if status == 401:
        return UnauthorizedError(f"{text}; the token or certificate of the kubeconfig is not accepted, renew it")
    if status == 403:
        return ForbiddenError(f"{text}; grant this right")
    if status == 404:
        return NotFoundError(text)
    if status == 409 and any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
        return FieldConflictError(text)
    if status in {409, 410}:
        return StaleError(text)
    if status == 422 and _only_immutable(causes):
        return ImmutableFieldError(text)
    if status in {400, 405, 413, 415, 422} or (status == 500 and not reason and "typed patch" in message):
        return InvalidObjectError(text)
    after = float(retry_after) if retry_after and retry_after.isdigit() else None
    return ServerError(f"{text} (HTTP {status})", retry_after=after)


_IMMUTABLE = re.compile(
    r"immutable|may not change once set|cannot change roleRef|updates to statefulset spec for fields other than"
)


def _only_immutable(causes: list[dict[str, Any]]) -> bool:
    return bool(causes) and all(_IMMUTABLE.search(str(cause.get("message"))) for cause in causes)


def _status(body: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}
