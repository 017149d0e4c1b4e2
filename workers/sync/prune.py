"""Deleting what Git no longer wants: last of all, only what is proved to be ours, within a budget, after a run without errors."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.errors import FleetbeatError, StaleError
from workers.clusters.client import MERGE_PATCH, ClusterClient
from workers.clusters.discovery import Kinds, Resource
from workers.clusters.errors import ClusterUnreachableError, NotFoundError
from workers.rendering.manifest import Manifest
from workers.sync import inventory, ownership
from workers.sync.apply import ATTEMPTS, BATCH, Gate
from workers.sync.changes import Change, ChangeSet
from workers.sync.examine import Write
from workers.sync.plan import Live, Wanted, subject, text
from workers.sync.stages import order

SMALL = 5
"""A Sync of fewer objects may lose more than half of them without being asked about it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many deletions need nobody's approval, and the digest of those that somebody approved."""

    most: int
    approved: str = ""

    def allows(self, surplus: Sequence[Live], members: int) -> bool:
        """True when so many of so many members may be deleted now."""
        few = len(surplus) <= self.most and (members < SMALL or len(surplus) * 2 <= members)
        return few or self.approved == digest(surplus)


def digest(surplus: Sequence[Live]) -> str:
    """Names exactly these objects: an approval of it is none of others, nor of ones made anew under the same names."""
    rows = sorted(f"{text(live.key)} {live.meta.get('uid')}" for live in surplus)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:32]


async def prune(client: ClusterClient, kinds: Kinds, surplus: Sequence[Live], gate: Gate, done: ChangeSet) -> None:
    """Delete in the reverse order of writing. All deletions are attempted; each failure is an error of its own."""
    await _each(client, kinds, surplus, gate, done, "deleted", _delete)


async def release(client: ClusterClient, kinds: Kinds, members: Sequence[Live], gate: Gate, done: ChangeSet) -> None:
    """Take the inventory's label off: the objects stay and are nobody's."""
    await _each(client, kinds, members, gate, done, "released", _release)


Effect = Callable[[ClusterClient, Resource, dict[str, Any]], Coroutine[Any, Any, object]]


async def _each(
    client: ClusterClient,
    kinds: Kinds,
    chosen: Sequence[Live],
    gate: Gate,
    done: ChangeSet,
    action: Literal["deleted", "released"],
    effect: Effect,
) -> None:
    items = sorted(chosen, key=lambda live: order(live.key), reverse=True)
    for start in range(0, len(items), BATCH):
        batch = [_as_write(live, action) for live in items[start : start + BATCH]]
        await gate.open(done.sync, batch)
        answers = await asyncio.gather(
            *(_insist(client, kinds, item, effect) for item in batch), return_exceptions=True
        )
        for item, answer in zip(batch, answers, strict=True):
            if isinstance(answer, FleetbeatError):
                if isinstance(answer, ClusterUnreachableError):
                    gate.keep(done.sync, [item])
                done.errors.append(f"{subject(item.want.key)}: {answer}")
            elif isinstance(answer, BaseException):
                raise answer
            elif answer:
                done.changes.append(item.change)


async def _insist(client: ClusterClient, kinds: Kinds, item: Write, effect: Effect) -> bool:
    """Do it to this very object, also when its status is written in between; False when that is not there any more."""
    assert item.before is not None
    key, meta = item.want.key, item.before["metadata"]
    resource = kinds.any_version(key[0], key[1])
    if resource is None:
        return False
    for attempt in range(ATTEMPTS):
        try:
            return bool(await effect(client, resource, meta))
        except NotFoundError:
            return False
        except StaleError:
            live = await client.get(resource, key[2] or None, key[3])
            if live is None or live["metadata"]["uid"] != meta["uid"]:
                return False
            if not ownership.owned(live["metadata"]) or attempt == ATTEMPTS - 1:
                raise
            meta = live["metadata"]
    return False


async def _delete(client: ClusterClient, resource: Resource, meta: dict[str, Any]) -> bool:
    # Gone already counts too: a DELETE whose answer got lost is sent once more by the HTTP library and finds nothing.
    await client.delete(resource, meta)
    return True


async def _release(client: ClusterClient, resource: Resource, meta: dict[str, Any]) -> bool:
    identity = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "labels": {inventory.PART_OF: None}}
    await client.patch(resource, meta, MERGE_PATCH, {"metadata": identity})
    return True


def _as_write(live: Live, action: Literal["deleted", "released"]) -> Write:
    want = Wanted(live.key, Manifest({"metadata": {"name": live.key[3]}}, ""), "")
    return Write(want, {"metadata": live.meta}, Change(action, live.key))
