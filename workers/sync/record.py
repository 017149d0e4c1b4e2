"""From what a run did to what is kept of it: events, receipts, and when the cluster is due again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.audit.events import Event, EventCommit, EventObject, EventType, event_id
from shared.clock import format_duration, rfc3339
from shared.documents.sync import Sync
from shared.state.due import Reason, jittered
from shared.state.intents import Run
from shared.state.receipts import ObjectReceipt, SyncReceipt, pack
from workers.sync.changes import Change, ChangeSet

FIRST_HEALTH_DELAY, LONGEST_HEALTH_DELAY = 0.5, 10.0
MOST_KEPT = 20
"""Remarks about what is not ready that a receipt keeps."""


@dataclass(frozen=True, slots=True)
class Record:
    """The end of a run. A receipt of None and objects of b"" are of a Sync that is gone from the cluster."""

    events: tuple[Event, ...]
    receipts: Mapping[str, SyncReceipt | None]
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
    kept: Mapping[str, Mapping[str, ObjectReceipt]],
    commits: Mapping[str, EventCommit],
    *,
    now: float,
    worker: str,
    was_unreachable: bool,
) -> Record:
    """Turn the change sets of one run into its record.

    Args:
        run: The run.
        syncs: The cluster's Syncs by name, those that are leaving it included.
        sets: What was done, in order.
        before: The receipts so far.
        kept: The object receipts so far; those that stay the same are not written again.
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
    receipts: dict[str, SyncReceipt | None] = {}
    objects: dict[str, bytes] = {}
    waits = []
    for done in sets:
        old, sync = before.get(done.sync), syncs[done.sync]
        receipt = _rechecked(sync, done, old, now) if done.rechecked and old else _receipt(run, sync, done, old, now)
        receipts[done.sync] = None if done.gone else receipt
        if done.gone:
            objects[done.sync] = b""
        elif not done.rechecked and (done.receipts or done.applied) and done.receipts != kept.get(done.sync):
            objects[done.sync] = pack(done.receipts)
        _sync_events(events, done, old, receipt, commits.get(done.commit))
        if not done.gone:
            waits.append(_next(run.cluster, sync, receipt, now))
    wait, reason = min(waits, default=(600.0, "interval"), key=lambda item: item[0])
    return Record(tuple(events.rows), receipts, objects, wait, reason)


def _receipt(run: Run, sync: Sync, done: ChangeSet, old: SyncReceipt | None, now: float) -> SyncReceipt:
    """How this run ended for one Sync. What was not applied keeps the commit and times of what is still live."""
    same = old is not None and old.render == done.render and old.commit == done.commit and not done.wrote
    applied_at, healthy_at = (old.applied_at, old.healthy_at) if old else (None, None)
    if done.applied:
        applied_at = applied_at if same and applied_at else now
        healthy_at = None if done.health != "healthy" else healthy_at if same and healthy_at else now
    receipt = SyncReceipt(
        sync=done.sync,
        run=run.id,
        commit=done.commit if done.applied or not old else old.commit,
        render=done.render if done.applied or not old else old.render,
        state=done.state,
        health=done.health if done.applied or done.gone else old.health if old else "unknown",
        objects=done.objects,
        created=done.count("created"),
        configured=done.count("configured") + done.count("recreated"),
        unchanged=done.unchanged,
        deleted=done.count("deleted"),
        drifted=done.drifted or done.count("drifted"),
        applied_at=applied_at,
        healthy_at=healthy_at,
        requests=sum(done.traffic.requests.values()),
        error="; ".join(done.errors) or done.waits_for,
        finished_at=now,
        not_ready=tuple(done.not_ready[:MOST_KEPT]),
        warnings=tuple(done.traffic.warnings) or (old.warnings if old and same else ()),
        deletions=done.deletions,
        deletions_digest=done.deletions_digest,
        contested=tuple(done.contested),
        leaving=done.leaving,
    )
    return _waited(sync, done, receipt, old, now)


