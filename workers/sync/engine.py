"""One run over one cluster: discover, list, plan, apply, prune, judge. The tasks call it; everything it decides is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.errors import FleetbeatError, LostLeaseError
from shared.state.intents import HeldError
from shared.state.receipts import ClusterMark, ObjectReceipt
from workers.clusters.client import ClusterClient
from workers.clusters.discovery import Kinds
from workers.clusters.errors import ClusterUnreachableError, UnauthorizedError
from workers.sync import inventory, ownership, plan, prune
from workers.sync.apply import Written, write
from workers.sync.changes import WRITES, Change, ChangeSet
from workers.sync.desired import prepare, scopes
from workers.sync.examine import Scope, Write, examine
from workers.sync.health import may_be_unready
from workers.sync.inventory import GroupKind, Inventory
from workers.sync.job import Context, Job, Outcome
from workers.sync.members import Members, members, version_wanted
from workers.sync.parents import Parents, narrowed
from workers.sync.plan import Key, Live, Plan, Wanted, subject
from workers.sync.readiness import assess

Body = dict[str, Any]


@dataclass(slots=True)
class _Work:
    """One Sync on its way through the run."""

    job: Job
    done: ChangeSet
    client: ClusterClient
    before: Inventory
    receipts: Mapping[str, ObjectReceipt]
    wanted: list[Wanted] = field(default_factory=list)
    plan: Plan = field(default_factory=Plan)
    bodies: dict[Key, Body] = field(default_factory=dict)
    existed: bool = False

    @property
    def name(self) -> str:
        return self.job.sync.name

    @property
    def waits_for_health(self) -> bool:
        return self.job.sync.spec.wait and not (self.job.leaving or self.job.observed)


class _Run:
    """The state of one run."""

    def __init__(self, context: Context, jobs: Sequence[Job]) -> None:
        self.context = context
        self.client = context.client
        self.kinds = Kinds()
        self.works = [self._work(job) for job in jobs]
        self.members = Members()
        self.owner: dict[Key, str] = {}
        self.mark: ClusterMark | None = None
        self.compared = context.mark.compared if context.mark else 0.0
        self.due = plan.turn(self.compared, context.now)
        if self.works:
            # What is asked for all Syncs together is counted with the first.
            self.client = context.client.seen_as(self.works[0].done.traffic)

    def _work(self, job: Job) -> _Work:
        done = ChangeSet(job.sync.name, job.commit, job.render, leaving=job.leaving)
        if job.error:
            done.errors.append(job.error)
        client = self.context.client.seen_as(done.traffic, job.account)
        before = Inventory(job.sync.name, self.context.namespace, self.context.fleet)
        return _Work(job, done, client, before, self.context.objects.get(job.sync.name, {}))

    @property
    def _parents(self) -> Parents:
        return Parents(self.client, self.kinds, self.context.namespace, self.context.gate)

    async def decide(self) -> None:
        """Find out what is to be done; nothing is written."""
        self.kinds = await self.client.discover()
        await self._read_parents()
        self._prepare()
        await self._list_members()
        self.owner = plan.owners(
            {work.name: work.wanted for work in self.works},
            self.members.live,
            {work.name: work.before.id for work in self.works},
        )
        for work in self.works:
            self._plan(work)

    async def _read_parents(self) -> None:
        context = self.context
        found = await self._parents.read()
        await self._recognise(found.version)
        for work in self.works:
            mine = found.by_sync.get(work.name)
            if mine and mine.fleet != context.fleet:
                work.done.errors.append(
                    f"Sync {work.name}: cluster {self.client.name} has an inventory of that name from the fleet {mine.fleet!r}, "
                    f"this one is {context.fleet!r}: rename the Sync, or set the same FLEETBEAT_FLEET on both"
                )
            elif mine:
                work.before, work.existed = mine, True

    async def _recognise(self, version: int) -> None:
        """Is this the cluster that it was, at a later time, and nobody else's?"""
        mark = self.context.mark
        if mark and version >= mark.version:
            self.mark = ClusterMark(version, mark.uid, self.compared)
            return
        if mark:
            # It was restored from a backup or made anew: what was written may not be there any more.
            for work in self.works:
                work.receipts = {}
        uid = await self.client.identity()
        twin = self.context.claim(uid) if uid else None
        if not twin:
            self.mark = ClusterMark(version, uid, self.compared)
        else:
            for work in self.works:
                work.done.errors.append(
                    f"cluster {self.client.name} is the same as cluster {twin} (uid {uid}), with the same systemNamespace "
                    f"{self.context.namespace}: remove one of the two, or give it another systemNamespace"
                )

    def _prepare(self) -> None:
        coming = scopes(manifest for work in self.works for manifest in work.job.manifests)
        for work in self.works:
            work.wanted, errors = prepare(
                self.client.name,
                work.before.id,
                work.job.manifests,
                self.kinds,
                coming,
                self.context.key,
                self.context.namespaces,
            )
            work.done.errors += errors
            work.done.objects = len(work.wanted)

    async def _list_members(self) -> None:
        wanted: dict[GroupKind, list[Wanted]] = {}
        for work in self.works:
            for want in work.wanted:
                wanted.setdefault(want.key[:2], []).append(want)
        pairs = {*wanted, *(pair for work in self.works for pair in work.before.group_kinds)}
        whole = {pair: version_wanted(wanted[pair]) for pair in self._whole() if pair in wanted}
        ids = [work.before.id for work in self.works]
        self.members = await members(self.client, self.kinds, ids, pairs, whole, self.context.namespaces)
        for work in self.works:
            touched = {want.key[:2] for want in work.wanted} | work.before.group_kinds
            for pair in sorted(touched & set(self.members.failed)):
                line = f"{pair[1]} objects cannot be listed: {self.members.failed[pair]}"
                (work.done.errors if any(w.key[:2] == pair for w in work.wanted) else work.done.left).append(line)

    def _whole(self) -> set[GroupKind]:
        """Kinds of which some object will have to be read in full anyway: one list is cheaper than many reads."""
        found: set[GroupKind] = set()
        for work in self.works:
            known = work.receipts
            for want in work.wanted:
                pair = want.key[:2]
                receipt = known.get(plan.text(want.key))
                if (
                    (work.existed and (receipt is None or receipt.desired != want.digest))
                    or (receipt is not None and self.due(want.key))
                    or (work.waits_for_health and may_be_unready(*pair))
                ):
                    found.add(pair)
        return found

    def _plan(self, work: _Work) -> None:
        spec = work.job.sync.spec
        work.plan = plan.plan(
            work.name,
            work.before.id,
            work.wanted,
            self.members.live,
            work.receipts,
            self.owner,
            prunable=spec.prune_protected,
            due=self.due,
            report=spec.drift_mode == "report",
            now=self.context.now,
        )
        work.done.errors += work.plan.conflicts
        work.done.left += work.plan.left

    def scope(self, work: _Work) -> Scope:
        spec = work.job.sync.spec
        return Scope(
            client=work.client,
            kinds=self.kinds,
            ids={other.before.id for other in self.works},
            key=self.context.key,
            now=self.context.now,
            report=spec.drift_mode == "report",
            force=spec.force,
            recreatable=spec.prune_protected,
        )

    def suspects(self, work: _Work) -> list[tuple[Wanted, Body | None]]:
        """With the live body, where the list showed it in the version that Git uses."""
        found = []
        for want in work.plan.suspects:
            body = self.members.live[want.key].body
            usable = body is not None and body.get("apiVersion") == want.manifest.api_version
            found.append((want, body if usable else None))
        return found

    async def carry_out(self) -> None:
        """Apply each Sync in order, then prune, then settle what is kept of it."""
        for work in self.works:
            if not (work.done.errors or work.job.observed or work.job.leaving):
                await self._apply(work)
        if not any(work.done.errors for work in self.works):
            for work in reversed(self.works):
                await self._prune(work)
        for work in self.works:
            await self._close(work)
        # A Sync that was not looked at whole keeps its objects' turns for the next run.
        if self.mark and all(work.done.applied or work.job.observed or work.job.leaving for work in self.works):
            self.mark = replace(self.mark, compared=self.context.now)

    async def _apply(self, work: _Work) -> None:
        done = work.done
        blocker = self._blocker(work) or self._empty_guard(work)
        if blocker:
            return
        # What this run does not get to keeps what is known of it.
        wanted = {plan.text(want.key) for want in work.wanted}
        done.receipts.update({name: receipt for name, receipt in work.receipts.items() if name in wanted})
        done.receipts.update(work.plan.receipts)
        done.unchanged += len(work.plan.unchanged) + len(work.plan.alone)
        scope = self.scope(work)
        writes = await examine(scope, self.suspects(work), work.receipts, done)
        writes += await self._missing(scope, work)
        if done.errors:
            return
        await self._report_strays(work)
        if writes:
            await self._widen(work)
            written: Written = await write(scope, writes, self.context.gate, done)
            self.kinds, work.bodies = written.kinds, written.bodies
        done.drifted = sum(bool(receipt.drift) for receipt in done.receipts.values())
        done.contested = [
            f"{subject(plan.key_of(name))} {receipt.drift}"
            for name, receipt in done.receipts.items()
            if receipt.contested
        ]
        if not done.errors:
            done.applied, done.state = True, "applied"
            await self._judge(work)

    async def _missing(self, scope: Scope, work: _Work) -> list[Write]:
        """Objects that no list showed. What was never written is created unless it turns out to be there; drift is looked at first."""
        known = [want for want in work.plan.absent if plan.text(want.key) in work.receipts]
        writes = await examine(scope, [(want, None) for want in known], work.receipts, work.done)
        fresh = [want for want in work.plan.absent if plan.text(want.key) not in work.receipts]
        return writes + [Write(want, None, Change("created", want.key)) for want in fresh]

    async def _report_strays(self, work: _Work) -> None:
        """What was ours, is wanted no more, and carries our label no more: it stays, and people are told."""
        for key in work.plan.strays:
            resource = self.kinds.any_version(*key[:2])
            live = await work.client.get(resource, key[2] or None, key[3]) if resource else None
            if live and live["metadata"]["uid"] == work.receipts[plan.text(key)].uid:
                work.done.left.append(
                    f"{subject(key)} is orphaned: somebody took its label {inventory.PART_OF} off, so it is not deleted"
                )

    async def _judge(self, work: _Work) -> None:
        if not work.waits_for_health:
            work.done.health = "healthy"
            return
        keys = {want.key for want in work.wanted if want.policy.applied and may_be_unready(*want.key[:2])}
        bodies = {key: live.body for key in keys if (live := self.members.live.get(key)) and live.body}
        bodies |= {key: body for key, body in work.bodies.items() if key in keys}
        await assess(work.client, self.kinds, keys, bodies, work.done)

    def _blocker(self, work: _Work) -> bool:
        """Note the first Sync this one depends on that is not ready in this run."""
        others = {other.name: other for other in self.works}
        for dependency in work.job.sync.spec.depends_on:
            other = others.get(dependency.name)
            if other is None or other.job.leaving:
                why = f"Sync {dependency.name} is not on this cluster"
            elif other.job.observed:
                why = f"Sync {dependency.name} is suspended"
            elif other.done.errors or not other.done.applied:
                why = f"Sync {dependency.name} is {'failed' if other.done.errors else other.done.state}"
            elif other.done.health != "healthy":
                why = f"Sync {dependency.name} is {other.done.health}"
            else:
                continue
            work.done.state, work.done.waits_for = "waiting", why
            return True
        return False

    def _empty_guard(self, work: _Work) -> bool:
        spec = work.job.sync.spec
        if work.wanted or not work.plan.prune or spec.allow_empty or not spec.prune:
            return False
        work.done.errors.append(
            f"Sync {work.name}: {spec.path} renders to no objects, and {len(work.plan.prune)} on the cluster would be "
            "deleted; nothing was: set allowEmpty: true if that is meant"
        )
        return True

    async def _widen(self, work: _Work) -> None:
        """Before the first write the inventory says where its objects will be: whatever happens then, none is lost."""
        wide = work.before.widened(
            {want.key[:2] for want in work.wanted}, {want.key[2] for want in work.wanted if want.key[2]}
        )
        if not (work.existed and wide == work.before):
            await self._put_parent(work, wide)

    async def _put_parent(self, work: _Work, wanted: Inventory) -> None:
        await self._parents.put(wanted, work.job.parent, existed=work.existed)
        work.before, work.existed = wanted, True

    async def _prune(self, work: _Work) -> None:
        spec, done, surplus = work.job.sync.spec, work.done, work.plan.prune
        if work.job.leaving and spec.leaves == "Orphan":
            mine = [live for live in self.members.of(work.before.id) if ownership.owned(live.meta)]
            await prune.release(work.client, self.kinds, mine, self.context.gate, done)
            return
        if not surplus or not (work.job.leaving or (done.applied and spec.prune)):
            return
        budget = prune.Budget(spec.max_deletions, work.job.approved)
        if not budget.allows(surplus, len(self.members.of(work.before.id))):
            done.deletions = tuple(subject(live.key) for live in surplus)
            done.deletions_digest = prune.digest(surplus)
            done.state = "waiting"
            done.waits_for = (
                f"{len(surplus)} deletions wait for approval: fleetbeat approve {work.name}@{self.client.name}"
            )
            return
        await prune.prune(work.client, self.kinds, surplus, self.context.gate, done)

    async def _close(self, work: _Work) -> None:
        """Settle the state, and bring the parent to what is true now: narrowed, and naming the render that is live."""
        done = work.done
        if done.errors:
            done.state = "failed"
            return
        if work.job.observed:
            return
        try:
            if work.job.leaving:
                await self._leave(work)
            elif done.applied:
                after = self._narrowed(work)
                if not work.existed or after != work.before:
                    await self._put_parent(work, after)
        except (LostLeaseError, HeldError):
            raise
        except FleetbeatError as error:
            done.errors.append(str(error))
            done.state = "failed"

    def _narrowed(self, work: _Work) -> Inventory:
        gone = {change.key for change in work.done.changes if change.action in {"deleted", "released"}}
        # What moved to another Sync in this run carries that one's label now.
        gone |= {c.key for other in self.works if other is not work for c in other.done.changes if c.action in WRITES}
        left = [live.key for live in self.members.of(work.before.id) if live.key not in gone]
        return narrowed(work.before, work.wanted, left, self.members.listed, work.job.render)

    async def _leave(self, work: _Work) -> None:
        """A Sync that left is gone when its last object is; then its inventory goes too."""
        done = work.done
        after = self._narrowed(work)
        if done.state == "waiting":
            return
        if after.group_kinds:
            done.state = "waiting"
            done.waits_for = "; ".join(done.left) or "its last objects are being deleted"
            return
        done.state, done.health, done.gone = "applied", "healthy", True
        if work.existed:
            await self._parents.remove(work.name)


