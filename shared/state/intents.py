"""Intents and leases: who may sync a cluster right now, at which commits, and why.

A task's message is only a hint. It starts by `start`, asks `gate` before every batch of writes and ends by `finish`; all three are
fenced by a token, so that a run that was taken over can do nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import orjson

from shared.errors import LostLeaseError, TransientError
from shared.state import keys
from shared.state.due import Reason
from shared.state.holds import Hold
from shared.state.store import Store, text


@dataclass(frozen=True, slots=True)
class Run:
    """The right to sync one cluster, once."""

    id: str
    cluster: str
    queue: str
    token: str
    reason: Reason
    actor: str
    fleet: str
    commits: Mapping[str, str]
    queued_at: float
    started_at: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a message led to no run: it was surplus, another run has the lease, or a hold is in force."""

    why: Literal["surplus", "running", "held"]
    detail: str


class HeldError(TransientError):
    """A hold came into force during the run; what was not written yet stays unwritten."""

    def __init__(self, hold: Hold) -> None:
        super().__init__(
            f"held by {hold.actor}: {hold.reason} ({hold.scope}); resume with: fleetbeat resume {hold.scope}"
        )
        self.hold = hold


def start(store: Store, cluster: str, intent: str, queue: str, run: str, worker: str, lease: float) -> Run | Refused:
    """Take the lease of a cluster for the run `run`, if `intent` is still the pending one."""
    answer = store.start(
        keys=[keys.intent(cluster), keys.DUE, keys.RUNNING, keys.TOKENS, keys.HOLDS],
        args=[cluster, intent, run, worker, lease, queue],
    )
    what = text(answer[0])
    if what != "started":
        return Refused(cast("Literal['surplus', 'running', 'held']", what), text(answer[1]))
    token, reason, actor, fleet, commits, queued, started = (text(part) for part in answer[1:])
    return Run(
        id=run,
        cluster=cluster,
        queue=queue,
        token=token,
        reason=cast("Reason", reason),
        actor=actor,
        fleet=fleet,
        commits=orjson.loads(commits),
        queued_at=float(queued),
        started_at=float(started),
    )


def gate(store: Store, run: Run, lease: float, entries: Sequence[bytes] = ()) -> float:
    """Ask whether the run may go on writing, and journal what it is about to write; returns the seconds its lease now lasts.

    Raises:
        LostLeaseError: The lease ran out or was taken over; nothing was journalled.
        HeldError: A hold is in force; nothing was journalled, and the lease is renewed all the same.
    """
    what, detail = store.gate(
        keys=[keys.intent(run.cluster), keys.DUE, keys.RUNNING, keys.HOLDS, keys.journal(run.cluster)],
        args=[run.cluster, run.token, lease, run.queue, *entries],
    )
    if what == b"lost":
        raise LostLeaseError(f"cluster {run.cluster}: run {run.id} lost its lease, nothing more is written by it")
    if what == b"held":
        raise HeldError(Hold.from_json(detail))
    return float(detail)


def journalled(store: Store, cluster: str) -> list[bytes]:
    """What runs said they would write and nobody knows whether they did."""
    return cast("list[bytes]", store.redis.lrange(keys.journal(cluster), 0, -1))


def finish(
    store: Store,
    run: Run,
    *,
    events: Sequence[tuple[str, bytes]] = (),
    receipts: Mapping[str, bytes] | None = None,
    objects: Mapping[str, bytes] | None = None,
    unsettled: Sequence[bytes] = (),
    next_in: float = 0.0,
    next_reason: Reason = "interval",
    stream_max: int = 200_000,
    settle_only: bool = False,
) -> bool:
    """End a run in one step: events, receipts, journal, lease and the next time it is due; or nothing if it was fenced off.

    Args:
        store: The state.
        run: The run that ends.
        events: (id, JSON) in order.
        receipts: Sync → JSON; empty to remove it.
        objects: Sync → compressed object receipts; empty to remove them.
        unsettled: Journal entries of writes whose outcome the next run has to find out.
        next_in: Seconds until the cluster is due again.
        next_reason: Why it will be.
        stream_max: Events the stream keeps, roughly.
        settle_only: Record and clear the journal, but keep the lease: a taken-over run was settled.
    """
    flat: list[str | bytes | int | float] = [run.cluster, run.token, next_in, next_reason, stream_max, len(events)]
    for event_id, body in events:
        flat += [event_id, body]
    for table in (receipts or {}, objects or {}):
        flat.append(len(table))
        for name, body in table.items():
            flat += [name, body]
    flat += [len(unsettled), *unsettled]
    names = [keys.intent(run.cluster), keys.journal(run.cluster), keys.DUE, keys.RUNNING, keys.receipts(run.cluster)]
    names += [keys.objects(run.cluster), keys.STREAM, keys.REASONS]
    return bool(store.finish(keys=names, args=[*flat, int(settle_only)]))


def running(store: Store) -> dict[str, float]:
    """Clusters with a live lease, and the Redis time at which it ends."""
    rows = cast(
        "list[tuple[bytes, float]]", store.redis.zrangebyscore(keys.RUNNING, store.time(), "+inf", withscores=True)
    )
    return {text(name): score for name, score in rows}


def pending(store: Store, clusters: Sequence[str]) -> dict[str, bool]:
    """For each cluster: True when a sync of it is queued, running or wanted."""
    pipe = store.redis.pipeline(transaction=False)
    for name in clusters:
        pipe.hmget(keys.intent(name), ["intent", "run"])
        pipe.hexists(keys.REASONS, name)
    rows = pipe.execute()
    return {name: any(rows[2 * i]) or bool(rows[2 * i + 1]) for i, name in enumerate(clusters)}
