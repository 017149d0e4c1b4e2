"""A source poll: one ls-refs, and on a new commit the clusters whose paths it touches become due."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shared.audit import stream
from shared.audit.events import EventCommit
from shared.documents.fleet import Fleet
from shared.documents.git_repository import GitRepository
from shared.errors import FleetbeatError
from shared.state import due, keys, receipts, sources
from shared.state import fleet as fleets
from shared.state.sources import SourceStatus
from workers.app import Runtime
from workers.sources.commit import Commit
from workers.sources.spec import SourceSpec
from workers.sources.tree import Tree


def poll(mine: Runtime, name: str) -> None:
    """Ask the source for its newest commit and record the answer, whatever it is."""
    fleet = fleets.current(mine.store)
    source = fleet.sources.get(name)
    if source is None:
        return
    limit = int(source.spec.timeout.total_seconds()) + 10
    if not mine.store.redis.set(keys.polling(name), mine.name, nx=True, ex=limit):
        return
    try:
        _poll(mine, fleet, source)
    finally:
        mine.store.redis.delete(keys.polling(name))


def _poll(mine: Runtime, fleet: Fleet, source: GitRepository) -> None:
    name, now = source.name, mine.store.time()
    before = sources.get(mine.store, name) or SourceStatus(name)
    actor = f"worker/{mine.name}"
    users = [cluster for cluster in fleet.clusters if _uses(fleet, cluster, name)]
    try:
        spec = SourceSpec.of(source)
        revision = mine.mirrors.resolve(spec)
        if revision.commit == before.commit:
            sources.put(mine.store, replace(before, ref=revision.ref, polled_at=now, error=None))
            return
        commit = mine.mirrors.commit_info(spec, revision.commit)
        with mine.mirrors.tree(spec, revision.commit) as tree:
            concerned = [cluster for cluster in users if _concerns(mine, fleet, cluster, name, tree)]
    except FleetbeatError as error:
        sources.put(mine.store, replace(before, polled_at=now, error=str(error)))
        if before.error != str(error):
            stream.append(mine.store, "source.failed", actor=actor, source=name, message=str(error))
            if not before.commit:
                due.mark(mine.store, _members(users), "retry", actor)
        return
    # Intents made from here on are pinned to the new commit; the poll counts as done once its clusters are due.
    sources.pin(mine.store, name, revision.commit)
    due.mark(mine.store, _members(concerned), "commit", actor)
    status = SourceStatus(name, revision.ref, revision.commit, now, now, None, commit.subject, commit.author)
    sources.put(mine.store, status)
    details = {"ref": revision.ref, "clusters": len(concerned)}
    stream.append(mine.store, "source.revision", actor=actor, source=name, commit=trail(commit), details=details)


def trail(commit: Commit) -> EventCommit:
    """What the audit trail keeps of a commit."""
    return EventCommit(id=commit.id, author=commit.author, committer=commit.committer, subject=commit.subject)


def _members(clusters: Iterable[str]) -> list[str]:
    return [f"sync/{cluster}" for cluster in clusters]


def _uses(fleet: Fleet, cluster: str, source: str) -> bool:
    return any(sync.spec.source_ref.name == source for sync in fleet.syncs_of(cluster))


def _concerns(mine: Runtime, fleet: Fleet, cluster: str, source: str, tree: Tree) -> bool:
    """True when the commit touches a path that one of the cluster's renders depends on, or nobody knows."""
    known = receipts.of_cluster(mine.store, cluster)
    for sync in fleet.syncs_of(cluster):
        if sync.spec.source_ref.name != source:
            continue
        receipt = known.get(sync.name)
        looked = sources.looked_at(mine.store, receipt.render) if receipt and receipt.state == "applied" else None
        if looked is None:
            return True
        for path, identity in looked:
            entry = tree.entry(path)
            if (entry.id if entry else None) != identity:
                return True
    return False
