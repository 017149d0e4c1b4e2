"""Where each source stands: its newest known commit, when it was asked, and what went wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

import orjson

from shared.state import keys
from shared.state.store import Store, text

LOOKED_AT_SECONDS = 14 * 86400


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The last poll of a source. `commit` is empty until one succeeded; `error` is None when the last one did."""

    name: str
    ref: str = ""
    commit: str = ""
    polled_at: float = 0.0
    changed_at: float = 0.0
    error: str | None = None
    subject: str = ""
    author: str = ""


def every(store: Store) -> dict[str, SourceStatus]:
    """All sources that were ever polled."""
    rows = cast("dict[bytes, bytes]", store.redis.hgetall(keys.SOURCES))
    return {text(name): SourceStatus(**orjson.loads(body)) for name, body in rows.items()}


def get(store: Store, name: str) -> SourceStatus | None:
    """One source's last poll."""
    body = cast("bytes | None", store.redis.hget(keys.SOURCES, name))
    return SourceStatus(**orjson.loads(body)) if body else None


def put(store: Store, status: SourceStatus) -> None:
    """Record a poll."""
    store.redis.hset(keys.SOURCES, status.name, orjson.dumps(asdict(status)))


def pin(store: Store, name: str, commit: str) -> None:
    """Set the commit of a source that the next intents are pinned to. Only whoever polls the source calls this."""
    store.pin(keys=[keys.REVISIONS], args=[name, commit])


def remember_looked_at(store: Store, render: str, looked: tuple[tuple[str, str | None], ...]) -> None:
    """Keep what a render depends on for as long as it is in use, and two weeks longer."""
    store.redis.set(keys.looked_at(render), orjson.dumps(looked), ex=LOOKED_AT_SECONDS)


def looked_at(store: Store, render: str) -> list[tuple[str, str | None]] | None:
    """What a render depends on, or None when that is not known any more."""
    body = cast("bytes | None", store.redis.get(keys.looked_at(render)))
    return [(path, identity) for path, identity in orjson.loads(body)] if body else None


def put_answer(store: Store, request: str, body: Any, seconds: int = 300) -> None:
    """Leave what was found out for the person who asked."""
    store.redis.set(keys.answer(request), orjson.dumps(body), ex=seconds)


def get_answer(store: Store, request: str) -> Any:
    """The answer to a request, or None while there is none."""
    body = cast("bytes | None", store.redis.get(keys.answer(request)))
    return orjson.loads(body) if body else None
