"""One run over one cluster: discover, list, plan, apply, prune, health. The tasks call it; everything it decides is elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.documents.sync import Sync
from shared.errors import FleetbeatError
from shared.state.intents import HeldError
from shared.state.receipts import ObjectReceipt, SyncReceipt
from workers.clusters import client as api
from workers.clusters.client import ClusterClient
from workers.clusters.discovery import Kinds
from workers.clusters.errors import ClusterUnreachableError, UnauthorizedError
from workers.rendering.manifest import Manifest
from workers.sync import inventory
from workers.sync.apply import Gate, Write, ensure_namespace, examine, write
from workers.sync.changes import ChangeSet
from workers.sync.desired import prepare, scopes
from workers.sync.health import may_be_unready
from workers.sync.inventory import GroupKind, Inventory
from workers.sync.plan import Key, Live, Plan, Wanted, plan, subject
from workers.sync.prune import prune
from workers.sync.readiness import assess


@dataclass(frozen=True, slots=True)
class Job:
    """One Sync of the run: its render, or why there is none. `parent` is what a person at the cluster reads on the inventory."""

    sync: Sync
    commit: str = ""
    render: str = ""
    manifests: tuple[Manifest, ...] = ()
    error: str | None = None
    parent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """What a run is given: where, what was written last time, and the gate for every write."""

    client: ClusterClient
    namespace: str
    fleet: str
    key: bytes
    receipts: Mapping[str, SyncReceipt]
    objects: Mapping[str, Mapping[str, ObjectReceipt]]
    gate: Gate


@dataclass(slots=True)
class _Work:
    job: Job
    done: ChangeSet
    before: Inventory
    wanted: list[Wanted] = field(default_factory=list)
    plan: Plan = field(default_factory=Plan)
    existed: bool = False

    @property
    def name(self) -> str:
        return self.job.sync.name


async def run(context: Context, jobs: Sequence[Job]) -> list[ChangeSet]:
    """Bring one cluster to its jobs' renders, in their order; returns what was done, also where it failed.

    Raises:
        LostLeaseError: From the gate; what was written so far is in the journal, for the next run to settle.
    """
    works = [_start(context, job) for job in jobs]
    token = api.requests.set(works[0].done.requests if works else Counter())
    try:
        await _run(context, works)
    except (ClusterUnreachableError, UnauthorizedError) as error:
        unreachable = isinstance(error, ClusterUnreachableError)
        for work in works:
            if not work.done.errors:
                work.done.errors.append(str(error))
            work.done.state = "unreachable" if unreachable else "failed"
    except HeldError as error:
        for work in works:
            if work.done.state == "pending" and not work.done.errors:
                work.done.state, work.done.waits_for = "held", str(error)
    finally:
        api.requests.reset(token)
    return [work.done for work in works]


def _start(context: Context, job: Job) -> _Work:
    done = ChangeSet(job.sync.name, job.commit, job.render)
    if job.error:
        done.errors.append(job.error)
    return _Work(job, done, Inventory(job.sync.name, context.namespace, context.fleet))


async def _run(context: Context, works: list[_Work]) -> None:
    client = context.client
    kinds = await client.discover()
    await _read_parents(context, kinds, works)
    coming = scopes(manifest for work in works for manifest in work.job.manifests)
    for work in works:
        work.wanted, errors = prepare(client.name, work.before.id, work.job.manifests, kinds, coming, context.key)
        work.done.errors += errors
        work.done.objects = len(work.job.manifests)
    live, whole = await _list_members(client, kinds, works)
    elsewhere = _owners(works)
    known = {work.before.id for work in works}
    for work in works:
        others = {key: name for key, name in elsewhere.items() if name != work.name}
        receipts = context.objects.get(work.name, {})
        work.plan = plan(work.name, work.before.id, work.wanted, live, receipts, others, known)
        work.done.errors += work.plan.conflicts
        work.done.left += work.plan.left
    for work in works:
        if not work.done.errors:
            kinds = await _apply(context, kinds, work, works)
    await _prune(context, kinds, works, whole=whole)
    for work in works:
        await _close(context, kinds, work)


async def _read_parents(context: Context, kinds: Kinds, works: list[_Work]) -> None:
    resource = kinds.exact(context.client.name, "", "v1", "ConfigMap")
    rows = await context.client.list_metadata(resource, inventory.ID, context.namespace)
    found = {item.sync: item for row in rows if (item := inventory.read_parent(row["metadata"]))}
    for work in works:
        mine = found.get(work.name)
        if mine and mine.fleet != context.fleet:
            work.done.errors.append(
                f"Sync {work.name}: cluster {context.client.name} has an inventory of that name from the fleet {mine.fleet!r}, "
                f"this one is {context.fleet!r}: rename the Sync, or set the same FLEETBEAT_FLEET on both"
            )
        elif mine:
            work.before, work.existed = mine, True


async def _list_members(client: ClusterClient, kinds: Kinds, works: list[_Work]) -> tuple[dict[Key, Live], bool]:
    """All members of all Syncs, and whether nothing that could hold one was left out."""
    ids = sorted({work.before.id for work in works})
    selector = f"{inventory.PART_OF} in ({','.join(ids)})"
    wanted: set[GroupKind] = {want.key[:2] for work in works for want in work.wanted}
    wanted |= {pair for work in works for pair in work.before.group_kinds}
    whole = not any(kinds.group_is_stale(group) for group, _ in wanted)
    resources = [found for pair in sorted(wanted) if (found := kinds.any_version(*pair)) and "list" in found.verbs]
    lists = await asyncio.gather(*(client.list_metadata(resource, selector) for resource in resources))
    live = {}
    for resource, items in zip(resources, lists, strict=True):
        for item in items:
            meta = item["metadata"]
            key = (resource.group, resource.kind, meta.get("namespace") or "", meta["name"])
            live[key] = Live(key, meta)
    return live, whole


def _owners(works: list[_Work]) -> dict[Key, str]:
    """Which Sync an object belongs to: the first that wants it, in the run's order."""
    owners: dict[Key, str] = {}
    for work in works:
        for want in work.wanted:
            owners.setdefault(want.key, work.name)
    return owners


