"""`fleetbeat approve`: agree to deletions that are more than a Sync may do by itself."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fleetbeat.cli.context import FAILED, MISUSE, Output, OutputOption, attached, err, out, print_json, settings, told
from fleetbeat.status import current
from shared.audit import stream
from shared.audit.events import EventCommit
from shared.clock import rfc3339
from shared.documents import Fleet, Sync
from shared.documents.problems import did_you_mean, one_line
from shared.settings import Settings
from shared.state import approvals, due, holds, leaving, receipts, sources
from shared.state import fleet as fleets
from shared.state.approvals import Approval
from shared.state.receipts import SyncReceipt
from shared.state.store import Store


@dataclass(frozen=True, slots=True)
class Waiting:
    """Deletions that wait: whose, where, and who approved them already."""

    sync: Sync
    cluster: str
    receipt: SyncReceipt
    leaving: bool
    approval: Approval | None

    @property
    def name(self) -> str:
        return approvals.field(self.cluster, self.sync.name)

    def to_json(self) -> dict[str, Any]:
        approved = {"actor": self.approval.actor, "at": rfc3339(self.approval.at)} if self.approval else None
        return {
            "sync": self.sync.name,
            "cluster": self.cluster,
            "commit": self.receipt.commit or None,
            "leaving": self.leaving,
            "deletions": list(self.receipt.deletions),
            "digest": self.receipt.deletions_digest,
            "approved": approved,
        }


def approve(
    what: Annotated[str | None, typer.Argument(metavar="[SYNC@CLUSTER]", help="Default: list all that wait.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; the list is printed all the same.")] = False,
    output: OutputOption = Output.table,
) -> None:
    """Approve the deletions that wait for one Sync on one cluster, or list all that wait.

    Examples: fleetbeat approve    fleetbeat approve web@eu-1
    """
    mine = settings()
    with told(), attached(mine) as store:
        fleet = fleets.current(store)
        if what is None:
            _list(every(store, fleet), output)
            return
        sync, cluster = _names(store, fleet, what)
        found = next((item for item in every(store, fleet, [cluster]) if item.sync.name == sync), None)
        if found is None:
            err.print(f"error: nothing waits for an approval at {sync}@{cluster}", markup=False, soft_wrap=True)
            raise typer.Exit(FAILED)
        asks = not yes and sys.stdin.isatty()
        if output is Output.table or asks:
            _show(store, found, err if output is Output.json else out)
        if found.approval is None:
            if not yes and not asks:
                err.print(f"error: nobody is there to ask; say: fleetbeat approve {found.name} --yes", markup=False)
                raise typer.Exit(MISUSE)
            if asks:
                typer.confirm("Delete them?", abort=True, err=True)
            found = _grant(store, mine, found)
        _tell(store, mine, fleet, found, output)


def every(store: Store, fleet: Fleet, clusters: list[str] | None = None) -> list[Waiting]:
    """All deletions that wait, by cluster and then by Sync in the order of a run."""
    names = list(fleet.clusters) if clusters is None else clusters
    by_cluster, granted = receipts.of_clusters(store, names), approvals.every(store)
    gone = leaving.of_clusters(store, names)
    found = []
    for name in names:
        here = [(sync, False) for sync in fleet.syncs_of(name)] + [(sync, True) for sync in gone[name].values()]
        for sync, leaves in here:
            receipt = current(by_cluster[name].get(sync.name), leaves=leaves)
            if receipt and receipt.deletions:
                approval = granted.get(name, {}).get(sync.name)
                valid = approval if approval and approval.digest == receipt.deletions_digest else None
                found.append(Waiting(sync, name, receipt, leaves, valid))
    return found


def _names(store: Store, fleet: Fleet, what: str) -> tuple[str, str]:
    """SYNC and CLUSTER; says what is near and exits with 2 when there are no such ones."""
    sync, at, cluster = what.partition("@")
    if not (sync and at and cluster):
        _misuse(f"{what} is not SYNC@CLUSTER; write it like web@eu-1")
    if cluster not in fleet.clusters:
        _misuse(f"the fleet has no cluster {cluster}; {did_you_mean(cluster, fleet.clusters)}")
    here = {item.name for item in fleet.syncs_of(cluster)} | set(leaving.of_cluster(store, cluster))
    if sync not in here:
        _misuse(f"cluster {cluster} has no Sync {sync}; {did_you_mean(sync, here)}")
    return sync, cluster


def _misuse(message: str) -> None:
    err.print(f"error: {one_line(message)}", markup=False, soft_wrap=True)
    raise typer.Exit(MISUSE)


def _list(found: list[Waiting], output: Output) -> None:
    if output is Output.json:
        print_json([item.to_json() for item in found])
    elif not found:
        out.print("nothing waits for an approval")
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("SYNC@CLUSTER", "DELETIONS", "COMMIT", "APPROVED BY"):
            table.add_column(name, overflow="fold", justify="right" if name == "DELETIONS" else "left")
        for item in found:
            by = item.approval.actor if item.approval else ""
            table.add_row(item.name, str(len(item.receipt.deletions)), item.receipt.commit[:8], by)
        out.print(table)


def _show(store: Store, found: Waiting, console: Console) -> None:
    why = (
        f"the Sync left the cluster, deletionPolicy {found.sync.spec.leaves}"
        if found.leaving
        else _commit(store, found)
    )
    count = len(found.receipt.deletions)
    lines = [f"{found.name}: {count} deletions wait ({why})", *(f"  {name}" for name in found.receipt.deletions)]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _commit(store: Store, found: Waiting) -> str:
    commit = found.receipt.commit
    status = sources.get(store, found.sync.spec.source_ref.name)
    known = status is not None and status.commit == commit
    about = (
        f', "{one_line(status.subject)}" by {one_line(status.author)}' if status and known and status.subject else ""
    )
    return f"commit {commit[:8]}{about}"


def _grant(store: Store, mine: Settings, found: Waiting) -> Waiting:
    """Exactly what was shown is approved. The event comes first: no approval may be without its record."""
    digest = found.receipt.deletions_digest
    approval = Approval(found.sync.name, found.cluster, digest, mine.actor, store.time())
    stream.append(
        store,
        "approval.granted",
        actor=mine.actor,
        stream_max=mine.stream_max_events,
        cluster=found.cluster,
        sync=found.sync.name,
        commit=EventCommit(id=found.receipt.commit) if found.receipt.commit else None,
        message=f"{len(found.receipt.deletions)} deletions",
        details={"digest": digest, "deletions": list(found.receipt.deletions)},
    )
    approvals.grant(store, approval)
    return Waiting(found.sync, found.cluster, found.receipt, found.leaving, approval)


def _tell(store: Store, mine: Settings, fleet: Fleet, found: Waiting, output: Output) -> None:
    cluster = fleet.clusters[found.cluster]
    if not cluster.spec.suspend:
        due.mark(store, [f"sync/{cluster.name}"], "manual", mine.actor)
    if output is Output.json:
        print_json(found.to_json())
    else:
        by = found.approval.actor if found.approval else mine.actor
        out.print(f"{found.name}: approved by {by}, for the next sync of {cluster.name}", markup=False, soft_wrap=True)
    hold = holds.of_cluster(holds.every(store), cluster.name, cluster.spec.queue)
    if hold:
        err.print(
            f"{cluster.name} is held by {hold.actor}: {hold.reason} (fleetbeat resume {hold.scope})",
            markup=False,
            soft_wrap=True,
        )
    elif cluster.spec.suspend or (found.sync.spec.suspend and not found.leaving):
        which = f"cluster {cluster.name}" if cluster.spec.suspend else f"Sync {found.sync.name}"
        err.print(f"{which} is suspended, so nothing is deleted yet", markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    app.command()(approve)
