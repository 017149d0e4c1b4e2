"""One sync of one cluster, from its intent to its record: lease, renders, engine, journal, the one atomic end."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from shared.audit.events import EventCommit
from shared.clock import rfc3339
from shared.documents.cluster import Cluster
from shared.documents.fleet import Fleet
from shared.documents.sync import Sync
from shared.errors import FleetbeatError, TransientError
from shared.state import approvals, identities, intents, keys, known, leaving, receipts, sources
from shared.state import fleet as fleets
from shared.state.intents import Refused, Run
from shared.state.known import Known
from workers.app import Runtime
from workers.clusters.client import ClusterClient
from workers.polling import trail
from workers.rendering.render import Rendered, RenderRequest, render
from workers.rendering.substitute import expand
from workers.sources.spec import SourceSpec
from workers.sync import engine, journal, recheck
from workers.sync.apply import Gate
from workers.sync.changes import ChangeSet
from workers.sync.examine import Write
from workers.sync.job import Context, Job, Outcome
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
    _Sync(mine, run, fleet, cluster).run()


def preview(mine: Runtime, cluster_name: str, request: str) -> None:
    """Leave under `request` what a sync of the cluster would change now: {"objects": [...]} or {"error": text}."""
    fleet = fleets.current(mine.store)
    cluster = fleet.clusters.get(cluster_name)
    if cluster is None:
        return
    pinned = {name: status.commit for name, status in sources.every(mine.store).items() if status.commit}
    try:
        found = known.of_cluster(mine.store, cluster_name)
        jobs = [*_jobs(mine, pinned, fleet, cluster, {}), *_leaving(found.leaving, cluster, fleet, {})]
        context = _context(mine, cluster, Gate(_never, _never_kept), found)
        rows = mine.loop.run(engine.preview(context, jobs), 60)
        answer: dict[str, Any] = {"objects": [{"sync": name, **row} for name, items in rows.items() for row in items]}
    except FleetbeatError as error:
        answer = {"error": str(error)}
    sources.put_answer(mine.store, request, answer)


class _Sync:
    """One run."""

    def __init__(self, mine: Runtime, run: Run, fleet: Fleet, cluster: Cluster) -> None:
        self.mine, self.for_, self.fleet, self.cluster = mine, run, fleet, cluster
        self.known = known.of_cluster(mine.store, cluster.name)
        self.commits: dict[str, EventCommit] = {}
        self.unsettled: list[bytes] = []
        self.commit_of: dict[str, EventCommit | None] = {}

    def run(self) -> None:
        """From the renders to the record.

        Raises:
            RedisFullError: Redis might have no room for the record of what this run would write.
        """
        _headroom(self.known, self.mine.settings.redis_headroom)
        store, name, found = self.mine.store, self.cluster.name, self.known
        gone, approved = found.leaving, found.approved
        jobs = _jobs(self.mine, self.for_.commits, self.fleet, self.cluster, self.commits, approved)
        jobs += _leaving(gone, self.cluster, self.fleet, approved)
        self.commit_of = {job.sync.name: self.commits.get(job.commit) for job in jobs}
        outcome = self._outcome(jobs)
        self._note_reachability(outcome.sets, was_unreachable=found.unreachable)
        end = record(
            self.for_,
            {**gone, **{sync.name: sync for sync in self.fleet.syncs_of(name)}},
            outcome.sets,
            found.receipts,
            found.objects,
            self.commits,
            now=store.time(),
            worker=self.mine.name,
            was_unreachable=found.unreachable,
        )
        mark = {receipts.MARK: outcome.mark.to_bytes()} if outcome.mark else {}
        kept = intents.finish(
            store,
            self.for_,
            events=[(event.id, event.to_json()) for event in end.events],
            receipts={sync: receipt.to_json() if receipt else b"" for sync, receipt in end.receipts.items()},
            objects={**end.objects, **mark},
            unsettled=self.unsettled,
            next_in=end.next_in,
            next_reason=end.next_reason,
            stream_max=self.mine.settings.stream_max_events,
        )
        if not kept:
            log.warning("cluster %s: run %s was taken over, its successor records what it wrote", name, self.for_.id)
            return
        for done in outcome.sets:
            if done.gone:
                leaving.forget(store, name, done.sync)
            if done.sync in approved and not done.deletions:
                approvals.forget(store, name, done.sync)

    def _outcome(self, jobs: list[Job]) -> Outcome:
        try:
            context = _context(self.mine, self.cluster, self._gate(), self.known, self._claim)
        except FleetbeatError as error:
            return Outcome([_failed(job, str(error)) for job in jobs if not job.observed])
        return self.mine.loop.run(self._leased(context, jobs), LONGEST_RUN)

    async def _leased(self, context: Context, jobs: Sequence[Job]) -> Outcome:
        """Settle what is left of earlier runs, then work with the lease renewed in the background until the work is done."""
        renewing = asyncio.create_task(self._renew())
        try:
            left = self.known.journal
            if left:
                await self._settle(context.client, left)
            if self.for_.reason == "health" and not left and recheck.enough(context, jobs):
                outcome = await recheck.recheck(context, jobs)
                if outcome is not None:
                    return outcome
            return await engine.run(context, jobs)
        finally:
            renewing.cancel()

    async def _settle(self, client: ClusterClient, left: Sequence[bytes]) -> None:
        try:
            events = await journal.settle(client, left, self.mine.store.time(), self.mine.key())
        except FleetbeatError as error:
            log.warning("cluster %s: what earlier runs left is settled later: %s", self.for_.cluster, error)
            self.unsettled += left
            return
        rows = [(event.id, event.to_json()) for event in events]
        await asyncio.to_thread(intents.finish, self.mine.store, self.for_, events=rows, settle_only=True)

    async def _renew(self) -> None:
        lease = self.mine.settings.lease_seconds
        while True:
            await asyncio.sleep(lease / 3)
            try:
                await asyncio.to_thread(intents.gate, self.mine.store, self.for_, lease)
            except intents.HeldError:
                continue

    def _gate(self) -> Gate:
        lease, key = self.mine.settings.lease_seconds, self.mine.key()

        def rows(sync: str, writes: Sequence[Write]) -> list[bytes]:
            return journal.entries(self.for_, sync, self.commit_of.get(sync), writes, key)

        async def through(sync: str, writes: Sequence[Write]) -> None:
            await asyncio.to_thread(intents.gate, self.mine.store, self.for_, lease, rows(sync, writes))

        def keep(sync: str, writes: Sequence[Write]) -> None:
            self.unsettled += rows(sync, writes)

        return Gate(through, keep)

    def _claim(self, uid: str) -> str | None:
        where = self.cluster.spec.system_namespace
        return identities.claim(self.mine.store, uid, where, self.cluster.name, set(self.fleet.clusters))

    def _note_reachability(self, sets: Sequence[ChangeSet], *, was_unreachable: bool) -> None:
        store, key = self.mine.store, keys.reachability(self.cluster.name)
        why = next((done.errors[0] for done in sets if done.state == "unreachable"), None)
        if why and not was_unreachable:
            store.redis.set(key, orjson.dumps({"since": store.time(), "why": why}))
        if was_unreachable and not why:
            store.redis.delete(key)


def _failed(job: Job, why: str) -> ChangeSet:
    return ChangeSet(job.sync.name, job.commit, job.render, "failed", errors=[why], leaving=job.leaving)


def _context(
    mine: Runtime,
    cluster: Cluster,
    gate: Gate,
    found: Known,
    claim: Callable[[str], str | None] = lambda _uid: None,
) -> Context:
    spec = cluster.spec
    return Context(
        client=mine.client(cluster),
        namespace=spec.system_namespace,
        fleet=mine.settings.fleet,
        key=mine.key(),
        receipts=found.receipts,
        objects=found.objects,
        gate=gate,
        now=found.now,
        namespaces=tuple(dict.fromkeys((*spec.namespaces, spec.system_namespace))) if spec.namespaces else (),
        mark=found.mark,
        claim=claim,
    )


def _jobs(
    mine: Runtime,
    pinned: Mapping[str, str],
    fleet: Fleet,
    cluster: Cluster,
    commits: dict[str, EventCommit],
    approved: Mapping[str, str] | None = None,
) -> list[Job]:
    return [
        _job(mine, pinned, fleet, cluster, sync, commits, (approved or {}).get(sync.name, ""))
        for sync in fleet.syncs_of(cluster.name)
    ]


def _leaving(gone: Mapping[str, Sync], cluster: Cluster, fleet: Fleet, approved: Mapping[str, str]) -> list[Job]:
    variables = fleet.variables_of(cluster.name)
    return [
        Job(sync, account=_account(sync, cluster, variables), leaving=True, approved=approved.get(name, ""))
        for name, sync in gone.items()
    ]


def _job(
    mine: Runtime,
    pinned: Mapping[str, str],
    fleet: Fleet,
    cluster: Cluster,
    sync: Sync,
    commits: dict[str, EventCommit],
    approved: str,
) -> Job:
    source = fleet.sources[sync.spec.source_ref.name]
    commit_id = pinned.get(source.name)
    if not commit_id:
        status = sources.get(mine.store, source.name)
        why = status.error if status and status.error else f"source {source.name} was not fetched yet"
        return Job(sync, error=why, observed=sync.spec.suspend)
    try:
        spec = SourceSpec.of(source)
        commit = mine.commit(spec, commit_id)
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
        account = _account(sync, cluster, variables)
        rendered = _rendered(mine, spec, commit_id, request)
    except FleetbeatError as error:
        return Job(sync, commit_id, error=f"Sync {sync.name}: {error}", observed=sync.spec.suspend)
    parent = {
        "commit": commit.id,
        "author": commit.author,
        "subject": commit.subject,
        "appliedAt": rfc3339(mine.store.time()),
        "worker": mine.name,
    }
    return Job(
        sync,
        commit_id,
        rendered.digest,
        rendered.objects,
        parent=parent,
        account=account,
        observed=sync.spec.suspend,
        approved=approved,
    )


def _rendered(mine: Runtime, spec: SourceSpec, commit: str, request: RenderRequest) -> Rendered:
    key = mine.renders.key(spec.url, commit, request)
    found = mine.renders.get(key)
    if found is None:
        with mine.mirrors.tree(spec, commit) as tree:
            found = render(tree, request, mine.settings, mine.cache)
        mine.renders.put(key, found)
    mine.remember_looked_at(found)
    return found


def _account(sync: Sync, cluster: Cluster, variables: Mapping[str, str]) -> str | None:
    """The user that a service account is to the API server; it lives in the Sync's targetNamespace, else the system namespace."""
    spec = sync.spec
    if not spec.service_account_name:
        return None
    namespace = expand(spec.target_namespace, variables) if spec.target_namespace else cluster.spec.system_namespace
    return f"system:serviceaccount:{namespace}:{expand(spec.service_account_name, variables)}"


def _headroom(found: Known, share: float) -> None:
    limit, used = found.memory_limit, found.memory_used
    if limit and used > limit * share:
        raise RedisFullError(
            f"Redis uses {used} of {limit} bytes: no sync writes until there is room for its record; raise maxmemory or trim"
        )


async def _never(_sync: str, _writes: Sequence[Write]) -> None:
    raise AssertionError("a preview writes nothing")


def _never_kept(_sync: str, _writes: Sequence[Write]) -> None:
    raise AssertionError("a preview writes nothing")
