"""Reading what is suspect and writing what differs; `plan` has said which. Errors are collected per object, never just the first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shared.errors import FleetbeatError, StaleError
from shared.state.receipts import ObjectReceipt
from workers.clusters.client import MANAGER, ClusterClient
from workers.clusters.discovery import Kinds
from workers.clusters.errors import UnknownKindError
from workers.sync import diff, digests, inventory
from workers.sync.changes import Change, ChangeSet
from workers.sync.plan import Wanted, subject, text
from workers.sync.stages import staged

BATCH = 16
"""Writes between two looks at the lease and the holds."""
ESTABLISH_SECONDS = 30.0
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Write:
    """One object that differs from what is desired. `before` is None when there is none."""

    want: Wanted
    before: Body | None
    change: Change
    drifted: Change | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """What every write goes through: `journal` writes down what comes, `check` raises when no more may be written."""

    check: Callable[[], Awaitable[None]]
    journal: Callable[[str, Sequence[Write]], Awaitable[None]]


async def examine(
    client: ClusterClient,
    kinds: Kinds,
    suspects: Sequence[Wanted],
    receipts: Mapping[str, ObjectReceipt],
    done: ChangeSet,
) -> list[Write]:
    """Read every suspect and ask the server whether applying it would change anything; fills `done` with those it would not."""
    answers = await asyncio.gather(
        *(_examine(client, kinds, want, receipts.get(text(want.key))) for want in suspects), return_exceptions=True
    )
    writes = []
    for want, answer in zip(suspects, answers, strict=True):
        if isinstance(answer, Write):
            writes.append(answer)
        elif isinstance(answer, FleetbeatError):
            done.errors.append(f"{want.manifest.origin}: {answer}")
        elif isinstance(answer, BaseException):
            raise answer
        else:
            done.unchanged += 1
            done.receipts[text(want.key)] = _receipt(want, answer)
    return writes


async def _examine(client: ClusterClient, kinds: Kinds, want: Wanted, receipt: ObjectReceipt | None) -> Write | Body:
    manifest = want.manifest
    known = receipt is not None and receipt.desired == want.digest
    try:
        resource = kinds.exact(client.name, manifest.group, manifest.version, manifest.kind)
    except UnknownKindError:
        # Its CustomResourceDefinition is in an earlier stage of this run.
        return Write(want, None, Change("created", want.key))
    live = await client.get(resource, want.key[2], want.key[3])
    if live is None:
        gone = Change("drifted", want.key, drift="deleted by hand") if known else None
        return Write(want, None, Change("created", want.key), gone)
    would = await client.apply(resource, manifest.body, dry_run=True)
    if _same(live, would) and inventory.owned(live["metadata"]):
        return live
    rows = tuple(diff.fields(live, would))
    overruled = _overruled(live, would)
    drifted = None
    if known:
        drifted = Change("drifted", want.key, rows, _who(overruled or _others(live)))
    elif receipt is not None and overruled:
        # Git moved as well: what the hand changed and what the commit changes stand in one diff, that of the write.
        drifted = Change("drifted", want.key, (), _who(overruled))
    return Write(want, live, Change("configured", want.key, rows), drifted)


def _same(live: Body, would: Body) -> bool:
    return orjson.dumps(_bare(live), option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        _bare(would), option=orjson.OPT_SORT_KEYS
    )


def _bare(body: Body) -> Body:
    meta = {k: v for k, v in body["metadata"].items() if k not in {"managedFields", "resourceVersion", "generation"}}
    return {**body, "metadata": meta}


def _others(live: Body) -> list[Body]:
    """Entries of managedFields that are not ours and not for a status."""
    entries: list[Body] = live["metadata"].get("managedFields") or []
    return [entry for entry in entries if entry.get("manager") != MANAGER and entry.get("subresource") != "status"]


def _overruled(live: Body, would: Body) -> list[Body]:
    """Entries of others that own less once we have applied: theirs is what would be reverted."""
    after = {(entry.get("manager"), entry.get("operation")): entry.get("fieldsV1") for entry in _others(would)}
    return [
        entry
        for entry in _others(live)
        if after.get((entry.get("manager"), entry.get("operation"))) != entry.get("fieldsV1")
    ]


def _who(entries: list[Body]) -> str:
    """What happened, with the manager that wrote last as managedFields name it."""
    if not entries:
        return "changed by somebody that managedFields does not name"
    last = max(entries, key=lambda entry: entry.get("time") or "")
    return f"changed by {last.get('manager')} at {last.get('time')}"


async def write(client: ClusterClient, kinds: Kinds, writes: Sequence[Write], gate: Gate, done: ChangeSet) -> Kinds:
    """Write stage by stage, journalled and gated; a stage with errors is the last one. Returns the kinds as known afterwards."""
    by_key = {item.want.key: item for item in writes}
    for stage in staged([item.want for item in writes]):
        items = [by_key[want.key] for want in stage]
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            await gate.journal(done.sync, batch)
            await gate.check()
            answers = await asyncio.gather(*(_write(client, kinds, item) for item in batch), return_exceptions=True)
            for item, answer in zip(batch, answers, strict=True):
                if isinstance(answer, FleetbeatError):
                    done.errors.append(f"{item.want.manifest.origin}: {answer}")
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    done.changes += [change for change in (item.drifted, item.change) if change]
                    done.receipts[text(item.want.key)] = _receipt(item.want, answer)
        if done.errors:
            break
        if any(item.want.key[1] == "CustomResourceDefinition" for item in items):
            kinds = await _established(
                client, [item for item in items if item.want.key[1] == "CustomResourceDefinition"], done
            )
    return kinds


async def _write(client: ClusterClient, kinds: Kinds, item: Write) -> Body:
    manifest = item.want.manifest
    resource = kinds.exact(client.name, manifest.group, manifest.version, manifest.kind)
    if item.before is None:
        return await client.apply(resource, manifest.body)
    try:
        return await client.apply(resource, _at(manifest.body, item.before))
    except StaleError:
        # Status writers move the version all the time: read once more, and let a second conflict be one.
        now = await client.get(resource, item.want.key[2], item.want.key[3])
        return await client.apply(resource, _at(manifest.body, now) if now else manifest.body)


def _at(body: Body, live: Body) -> Body:
    return {**body, "metadata": {**body["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}}


def _receipt(want: Wanted, live: Body) -> ObjectReceipt:
    meta = live["metadata"]
    return ObjectReceipt(meta["uid"], want.digest, digests.fingerprint(meta))


async def _established(client: ClusterClient, items: Sequence[Write], done: ChangeSet) -> Kinds:
    """Wait until the definitions are served; they usually are within 50 ms."""
    waiting = {item.want.key[3]: item.want for item in items}
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


async def ensure_namespace(client: ClusterClient, kinds: Kinds, name: str, gate: Gate) -> None:
    """Create the system namespace when it is missing."""
    resource = kinds.exact(client.name, "", "v1", "Namespace")
    if await client.get(resource, None, name) is None:
        await gate.check()
        await client.apply(resource, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
