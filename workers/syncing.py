"""One sync of one cluster, from its intent to its record: lease, renders, engine, journal, the one atomic end."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from shared.audit.events import EventCommit
from shared.clock import rfc3339
from shared.documents.cluster import Cluster
from shared.documents.fleet import Fleet
from shared.documents.sync import Sync
from shared.errors import FleetbeatError, TransientError
from shared.state import fleet as fleets
from shared.state import intents, keys, receipts, sources
from shared.state.intents import Refused, Run
from workers.app import Runtime
from workers.clusters.client import ClusterClient
from workers.polling import trail
from workers.rendering.render import RenderRequest, render
from workers.rendering.substitute import expand
from workers.sources.spec import SourceSpec
from workers.sync import engine, journal
from workers.sync.apply import Gate, Write
from workers.sync.changes import ChangeSet
from workers.sync.engine import Context, Job
from workers.sync.record import record

log = logging.getLogger("fleetbeat.worker")
LONGEST_RUN = 1800.0
"""Seconds after which a run is given up; its journal is settled by the next one."""


class RedisFullError(TransientError):
    """Redis has too little memory left to record what a run would write."""


def sync(mine: Runtime, cluster_name: str, intent: str) -> None:
    """Run all Syncs of a cluster. A message that has no pending intent does nothing."""
    fleet = fleets.current(mine.store)
    cluster = fleet.clusters.get(cluster_name)
    if cluster is None:
        return
    lease = mine.settings.lease_seconds
    run = intents.start(mine.store, cluster_name, intent, cluster.spec.queue, uuid.uuid4().hex, mine.name, lease)
    if isinstance(run, Refused):
        log.debug("cluster %s: nothing to do: %s", cluster_name, run.why)
        return
    _headroom(mine)
    _run(mine, run, fleet, cluster)


def _run(mine: Runtime, run: Run, fleet: Fleet, cluster: Cluster) -> None:
    syncs = [sync for sync in fleet.syncs_of(cluster.name) if not sync.spec.suspend]
    before = receipts.of_cluster(mine.store, cluster.name)
    commits: dict[str, EventCommit] = {}
    jobs = [_job(mine, run.commits, fleet, cluster, sync, commits) for sync in syncs]
    was_unreachable = bool(mine.store.redis.exists(keys.reachability(cluster.name)))
    try:
        client = mine.client(cluster)
    except FleetbeatError as error:
        sets = [ChangeSet(job.sync.name, job.commit, job.render, state="failed", errors=[str(error)]) for job in jobs]
    else:
        by_sync = {job.sync.name: commits.get(job.commit) for job in jobs}
        context = Context(
            client=client,
            namespace=cluster.spec.system_namespace,
            fleet=mine.settings.fleet,
            key=mine.key(),
            receipts=before,
            objects=receipts.objects_of(mine.store, cluster.name),
            gate=_gate(mine, run, by_sync),
        )
        sets = mine.loop.run(_leased(mine, run, client, lambda: engine.run(context, jobs)), LONGEST_RUN)
    unreachable = next((done.errors[0] for done in sets if done.state == "unreachable"), None)
    if unreachable and not was_unreachable:
        mine.store.redis.set(
            keys.reachability(cluster.name), orjson.dumps({"since": mine.store.time(), "why": unreachable})
        )
    if was_unreachable and not unreachable:
        mine.store.redis.delete(keys.reachability(cluster.name))
    end = record(
        run,
        {sync.name: sync for sync in syncs},
        sets,
        before,
        commits,
        now=mine.store.time(),
        worker=mine.name,
        was_unreachable=was_unreachable,
    )
    kept = intents.finish(
        mine.store,
        run,
        events=[(event.id, event.to_json()) for event in end.events],
        receipts={name: receipt.to_json() for name, receipt in end.receipts.items()},
        objects=end.objects,
        next_in=end.next_in,
        next_reason=end.next_reason,
        stream_max=mine.settings.stream_max_events,
    )
    if not kept:
        log.warning("cluster %s: run %s was taken over, its successor records what it wrote", cluster.name, run.id)


def preview(mine: Runtime, cluster_name: str, request: str) -> None:
    """Leave under `request` what a sync of the cluster would change now: {"objects": [...]} or {"error": text}."""
    fleet = fleets.current(mine.store)
    cluster = fleet.clusters.get(cluster_name)
    if cluster is None:
        return
    pinned = {name: status.commit for name, status in sources.every(mine.store).items() if status.commit}
    try:
        jobs = [_job(mine, pinned, fleet, cluster, sync, {}) for sync in fleet.syncs_of(cluster_name)]
        context = Context(
            client=mine.client(cluster),
            namespace=cluster.spec.system_namespace,
            fleet=mine.settings.fleet,
            key=mine.key(),
            receipts={},
            objects=receipts.objects_of(mine.store, cluster_name),
            gate=Gate(_never, _never_journal),
        )
        rows = mine.loop.run(engine.preview(context, jobs), 60)
        answer: dict[str, Any] = {"objects": [{"sync": name, **row} for name, items in rows.items() for row in items]}
    except FleetbeatError as error:
        answer = {"error": str(error)}
    sources.put_answer(mine.store, request, answer)


def _job(
    mine: Runtime, pinned: Any, fleet: Fleet, cluster: Cluster, sync: Sync, commits: dict[str, EventCommit]
) -> Job:
    source = fleet.sources[sync.spec.source_ref.name]
    commit_id = pinned.get(source.name)
    if not commit_id:
        status = sources.get(mine.store, source.name)
        why = status.error if status and status.error else f"source {source.name} was not fetched yet"
        return Job(sync, error=why)
    try:
        spec = SourceSpec.of(source)
        commit = mine.mirrors.commit_info(spec, commit_id)
        commits[commit_id] = trail(commit)
        variables = fleet.variables_of(cluster.name)
        build = sync.spec.post_build
        request = RenderRequest(
            path=expand(sync.spec.path, variables),
            variables=None if build is None else {**variables, **build.substitute},
            target_namespace=expand(sync.spec.target_namespace, variables) if sync.spec.target_namespace else None,
            common_labels=dict(sync.spec.common_metadata.labels),
            common_annotations=dict(sync.spec.common_metadata.annotations),
            ignore=source.spec.ignore,
        )
        with mine.mirrors.tree(spec, commit_id) as tree:
            rendered = render(tree, request, mine.settings, mine.cache)
    except FleetbeatError as error:
        return Job(sync, commit_id, error=f"Sync {sync.name}: {error}")
    sources.remember_looked_at(mine.store, rendered.digest, rendered.looked_at)
    parent = {
        "commit": commit.id,
        "author": commit.author,
        "subject": commit.subject,
        "appliedAt": rfc3339(mine.store.time()),
        "worker": mine.name,
    }
    return Job(sync, commit_id, rendered.digest, rendered.objects, parent=parent)


def _gate(mine: Runtime, run: Run, commits: dict[str, EventCommit | None]) -> Gate:
    lease = mine.settings.lease_seconds

    async def check() -> None:
        await asyncio.to_thread(intents.gate, mine.store, run, lease, renew=True)

    async def write_down(sync: str, writes: Sequence[Write]) -> None:
        rows = journal.entries(run, sync, commits.get(sync), writes)
        await asyncio.to_thread(intents.write_ahead, mine.store, run, rows)

    return Gate(check, write_down)


async def _leased(mine: Runtime, run: Run, client: ClusterClient, work: Callable[[], Any]) -> list[ChangeSet]:
    """Settle what a dead run left, then work with the lease renewed in the background until the work is done."""
    renewing = asyncio.create_task(_renew(mine, run))
    try:
        left = await asyncio.to_thread(intents.journalled, mine.store, run.cluster)
        if left:
            events = await journal.settle(client, left, mine.store.time())
            rows = [(event.id, event.to_json()) for event in events]
            await asyncio.to_thread(intents.finish, mine.store, run, events=rows, settle_only=True)
        sets: list[ChangeSet] = await work()
        return sets
    finally:
        renewing.cancel()


async def _renew(mine: Runtime, run: Run) -> None:
    lease = mine.settings.lease_seconds
    while True:
        await asyncio.sleep(lease / 3)
        try:
            await asyncio.to_thread(intents.gate, mine.store, run, lease, renew=True)
        except intents.HeldError:
            continue


def _headroom(mine: Runtime) -> None:
    """Refuse to start a run whose record Redis might have no room for."""
    memory = mine.store.redis.info("memory")
    limit, used = int(memory.get("maxmemory") or 0), int(memory.get("used_memory") or 0)
    if limit and used > limit * mine.settings.redis_headroom:
        raise RedisFullError(
            f"Redis uses {used} of {limit} bytes: no sync writes until there is room for its record; raise maxmemory or trim"
        )


async def _never() -> None:
    raise AssertionError("a preview writes nothing")


async def _never_journal(_sync: str, _writes: Sequence[Write]) -> None:
    raise AssertionError("a preview writes nothing")
