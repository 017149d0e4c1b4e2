"""The stream in Redis that events are appended to, and reading it back."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import orjson

from shared.audit.events import Event, EventType, event_id
from shared.clock import rfc3339
from shared.state import keys
from shared.state.store import Store

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events to keep; None keeps all. Texts are compared whole but for `author`, which is searched in."""

    cluster: str | None = None
    sync: str | None = None
    type: str | None = None
    object: str | None = None
    author: str | None = None
    run: str | None = None
    since: float | None = None

    def keeps(self, event: dict[str, Any]) -> bool:
        """True when the event passes. `object` matches `Kind/namespace/name`, `Kind/name` or the name alone."""
        for field in ("cluster", "sync", "type", "run"):
            wanted = getattr(self, field)
            if wanted is not None and event.get(field) != wanted:
                return False
        if self.author is not None:
            commit = event.get("commit") or {}
            if self.author.lower() not in f"{commit.get('author', '')} {event.get('actor', '')}".lower():
                return False
        if self.object is not None:
            thing = event.get("object") or {}
            names = [thing.get("name"), f"{thing.get('kind')}/{thing.get('name')}", subject(thing)]
            return self.object in names
        return True


def subject(thing: dict[str, Any]) -> str:
    """`Kind/namespace/name`, or `Kind/name` for what has no namespace."""
    return "/".join(part for part in (thing.get("kind"), thing.get("namespace"), thing.get("name")) if part)


def append(store: Store, kind: EventType, *, actor: str, stream_max: int = 200_000, **fields: Any) -> Event:
    """Append one event that belongs to no run (a hold, a poll, a published fleet)."""
    event = Event(
        id=event_id(fields.get("run") or uuid.uuid4().hex, 0),
        type=kind,
        time=rfc3339(store.time()),
        actor=actor,
        **fields,
    )
    store.redis.xadd(keys.STREAM, {"id": event.id, "event": event.to_json()}, maxlen=stream_max, approximate=True)
    return event


def read(store: Store, wanted: Filter | None = None) -> Iterator[dict[str, Any]]:
    """Events of the stream, oldest first, each once."""
    wanted = wanted or Filter()
    start = f"{int(wanted.since * 1000)}" if wanted.since is not None else "-"
    seen: set[bytes] = set()
    while True:
        rows = cast("list[tuple[bytes, dict[bytes, bytes]]]", store.redis.xrange(keys.STREAM, min=start, count=PAGE))
        for _, fields in rows:
            if b"event" not in fields or fields[b"id"] in seen:
                continue
            seen.add(fields[b"id"])
            with contextlib.suppress(orjson.JSONDecodeError):
                event = orjson.loads(fields[b"event"])
                if wanted.keeps(event):
                    yield event
        if len(rows) < PAGE:
            return
        start = f"({rows[-1][0].decode()}"
