"""One event of the audit trail. Version 1 of the schema; `docs/schema/event.json` is generated from this model."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

EventType = Literal[
    "source.revision",
    "source.failed",
    "sync.started",
    "sync.applied",
    "sync.healthy",
    "sync.failed",
    "object.created",
    "object.configured",
    "object.deleted",
    "object.drifted",
    "object.recreated",
    "object.released",
    "object.contested",
    "hold.placed",
    "hold.released",
    "approval.requested",
    "approval.granted",
    "cluster.unreachable",
    "cluster.returned",
    "cluster.removed",
    "sync.removed",
    "fleet.published",
]
Cause = Literal["commit", "fleet", "manual", "retry", "drift", "interval", "health"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EventCommit(_Model):
    """The commit that was applied."""

    id: str
    author: str = ""
    committer: str = ""
    subject: str = ""


class EventObject(_Model):
    """The object that was changed."""

    kind: str
    namespace: str | None = None
    name: str
    group: str = ""


class Event(_Model):
    """Who changed what, where, when and why. Keys never change their meaning within one version."""

    version: Literal[1] = 1
    id: Annotated[str, Field(description="hash(run, sequence): the same event appended twice has the same id.")]
    type: EventType
    time: Annotated[str, Field(description="RFC 3339, UTC, the clock of Redis.")]
    run: Annotated[str | None, Field(description="Ties queued, applied and healthy of one sync together.")] = None
    cluster: str | None = None
    sync: str | None = None
    source: str | None = None
    commit: EventCommit | None = None
    object: EventObject | None = None
    cause: Cause | None = None
    actor: Annotated[str, Field(description="The person, or `worker/<name>` or `beat` where nobody asked.")]
    diff: Annotated[
        list[dict[str, Any]] | None,
        Field(description="Per field: {path, from, to}; values of Secrets are masked."),
    ] = None
    render: Annotated[str | None, Field(description="Digest of what was rendered for the Sync.")] = None
    message: str | None = None
    recovered: Annotated[
        bool,
        Field(description="True when the run that wrote died first and its successor recorded it from the journal."),
    ] = False
    details: dict[str, Any] | None = None

    def to_json(self) -> bytes:
        return orjson.dumps(self.model_dump(mode="json", exclude_none=True))


def event_id(run: str, sequence: int) -> str:
    """The id of the nth event of a run; any reader may drop the second of two equal ones."""
    return hashlib.sha256(f"{run}/{sequence}".encode()).hexdigest()[:32]
