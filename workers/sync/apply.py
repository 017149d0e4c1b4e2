"""Writing what differs, stage by stage and wave by wave; `plan` and `examine` have said what. Every object's error is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.clock import rfc3339
from shared.errors import FleetbeatError, StaleError
from workers.clusters.client import ABSENT, JSON_PATCH, ClusterClient
from workers.clusters.discovery import Kinds, Resource
from workers.clusters.errors import ClusterUnreachableError, ImmutableFieldError
from workers.sync import diff, ownership
from workers.sync.changes import Change, ChangeSet
from workers.sync.examine import Scope, Write, adopts, examine, receipt_of, recreates
from workers.sync.plan import Key, Wanted, subject, text
from workers.sync.stages import staged

BATCH = 16
"""Writes between two looks at the lease and the holds."""
ATTEMPTS = 4
"""Times that an object is read anew because somebody wrote it in between."""
ESTABLISH_SECONDS = 30.0
GONE_SECONDS = 20.0
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Gate:
    """What every write goes through.

    Args:
        open: Writes down what a Sync is about to write, and raises when no more may be written.
        keep: Writes of a Sync whose outcome nobody knows (the answer got lost): the next run settles them.
    """

    open: Callable[[str, Sequence[Write]], Awaitable[None]]
    keep: Callable[[str, Sequence[Write]], None]


@dataclass(slots=True)
class Written:
    """What writing led to: the kinds as known afterwards, and the objects as the answers showed them."""

    kinds: Kinds
    bodies: dict[Key, Body]


async def write(scope: Scope, writes: Sequence[Write], gate: Gate, done: ChangeSet) -> Written:
    """Write all, each stage only after a clean one before it.

    Raises:
        LostLeaseError, HeldError: From the gate; what was written until then is in `done`.
    """
    result = Written(scope.kinds, {})
    by_key = {item.want.key: item for item in writes}
    for stage in staged([item.want for item in writes]):
        scope = replace(scope, kinds=result.kinds)
        pending = [by_key[want.key] for want in stage]
        for start in range(0, len(pending), BATCH):
            await _batch(scope, pending[start : start + BATCH], gate, done, result.bodies)
        if done.errors:
            break
        definitions = [item.want for item in pending if item.want.key[1] == "CustomResourceDefinition"]
        if definitions:
            result.kinds = await _established(scope.client, definitions, done)
    return result


async def _batch(scope: Scope, batch: Sequence[Write], gate: Gate, done: ChangeSet, bodies: dict[Key, Body]) -> None:
    for _ in range(ATTEMPTS):
        await gate.open(done.sync, batch)
        answers = await asyncio.gather(*(_write(scope, item, gate, done) for item in batch), return_exceptions=True)
        stale: list[Write] = []
        for item, answer in zip(batch, answers, strict=True):
            if isinstance(answer, StaleError):
                stale.append(item)
            elif isinstance(answer, FleetbeatError):
                if isinstance(answer, ClusterUnreachableError):
                    gate.keep(done.sync, [item])
                done.errors.append(f"{item.want.manifest.origin}: {answer}")
            elif isinstance(answer, BaseException):
                raise answer
            else:
                body, change = answer
                _record(scope, replace(item, change=change), body, done, bodies)
        if not stale:
            return
        # Somebody wrote in between, or what was taken for missing is there: look again before deciding anew.
        known = {text(item.want.key): item.receipt for item in stale if item.receipt}
        batch = await examine(scope, [(item.want, None) for item in stale], known, done)
        if not batch:
            return
    done.errors += [
        f"{item.want.manifest.origin}: {subject(item.want.key)} is changed by somebody all the time; it is tried again later"
        for item in batch
    ]


def _record(scope: Scope, item: Write, answer: Body, done: ChangeSet, bodies: dict[Key, Body]) -> None:
    want, before = item.want, item.before
    bodies[want.key] = answer
    done.receipts[text(want.key)] = receipt_of(want, answer, item.receipt)
    if item.change.action == "recreated" or before is None:
        done.changes += [change for change in (item.drifted, item.change) if change]
        return
    if answer["metadata"].get("resourceVersion") == before["metadata"].get("resourceVersion"):
        done.unchanged += 1
        return
    rows = tuple(diff.fields(before, answer, scope.key))
    drifted = item.drifted
    if drifted is None and item.receipt and (hand := ownership.overruled(before["metadata"], answer["metadata"])):
        # Git moved as well: what the hand changed and what the commit changes stand in one diff, that of the write.
        drifted = Change("drifted", want.key, (), str(hand))
    elif drifted is not None:
        drifted = replace(drifted, diff=rows)
    done.changes += [change for change in (drifted, replace(item.change, diff=rows)) if change]


async def _write(scope: Scope, item: Write, gate: Gate, done: ChangeSet) -> tuple[Body, Change]:
    manifest, resource = item.want.manifest, scope.resource(item.want)
    if item.before is None:
        return await scope.client.apply(resource, manifest.body, version=ABSENT), item.change
    version = item.before["metadata"]["resourceVersion"]
    try:
        if adopts(item.want, item.before):
            version = await _adopt(scope, resource, item, version)
        return await scope.client.apply(resource, manifest.body, version=version), item.change
    except ImmutableFieldError as error:
        if not recreates(scope, item.want):
            raise
        body = await _recreate(scope, resource, item, gate, done)
        return body, Change("recreated", item.want.key, item.change.diff, str(error))


async def _adopt(scope: Scope, resource: Resource, item: Write, version: str) -> str:
    """Make ours what predecessors and people own, so that the apply that follows removes what Git does not name."""
    assert item.before is not None
    meta = item.before["metadata"]
    entries = ownership.adopted(meta, rfc3339(scope.now)[:19] + "Z", item.want.manifest.api_version)
    if entries is None:
        return version
    patch = [
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
    ]
    answer = await scope.client.patch(resource, meta, JSON_PATCH, patch)
    return str(answer["metadata"]["resourceVersion"])


async def _recreate(scope: Scope, resource: Resource, item: Write, gate: Gate, done: ChangeSet) -> Body:
    """Delete and create, for an object whose change is refused for nothing but an immutable field."""
    assert item.before is not None
    key, meta = item.want.key, item.before["metadata"]
    live = await scope.client.get(resource, key[2], key[3])
    if live is not None and live["metadata"]["uid"] == meta["uid"]:
        await gate.open(done.sync, [replace(item, change=Change("deleted", key))])
        await scope.client.delete(resource, live["metadata"])
    pause, deadline = 0.05, asyncio.get_running_loop().time() + GONE_SECONDS
    while (live := await scope.client.get(resource, key[2], key[3])) and live["metadata"]["uid"] == meta["uid"]:
        if asyncio.get_running_loop().time() > deadline:
            holding = ", ".join(live["metadata"].get("finalizers") or ()) or "its deletion"
            raise StuckDeletionError(
                f"{subject(key)}: deleted to be recreated, but {holding} keeps it; look at it with kubectl"
            )
        await asyncio.sleep(pause)
        pause = min(1.0, pause * 2)
    await gate.open(done.sync, [replace(item, before=None, change=Change("created", key))])
    return await scope.client.apply(resource, item.want.manifest.body, version=ABSENT)


class StuckDeletionError(FleetbeatError):
    """A deleted object does not go away."""


async def _established(client: ClusterClient, definitions: Sequence[Wanted], done: ChangeSet) -> Kinds:
    """Wait until the definitions are served; they usually are within 50 ms."""
    waiting = {want.key[3]: want for want in definitions}
    deadline = asyncio.get_running_loop().time() + ESTABLISH_SECONDS
    pause = 0.05
    kinds = await client.discover()
    while waiting:
        for name, want in list(waiting.items()):
            spec = want.manifest.body.get("spec") or {}
            group, kind = spec.get("group"), (spec.get("names") or {}).get("kind")
            served = [v["name"] for v in spec.get("versions") or [] if v.get("served")]
            if all((group, version, kind) in kinds.resources for version in served):
                del waiting[name]
        if not waiting:
            break
        if asyncio.get_running_loop().time() > deadline:
            done.errors += [
                f"{subject(want.key)}: not established within {ESTABLISH_SECONDS:.0f} s; look at its conditions with kubectl describe"
                for want in waiting.values()
            ]
            break
        await asyncio.sleep(pause)
        pause = min(1.0, pause * 2)
        kinds = await client.discover()
    return kinds