async def _apply(context: Context, kinds: Kinds, work: _Work, works: list[_Work]) -> Kinds:
    waits = _blocker(work, works)
    if waits:
        work.done.state, work.done.waits_for = "waiting", waits
        return kinds
    guard = _empty_guard(work)
    if guard:
        work.done.errors.append(guard)
        return kinds
    token = api.requests.set(work.done.requests)
    try:
        done, receipts = work.done, context.objects.get(work.name, {})
        done.receipts.update(work.plan.receipts)
        done.unchanged += len(work.plan.unchanged)
        writes = await examine(context.client, kinds, work.plan.suspects, receipts, done)
        if done.errors:
            return kinds
        if writes:
            await _widen(context, kinds, work)
            kinds = await write(context.client, kinds, writes, context.gate, done)
        if not done.errors:
            done.state = "applied"
            keys = [want.key for want in work.wanted]
            await judge(context.client, kinds, work.before.id, keys, done, wait=work.job.sync.spec.wait)
    finally:
        api.requests.reset(token)
    return kinds


def _blocker(work: _Work, works: list[_Work]) -> str | None:
    """The first Sync this one depends on that is not ready in this run."""
    states = {other.name: other.done for other in works}
    for dependency in work.job.sync.spec.depends_on:
        done = states.get(dependency.name)
        if done is None:
            return f"Sync {dependency.name} is not on this cluster"
        if done.errors or done.state != "applied":
            return f"Sync {dependency.name} is {done.state if done.state != 'pending' else 'failed'}"
        if done.health != "healthy":
            return f"Sync {dependency.name} is {done.health}"
    return None


def _empty_guard(work: _Work) -> str | None:
    if work.wanted or not work.plan.prune or work.job.sync.spec.allow_empty or not work.job.sync.spec.prune:
        return None
    return (
        f"Sync {work.name}: {work.job.sync.spec.path} renders to no objects, and {len(work.plan.prune)} on the cluster would be "
        "deleted; nothing was: set allowEmpty: true if that is meant"
    )


