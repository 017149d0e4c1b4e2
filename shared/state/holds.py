"""Holds: auto sync switched off for a fleet, a queue or a cluster, by a person, for a reason.

They are read inside the scripts at dispatch, at task start and before every batch of writes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import cast

import orjson

from shared.errors import PermanentError
from shared.state import keys
from shared.state.store import Store, text


class UnknownScopeError(PermanentError):
    """The scope of a hold names nothing in the fleet, or is not written as one."""


@dataclass(frozen=True, slots=True)
class Hold:
    """`scope` is `fleet`, `queue/<name>` or `cluster/<name>`; `since` is seconds since the epoch in Redis time."""

    scope: str
    reason: str
    actor: str
    since: float

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, body: bytes) -> Hold:
        return cls(**orjson.loads(body))


def put(store: Store, hold: Hold) -> bool:
    """Put a hold in force. Returns False, and changes nothing, when its scope is held already."""
    return bool(store.redis.hsetnx(keys.HOLDS, hold.scope, hold.to_json()))


def release(store: Store, scope: str) -> Hold | None:
    """End a hold; returns it, or None when there was none."""
    pipe = store.redis.pipeline()
    pipe.hget(keys.HOLDS, scope)
    pipe.hdel(keys.HOLDS, scope)
    body, _ = pipe.execute()
    return Hold.from_json(body) if body else None


def every(store: Store) -> dict[str, Hold]:
    """All holds in force, by scope."""
    rows = cast("dict[bytes, bytes]", store.redis.hgetall(keys.HOLDS))
    return {text(scope): Hold.from_json(body) for scope, body in sorted(rows.items())}


def of_cluster(holds: dict[str, Hold], cluster: str, queue: str) -> Hold | None:
    """The hold that keeps this cluster from being synced, the widest first."""
    return holds.get("fleet") or holds.get(f"queue/{queue}") or holds.get(f"cluster/{cluster}")
