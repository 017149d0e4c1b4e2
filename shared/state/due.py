"""The due set: everything that will have to happen, by the time at which it has to.

The scheduler claims from it; workers, people and polls mark members due. A member that was claimed stays in the set with
the time at which it has to be looked at again, so neither a lost message nor a dead worker needs a broker's help.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from shared.state import keys
from shared.state.store import Store, text

Reason = Literal["commit", "fleet", "manual", "retry", "drift", "interval", "health"]
JITTER = 0.1
"""Share of its interval by which a cluster's phase is moved, always by the same amount for the same cluster."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One message to send. `intent` is empty for a source poll."""

    member: str
    queue: str
    intent: str

    @property
    def name(self) -> str:
        return self.member.partition("/")[2]

    @property
    def is_source(self) -> bool:
        return self.member.startswith("source/")


@dataclass(frozen=True, slots=True)
class Claim:
    """What one tick got: whether this beat leads, what to send, and seconds until the next member is due."""

    leader: bool
    dispatches: tuple[Dispatch, ...]
    wait: float | None


def jittered(name: str, interval: float) -> float:
    """The interval of one member, moved by its own constant share; two members rarely share a phase."""
    return interval * (1 + JITTER * (zlib.crc32(name.encode()) % 1000) / 1000)


def claim(store: Store, owner: str, stem: str, *, lease: float, queued: float, limit: int = 1000) -> Claim:
    """Move what is due to pending intents, atomically, if `owner` holds or can take the beat's lease.

    Args:
        store: The state.
        owner: This beat.
        stem: Beginning of the ids of new intents, unique per call.
        lease: Seconds for which no other beat may claim.
        queued: Seconds after which an intent nobody started is due again.
        limit: Most members of one claim.
    """
    names = [keys.BEAT, keys.DUE, keys.REASONS, keys.QUEUES, keys.INTERVALS, keys.HOLDS, keys.REVISIONS, keys.FLEET]
    leader, wait, sent = store.claim(
        keys=[*names, keys.RUNNING], args=[owner, int(lease * 1000), limit, queued, keys.intent(""), stem]
    )
    rows = tuple(Dispatch(text(member), text(queue), text(intent)) for member, queue, intent in sent)
    return Claim(bool(leader), rows, float(wait) if wait else None)


def mark(store: Store, members: Iterable[str], reason: Reason, actor: str, delay: float = 0.0) -> int:
    """Make members due in at most `delay` seconds; the strongest reason is kept. Idempotent."""
    wanted = list(members)
    if not wanted:
        return 0
    return int(store.mark(keys=[keys.DUE, keys.REASONS], args=[reason, actor, delay, *wanted]))


def reconcile(store: Store) -> int:
    """Give every member of the snapshot an entry that has none: a lost entry heals. Returns how many were missing."""
    known = [text(name) for name in cast("list[bytes]", store.redis.hkeys(keys.INTERVALS))]
    if not known:
        return 0
    now = store.time()
    return cast("int", store.redis.zadd(keys.DUE, dict.fromkeys(known, now), nx=True))


def release(store: Store, owner: str) -> None:
    """Give the beat's lease back, if it is still this owner's."""
    if store.redis.get(keys.BEAT) == owner.encode():
        store.redis.delete(keys.BEAT)