def _rechecked(sync: Sync, done: ChangeSet, old: SyncReceipt, now: float) -> SyncReceipt:
    """The receipt of the last full run with a newer look at health."""
    if old.health != "progressing":
        return old
    healthy_at = now if done.health == "healthy" else None
    seen = replace(
        old,
        health=done.health,
        healthy_at=healthy_at,
        not_ready=tuple(done.not_ready[:MOST_KEPT]),
        requests=sum(done.traffic.requests.values()),
        finished_at=now,
    )
    return _waited(sync, done, seen, old, now)


def _waited(sync: Sync, done: ChangeSet, receipt: SyncReceipt, old: SyncReceipt | None, now: float) -> SyncReceipt:
    """How long readiness is waited for: until the Sync's timeout after its last write, with growing pauses."""
    if receipt.state != "applied" or done.health in {"healthy", "suspended", "unknown"}:
        return replace(receipt, health_until=0.0, health_delay=0.0)
    going_on = old is not None and old.health == "progressing" and not done.wrote and old.health_until > 0
    until = old.health_until if old and going_on else now + sync.spec.timeout.total_seconds()
    delay = min(LONGEST_HEALTH_DELAY, old.health_delay * 2) if old and going_on and old.health_delay else 0.0
    receipt = replace(receipt, health_until=until, health_delay=delay or FIRST_HEALTH_DELAY)
    if done.health != "degraded" and now < until:
        return receipt
    waited = "" if done.health == "degraded" else f" after {format_duration(sync.spec.timeout)}"
    why = f"not ready{waited}: {'; '.join(done.not_ready[:5])}"
    return replace(receipt, state="failed", error="; ".join(filter(None, (receipt.error, why))))


def _sync_events(
    events: _Events, done: ChangeSet, old: SyncReceipt | None, receipt: SyncReceipt, commit: EventCommit | None
) -> None:
    about: dict[str, Any] = {"sync": done.sync, "commit": commit, "render": done.render or None}
    moved = done.applied and (done.wrote or old is None or old.render != done.render)
    if moved:
        events.add("sync.started", at=events.run.started_at, **about)
    for change in done.changes:
        events.add(
            f"object.{change.action}",  # type: ignore[arg-type]
            object=_object(change),
            diff=list(change.diff) or None,
            message=change.note,
            **about,
        )
    if moved:
        counts: dict[str, Any] = {
            "created": receipt.created,
            "configured": receipt.configured,
            "unchanged": receipt.unchanged,
            "deleted": receipt.deleted,
            "drifted": receipt.drifted,
            "queuedAt": rfc3339(events.run.queued_at),
        }
        if receipt.warnings:
            counts["warnings"] = list(receipt.warnings)
        events.add("sync.applied", details=counts, message="; ".join(done.left) or None, **about)
    if receipt.deletions and (old is None or old.deletions_digest != receipt.deletions_digest):
        asked = {"digest": receipt.deletions_digest, "deletions": list(receipt.deletions)}
        events.add("approval.requested", message=done.waits_for, details=asked, **about)
    if receipt.state == "applied" and receipt.health == "healthy" and (moved or old is None or old.health != "healthy"):
        events.add("sync.healthy", **about)
    if receipt.state == "failed" and receipt.error and (old is None or old.error != receipt.error):
        events.add("sync.failed", message=receipt.error, **about)
    if done.gone:
        events.add("sync.removed", message="; ".join(done.left) or None, **about)


def _object(change: Change) -> EventObject:
    group, kind, namespace, name = change.key
    return EventObject(group=group, kind=kind, namespace=namespace or None, name=name)


def _next(cluster: str, sync: Sync, receipt: SyncReceipt, now: float) -> tuple[float, Reason]:
    if receipt.state in {"failed", "unreachable"} or (receipt.leaving and not receipt.deletions):
        return sync.spec.retry_interval.total_seconds(), "retry"
    if receipt.state == "applied" and receipt.health == "progressing" and receipt.health_until > now:
        return receipt.health_delay, "health"
    return jittered(cluster, sync.spec.interval.total_seconds()), "interval"
