"""The run journal: what will be written is written down first, and what a dead run left in it is settled by the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from shared import redaction
from shared.audit.events import Event, EventCommit, EventObject, event_id
from shared.clock import rfc3339
from shared.state.intents import Run
from workers.clusters.client import ClusterClient
from workers.clusters.errors import KindUnavailableError
from workers.sync import compare, inventory
from workers.sync.examine import Write
from workers.sync.ownership import applied_at

MOST_EXPECTED = 20
"""Changed values whose digests are kept with a write, to tell later whether it happened."""


def entries(run: Run, sync: str, commit: EventCommit | None, writes: Sequence[Write], key: bytes) -> list[bytes]:
    """What a batch is about to do, with what tells later whether it was done."""
    rows = []
    for item in writes:
        before = item.before or {}
        meta = before.get("metadata") or {}
        body = item.want.manifest.body
        row = {
            "run": run.id,
            "sync": sync,
            "actor": run.actor,
            "cause": run.reason,
            "commit": commit.model_dump() if commit else None,
            "key": item.want.key,
            "action": item.change.action,
            "diff": item.change.diff,
            "uid": meta.get("uid"),
            "version": meta.get("resourceVersion"),
            "applied": applied_at(meta),
            "label": (body["metadata"].get("labels") or {}).get(inventory.PART_OF),
            "expect": _expected(before, body, key) if item.change.action == "configured" else [],
        }
        rows.append(orjson.dumps(row))
    return rows


def _expected(before: Mapping[str, Any], body: Mapping[str, Any], key: bytes) -> list[Any]:
    found = compare.wanted_changes(before, body)[:MOST_EXPECTED]
    return [[path, _digest(value, key)] for path, value in found]


def _digest(value: Any, key: bytes) -> str:
    return redaction.digest(key, orjson.dumps(value, option=orjson.OPT_SORT_KEYS))[:16]


async def settle(client: ClusterClient, journal: Sequence[bytes], now: float, key: bytes) -> list[Event]:
    """Compare what a run left with the live objects; returns the events of what it did write, marked recovered.

    Raises:
        KindUnavailableError: An object cannot be looked at now; the journal must be kept.
    """
    kinds = await client.discover()
    events = []
    for number, row in enumerate(_last_of_each(journal)):
        group, kind, namespace, name = row["key"]
        resource = kinds.any_version(group, kind)
        if resource is None and kinds.group_is_stale(group):
            raise KindUnavailableError(
                f"cluster {client.name}: the API service of group {group} does not answer; what a run left behind cannot be settled"
            )
        live = await client.get(resource, namespace, name) if resource else None
        if not _was_written(row, live, key):
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


def _last_of_each(journal: Sequence[bytes]) -> list[dict[str, Any]]:
    """One row for each write of an object: a write that was decided anew stands in the journal more than once."""
    rows: dict[Any, dict[str, Any]] = {}
    for body in journal:
        row = orjson.loads(body)
        place = (row["run"], row["sync"], *row["key"], row["action"] == "deleted")
        rows.pop(place, None)
        rows[place] = row
    return list(rows.values())


def _was_written(row: Mapping[str, Any], live: Mapping[str, Any] | None, key: bytes) -> bool:
    meta = (live or {}).get("metadata") or {}
    match row["action"]:
        case "deleted":
            return live is None or meta.get("uid") != row["uid"] or bool(meta.get("deletionTimestamp"))
        case "released":
            return live is not None and inventory.PART_OF not in (meta.get("labels") or {})
    if live is None:
        return False
    if row["uid"] is None:
        return (meta.get("labels") or {}).get(inventory.PART_OF) == row["label"] and applied_at(meta) is not None
    if meta.get("uid") != row["uid"] or meta.get("resourceVersion") == row["version"]:
        return False
    if applied_at(meta) != row["applied"]:
        return True
    return bool(row["expect"]) and all(_digest(compare.at(live, path), key) == wanted for path, wanted in row["expect"])
