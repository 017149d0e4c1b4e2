"""Deleting what Git no longer wants: last of all, only what is proved to be ours, and only after a run without errors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from shared.errors import FleetbeatError
from workers.clusters.client import ClusterClient
from workers.clusters.discovery import Kinds
from workers.rendering.manifest import Manifest
from workers.sync.apply import BATCH, Gate, Write
from workers.sync.changes import Change, ChangeSet
from workers.sync.plan import Live, Wanted, subject
from workers.sync.stages import order


async def prune(client: ClusterClient, kinds: Kinds, surplus: Sequence[Live], gate: Gate, done: ChangeSet) -> None:
    """Delete in the reverse order of writing. All deletions are attempted; each failure is an error of its own."""
    items = sorted(surplus, key=lambda live: order(live.key), reverse=True)
    for start in range(0, len(items), BATCH):
        batch = items[start : start + BATCH]
        await gate.journal(done.sync, [_as_write(live) for live in batch])
        await gate.check()
        answers = await asyncio.gather(*(_delete(client, kinds, live) for live in batch), return_exceptions=True)
        for live, answer in zip(batch, answers, strict=True):
            if isinstance(answer, FleetbeatError):
                done.errors.append(f"{subject(live.key)}: {answer}")
            elif isinstance(answer, BaseException):
                raise answer
            elif answer:
                done.changes.append(Change("deleted", live.key))


async def _delete(client: ClusterClient, kinds: Kinds, live: Live) -> bool:
    resource = kinds.any_version(live.key[0], live.key[1])
    return await client.delete(resource, live.meta) if resource else False


def _as_write(live: Live) -> Write:
    want = Wanted(live.key, Manifest({"metadata": {"name": live.key[3]}}, ""), "")
    return Write(want, {"metadata": live.meta}, Change("deleted", live.key))
