"""The run journal: what will be written is written down first, and a dead run's journal is settled by the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from shared.audit.events import Event, EventCommit, EventObject, event_id
from shared.clock import rfc3339
from shared.state.intents import Run
from workers.clusters.client import MANAGER, ClusterClient
from workers.sync.apply import Write


def entries(run: Run, sync: str, commit: EventCommit | None, writes: Sequence[Write]) -> list[bytes]:
    """What a batch is about to do, with what tells later whether it was done."""
    rows = []
    for item in writes:
        before = (item.before or {}).get("metadata") or {}
        row = {
            "run": run.id,
            "sync": sync,
            "actor": run.actor,
            "cause": run.reason,
            "commit": commit.model_dump() if commit else None,
            "key": item.want.key,
            "action": item.change.action,
            "diff": item.change.diff,
            "uid": before.get("uid"),
            "version": before.get("resourceVersion"),
            "applied": applied_at(before),
        }
        rows.append(orjson.dumps(row))
    return rows


def applied_at(meta: Mapping[str, Any]) -> str | None:
    """When manager fleetbeat last changed the object; an apply that changes nothing does not move it."""
    for entry in meta.get("managedFields") or []:
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply":
            return str(entry.get("time"))
    return None


async def settle(client: ClusterClient, journal: Sequence[bytes], now: float) -> list[Event]:
    """Compare a dead run's journal with the live objects; returns the events of what it did write, marked recovered."""
    kinds = await client.discover()
    events = []
    for number, body in enumerate(journal):
        row = orjson.loads(body)
        group, kind, namespace, name = row["key"]
        resource = kinds.any_version(group, kind)
        live = await client.get(resource, namespace, name) if resource else None
        if not _was_written(row, (live or {}).get("metadata")):
            continue
        events.append(
            Event(
                id=event_id(f"{row['run']}/recovered", number),
                type=f"object.{row['action']}",
                time=rfc3339(now),
                run=row["run"],
                cluster=client.name,
                sync=row["sync"],
                commit=EventCommit.model_validate(row["commit"]) if row["commit"] else None,
                object=EventObject(group=group, kind=kind, namespace=namespace or None, name=name),
                cause=row["cause"],
                actor=row["actor"],
                diff=row["diff"] or None,
                recovered=True,
            )
        )
    return events


def _was_written(row: Mapping[str, Any], live: Mapping[str, Any] | None) -> bool:
    if row["action"] == "deleted":
        return live is None or live.get("uid") != row["uid"] or bool(live.get("deletionTimestamp"))
    if live is None:
        return False
    if row["uid"] is None:
        return applied_at(live) is not None
    return bool(live.get("resourceVersion") != row["version"]) and applied_at(live) != row["applied"]
