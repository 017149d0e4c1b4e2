"""A look at health alone, between two full runs: only what was not ready is listed, and nothing is written."""

from __future__ import annotations

from collections.abc import Sequence

from workers.clusters.discovery import Kinds
from workers.sync.changes import ChangeSet
from workers.sync.desired import prepare, scopes
from workers.sync.health import may_be_unready
from workers.sync.inventory import Inventory
from workers.sync.job import Context, Job, Outcome
from workers.sync.members import members, version_wanted
from workers.sync.plan import Wanted, subject
from workers.sync.readiness import assess
from workers.sync.record import MOST_KEPT


def enough(context: Context, jobs: Sequence[Job]) -> bool:
    """True when nothing but the health of some objects can have moved since the last run, as far as this host knows."""
    progressing = False
    for job in jobs:
        receipt = context.receipts.get(job.sync.name)
        if job.observed:
            continue
        if job.error or job.leaving or receipt is None or receipt.deletions or receipt.contested:
            return False
        if receipt.state == "applied" and receipt.render == job.render:
            progressing |= receipt.health == "progressing"
        elif receipt.state != "waiting":
            return False
    return progressing


async def recheck(context: Context, jobs: Sequence[Job]) -> Outcome | None:
    """Judge anew what was not ready; None when a Sync that another one waits for has become so: then a full run is due."""
    kinds = await context.client.discover()
    sets = []
    for job in jobs:
        if job.observed:
            continue
        receipt = context.receipts[job.sync.name]
        done = ChangeSet(job.sync.name, job.commit, job.render, receipt.state, receipt.health, rechecked=True)
        sets.append(done)
        if receipt.health == "progressing":
            await _judge(context, kinds, job, receipt.not_ready, done)
    ready = any(done.health == "healthy" and context.receipts[done.sync].health != "healthy" for done in sets)
    if ready and any(done.state == "waiting" for done in sets):
        return None
    return Outcome(sets, context.mark)


async def _judge(context: Context, kinds: Kinds, job: Job, remarks: Sequence[str], done: ChangeSet) -> None:
    client = context.client.seen_as(done.traffic, job.account)
    applyset = Inventory(job.sync.name, context.namespace, context.fleet).id
    wanted, _ = prepare(client.name, applyset, job.manifests, kinds, scopes(job.manifests), context.key)
    looked = _not_ready(wanted, remarks)
    pairs = {pair: version_wanted(want for want in looked if want.key[:2] == pair) for pair in _pairs(looked)}
    found = await members(client, kinds, [applyset], pairs, pairs, context.namespaces)
    bodies = {key: live.body for key, live in found.live.items() if live.body}
    await assess(client, kinds, {want.key for want in looked}, bodies, done)


def _not_ready(wanted: Sequence[Wanted], remarks: Sequence[str]) -> list[Wanted]:
    possible = [want for want in wanted if want.policy.applied and may_be_unready(*want.key[:2])]
    if len(remarks) >= MOST_KEPT:
        return possible
    named = {remark.partition(": ")[0] for remark in remarks}
    return [want for want in possible if subject(want.key) in named]


def _pairs(wanted: Sequence[Wanted]) -> set[tuple[str, str]]:
    return {want.key[:2] for want in wanted}