async def run(context: Context, jobs: Sequence[Job]) -> Outcome:
    """Bring one cluster to its jobs' renders, in their order; returns what was done, also where it failed.

    Raises:
        LostLeaseError: From the gate; what was written so far is in the journal, for the next run to settle.
    """
    this = _Run(context, jobs)
    works = this.works
    try:
        await this.decide()
        await this.carry_out()
    except (ClusterUnreachableError, UnauthorizedError) as error:
        unreachable = isinstance(error, ClusterUnreachableError)
        for work in works:
            if not work.done.errors:
                work.done.errors.append(str(error))
            work.done.state = "unreachable" if unreachable else "failed"
    except HeldError as error:
        for work in works:
            if not work.done.applied and not work.done.errors:
                work.done.state, work.done.waits_for = "held", str(error)
    return Outcome([work.done for work in works if not work.job.observed], this.mark)


async def preview(context: Context, jobs: Sequence[Job]) -> dict[str, list[dict[str, Any]]]:
    """What a run would write to each Sync's objects, without writing: {sync: [{object, action, diff, drift}]}."""
    this = _Run(context, jobs)
    await this.decide()
    found: dict[str, list[dict[str, Any]]] = {}
    for work in this.works:
        scope = replace(this.scope(work), report=False, exact=True)
        absent = [(want, None) for want in work.plan.absent]
        writes = await examine(scope, [*this.suspects(work), *absent], work.receipts, work.done)
        rows = [_row(item) for item in writes]
        if work.job.sync.spec.prune or work.job.leaving:
            rows += [_deletion(live) for live in work.plan.prune]
        found[work.name] = rows
    return found


def _deletion(live: Live) -> dict[str, Any]:
    return {"object": subject(live.key), "action": "deleted", "diff": [], "drift": None}


def _row(item: Write) -> dict[str, Any]:
    drift = item.drifted.note if item.drifted else None
    return {
        "object": subject(item.want.key),
        "action": item.change.action,
        "diff": list(item.change.diff),
        "drift": drift,
    }