async def _widen(context: Context, kinds: Kinds, work: _Work) -> None:
    wide = work.before.widened(
        {want.key[:2] for want in work.wanted}, {want.key[2] for want in work.wanted if want.key[2]}
    )
    if work.existed and wide == work.before:
        return
    if not work.existed:
        await ensure_namespace(context.client, kinds, context.namespace, context.gate)
    await context.gate.check()
    await context.client.apply(kinds.exact(context.client.name, "", "v1", "ConfigMap"), wide.manifest(work.job.parent))
    work.before, work.existed = wide, True


async def _prune(context: Context, kinds: Kinds, works: list[_Work], *, whole: bool) -> None:
    if not whole or any(work.done.errors for work in works):
        return
    for work in works:
        if work.done.state == "applied" and work.plan.prune and work.job.sync.spec.prune:
            token = api.requests.set(work.done.requests)
            try:
                await prune(context.client, kinds, work.plan.prune, context.gate, work.done)
            finally:
                api.requests.reset(token)


async def judge(
    client: ClusterClient, kinds: Kinds, applyset: str, keys: Sequence[Key], done: ChangeSet, *, wait: bool
) -> None:
    """Set the health of a Sync from its live objects; one list for each kind that may not be ready."""
    pairs = sorted({key[:2] for key in keys if may_be_unready(key[0], key[1])}) if wait else []
    resources = [found for pair in pairs if (found := kinds.any_version(*pair))]
    selector = f"{inventory.PART_OF}={applyset}"
    lists = await asyncio.gather(*(client.list_full(resource, selector) for resource in resources))
    live = {
        (resource.group, resource.kind, body["metadata"].get("namespace") or "", body["metadata"]["name"]): body
        for resource, items in zip(resources, lists, strict=True)
        for body in items
    }
    await assess(client, kinds, keys if wait else (), live, done)


async def _close(context: Context, kinds: Kinds, work: _Work) -> None:
    """Settle the state and bring the parent to what is true now: narrowed, and naming the render that is live."""
    done = work.done
    if done.errors:
        done.state = "failed"
        return
    if done.state != "applied":
        return
    pairs = {want.key[:2] for want in work.wanted} | {
        live.key[:2] for live in work.plan.prune if not work.job.sync.spec.prune
    }
    places = {want.key[2] for want in work.wanted if want.key[2]}
    after = replace(work.before, group_kinds=frozenset(pairs), namespaces=frozenset(places), render=work.job.render)
    if work.existed and after == work.before:
        return
    token = api.requests.set(done.requests)
    try:
        if not work.existed:
            await ensure_namespace(context.client, kinds, context.namespace, context.gate)
        await context.gate.check()
        await context.client.apply(
            kinds.exact(context.client.name, "", "v1", "ConfigMap"), after.manifest(work.job.parent)
        )
    except FleetbeatError as error:
        done.errors.append(str(error))
        done.state = "failed"
    finally:
        api.requests.reset(token)


async def preview(context: Context, jobs: Sequence[Job]) -> dict[str, list[dict[str, Any]]]:
    """What a run would write to each Sync's objects, without writing: {sync: [{object, action, diff, drift}]}."""
    works = [_start(context, job) for job in jobs]
    client = context.client
    kinds = await client.discover()
    await _read_parents(context, kinds, works)
    coming = scopes(manifest for work in works for manifest in work.job.manifests)
    for work in works:
        work.wanted, errors = prepare(client.name, work.before.id, work.job.manifests, kinds, coming, context.key)
        work.done.errors += errors
    live, _ = await _list_members(client, kinds, works)
    owners, known = _owners(works), {work.before.id for work in works}
    found: dict[str, list[dict[str, Any]]] = {}
    for work in works:
        others = {key: name for key, name in owners.items() if name != work.name}
        receipts = context.objects.get(work.name, {})
        decided = plan(work.name, work.before.id, work.wanted, live, receipts, others, known)
        writes = await examine(client, kinds, decided.suspects, receipts, work.done)
        rows = [_row(item) for item in writes]
        rows += [
            {"object": subject(item.key), "action": "deleted", "diff": [], "drift": None} for item in decided.prune
        ]
        found[work.name] = rows
    return found


def _row(item: Write) -> dict[str, Any]:
    drift = item.drifted.drift if item.drifted else None
    return {
        "object": subject(item.want.key),
        "action": item.change.action,
        "diff": list(item.change.diff),
        "drift": drift,
    }
