"""From what a run did to what is kept of it: events, receipts, and when the cluster is due again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.audit.events import Event, EventCommit, EventObject, EventType, event_id
from shared.clock import format_duration, rfc3339
from shared.documents.sync import Sync
from shared.state.due import Reason, jittered
from shared.state.intents import Run
from shared.state.receipts import SyncReceipt, pack
from workers.sync.changes import Change, ChangeSet

FIRST_HEALTH_DELAY, LONGEST_HEALTH_DELAY = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class Record:
    """The end of a run."""

    events: tuple[Event, ...]
    receipts: Mapping[str, SyncReceipt]
    objects: Mapping[str, bytes]
    next_in: float
    next_reason: Reason


class _Events:
    def __init__(self, run: Run, now: float, worker: str) -> None:
        self.run, self.now, self.worker = run, now, worker
        self.rows: list[Event] = []

    def add(self, kind: EventType, **fields: Any) -> None:
        """One more event of the run; who asked for it is the actor, and the worker where nobody did."""
        actor = self.run.actor if self.run.actor not in {"", "beat"} else f"worker/{self.worker}"
        self.rows.append(
            Event(
                id=event_id(self.run.id, len(self.rows)),
                type=kind,
                time=rfc3339(fields.pop("at", self.now)),
                run=self.run.id,
                cluster=self.run.cluster,
                cause=fields.pop("cause", self.run.reason),
                actor=actor,
                **fields,
            )
        )


def record(
    run: Run,
    syncs: Mapping[str, Sync],
    sets: Sequence[ChangeSet],
    before: Mapping[str, SyncReceipt],
    commits: Mapping[str, EventCommit],
    *,
    now: float,
    worker: str,
    was_unreachable: bool,
) -> Record:
    """Turn the change sets of one run into its record.

    Args:
        run: The run.
        syncs: The cluster's Syncs by name.
        sets: What was done, in order.
        before: The receipts so far.
        commits: Commit id → what the trail says of it.
        now: Redis time.
        worker: Who did it.
        was_unreachable: True when the cluster could not be reached the last time.
    """
    events = _Events(run, now, worker)
    unreachable = any(done.state == "unreachable" for done in sets)
    if unreachable and not was_unreachable:
        events.add("cluster.unreachable", message=next(d.errors[0] for d in sets if d.state == "unreachable"))
    if was_unreachable and not unreachable:
        events.add("cluster.returned")
    receipts, objects, waits = {}, {}, []
    for done in sets:
        old = before.get(done.sync)
        receipt = _receipt(run, syncs[done.sync], done, old, now)
        receipts[done.sync] = receipt
        if done.receipts or done.state == "applied":
            objects[done.sync] = pack(done.receipts)
        _sync_events(events, done, old, receipt, commits.get(done.commit))
        waits.append(_next(run.cluster, syncs[done.sync], receipt, now))
    wait, reason = min(waits, default=(600.0, "interval"), key=lambda item: item[0])
    return Record(tuple(events.rows), receipts, objects, wait, reason)


def _receipt(run: Run, sync: Sync, done: ChangeSet, old: SyncReceipt | None, now: float) -> SyncReceipt:
    applied = done.state == "applied"
    same = old is not None and old.render == done.render and old.commit == done.commit and not done.wrote
    healthy = applied and done.health == "healthy"
    was_waiting = old is not None and old.health == "progressing" and not done.wrote and old.health_until > 0
    until = old.health_until if old and was_waiting else now + sync.spec.timeout.total_seconds()
    delay = (
        min(LONGEST_HEALTH_DELAY, old.health_delay * 2)
        if old and was_waiting and old.health_delay
        else FIRST_HEALTH_DELAY
    )
    errors = list(done.errors)
    state = done.state
    if applied and done.health in {"progressing", "degraded"} and (now >= until or done.health == "degraded"):
        state = "failed"
        waited = "" if done.health == "degraded" else f" after {format_duration(sync.spec.timeout)}"
        errors.append(f"not ready{waited}: {'; '.join(done.not_ready[:5])}")
    return SyncReceipt(
        sync=done.sync,
        run=run.id,
        commit=done.commit if applied or not old else old.commit,
        render=done.render if applied or not old else old.render,
        state=state,
        health=done.health if applied else old.health if old else "unknown",
        objects=done.objects,
        created=done.count("created"),
        configured=done.count("configured"),
        unchanged=done.unchanged,
        deleted=done.count("deleted"),
        drifted=done.count("drifted"),
        applied_at=(old.applied_at if same and old and old.applied_at else now)
        if applied
        else old.applied_at
        if old
        else None,
        healthy_at=(old.healthy_at if same and old and old.healthy_at else now) if healthy else None,
        requests=sum(done.requests.values()),
        error="; ".join(errors) or done.waits_for,
        finished_at=now,
        not_ready=tuple(done.not_ready[:20]),
        health_until=until if applied and not healthy else 0.0,
        health_delay=delay if applied and not healthy else 0.0,
    )


def _sync_events(
    events: _Events, done: ChangeSet, old: SyncReceipt | None, receipt: SyncReceipt, commit: EventCommit | None
) -> None:
    about: dict[str, Any] = {"sync": done.sync, "commit": commit, "render": done.render or None}
    moved = done.state == "applied" and (done.wrote or old is None or old.render != done.render)
    if moved:
        events.add("sync.started", at=events.run.started_at, **about)
    for change in done.changes:
        events.add(
            f"object.{change.action}",  # type: ignore[arg-type]
            object=_object(change),
            diff=list(change.diff) or None,
            message=change.drift,
            **about,
        )
    if moved:
        counts = {
            "created": receipt.created,
            "configured": receipt.configured,
            "unchanged": receipt.unchanged,
            "deleted": receipt.deleted,
            "drifted": receipt.drifted,
            "queuedAt": rfc3339(events.run.queued_at),
        }
        events.add("sync.applied", details=counts, message="; ".join(done.left) or None, **about)
    if receipt.state == "applied" and receipt.health == "healthy" and (moved or old is None or old.health != "healthy"):
        events.add("sync.healthy", **about)
    if receipt.state == "failed" and receipt.error and (old is None or old.error != receipt.error):
        events.add("sync.failed", message=receipt.error, **about)


def _object(change: Change) -> EventObject:
    group, kind, namespace, name = change.key
    return EventObject(group=group, kind=kind, namespace=namespace or None, name=name)


def _next(cluster: str, sync: Sync, receipt: SyncReceipt, now: float) -> tuple[float, Reason]:
    if receipt.state in {"failed", "unreachable"}:
        return sync.spec.retry_interval.total_seconds(), "retry"
    if receipt.state == "applied" and receipt.health == "progressing" and receipt.health_until > now:
        return receipt.health_delay, "health"
    return jittered(cluster, sync.spec.interval.total_seconds()), "interval"
