"""`fleetbeat pause` and `fleetbeat resume`: auto sync off for a reason, and back with nobody surprised."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from typing import Annotated, Any

import typer

from fleetbeat.cli.context import FAILED, MISUSE, Output, OutputOption, attached, err, out, print_json, settings, told
from fleetbeat.stack.stack import Parts, Stack, alive_workers
from shared.audit import stream
from shared.documents import Fleet
from shared.queue import PREVIEW_CLUSTER, build
from shared.settings import Settings
from shared.state import due, holds, intents, sources
from shared.state import fleet as fleets
from shared.state.holds import Hold, UnknownScopeError
from shared.state.store import Store

QUIET_SECONDS = 60.0
PREVIEW_SECONDS = 30.0
ScopeArgument = Annotated[str, typer.Argument(help="fleet, queue/NAME or cluster/NAME.")]


def pause(scope: ScopeArgument, reason: Annotated[str, typer.Option(help="Why; everybody sees it.")]) -> None:
    """Switch auto sync off; comes back when nothing in the scope is being written any more.

    Example: fleetbeat pause cluster/eu-1 --reason "INC-42, debugging DNS"
    """
    if not reason.strip():
        err.print("error: --reason must not be empty")
        raise typer.Exit(MISUSE)
    mine = settings()
    with told(), attached(mine) as store:
        members = clusters_in(fleets.current(store), scope)
        hold = Hold(scope, reason.strip(), mine.actor, store.time())
        if not holds.put(store, hold):
            before = holds.every(store)[scope]
            err.print(f"error: {scope} is held already by {before.actor}: {before.reason}", markup=False)
            raise typer.Exit(FAILED)
        stream.append(store, "hold.placed", actor=mine.actor, message=hold.reason, details={"scope": scope})
        deadline, wait = time.monotonic() + QUIET_SECONDS, threading.Event()
        while busy := sorted(set(intents.running(store)) & set(members)):
            if time.monotonic() > deadline:
                err.print(
                    f"error: held, but {', '.join(busy)} did not stop writing within {QUIET_SECONDS:.0f} s",
                    markup=False,
                )
                raise typer.Exit(FAILED)
            wait.wait(0.1)
        out.print(
            f"{scope} is held: {len(members)} clusters are not synced until fleetbeat resume {scope}", markup=False
        )


def resume(
    scope: ScopeArgument,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask; what will be reverted is printed all the same.")
    ] = False,
    output: OutputOption = Output.table,
) -> None:
    """Switch auto sync on again, after showing what that will change on the clusters.

    Example: fleetbeat resume cluster/eu-1
    """
    mine = settings()
    with told(), attached(mine) as store:
        fleet = fleets.current(store)
        members = clusters_in(fleet, scope)
        if scope not in holds.every(store):
            err.print(f"error: {scope} is not held", markup=False)
            raise typer.Exit(FAILED)
        if alive_workers(store):
            found = previews(store, mine, fleet, members)
        else:
            with Stack(mine, Parts(beat=False)) as stack:
                stack.run(fleet)
                found = previews(store, mine, fleet, members)
        if output is Output.table:
            _show(found)
        if not yes:
            if not sys.stdin.isatty():
                err.print("error: nobody is there to answer; say --yes to resume after this list, or use a terminal")
                raise typer.Exit(MISUSE)
            typer.confirm("Resume?", abort=True, err=True)
        hold = holds.release(store, scope)
        if hold is None:
            err.print(f"error: {scope} is not held any more, somebody else resumed it", markup=False)
            raise typer.Exit(FAILED)
        reverted = sum(len(item.get("objects", [])) for item in found.values())
        details = {"scope": scope, "heldSeconds": round(store.time() - hold.since), "objects": reverted}
        stream.append(store, "hold.released", actor=mine.actor, message=hold.reason, details=details)
        due.mark(store, [f"sync/{name}" for name in members], "manual", mine.actor)
        if output is Output.json:
            print_json({"scope": scope, "clusters": found})
        else:
            out.print(f"{scope} is resumed", markup=False)


def clusters_in(fleet: Fleet, scope: str) -> list[str]:
    """The clusters that a scope covers.

    Raises:
        UnknownScopeError: It names nothing in the fleet.
    """
    kind, _, name = scope.partition("/")
    if scope == "fleet":
        return list(fleet.clusters)
    if kind == "cluster" and name in fleet.clusters:
        return [name]
    if kind == "queue":
        members = [cluster.name for cluster in fleet.clusters.values() if cluster.spec.queue == name]
        if members:
            return members
    raise UnknownScopeError(
        f"{scope} is no scope of this fleet: it is fleet, queue/NAME or cluster/NAME (other scopes are not supported yet)"
    )


def previews(store: Store, mine: Settings, fleet: Fleet, clusters: list[str]) -> dict[str, dict[str, Any]]:
    """What a sync would change on each cluster, asked of the workers; a cluster that does not answer says so."""
    app = build(mine)
    app.finalize()
    asked = {name: uuid.uuid4().hex for name in clusters}
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for name, request in asked.items():
            kwargs = {"cluster": name, "request": request}
            app.send_task(PREVIEW_CLUSTER, kwargs=kwargs, queue=fleet.clusters[name].spec.queue, producer=producer)
    app.close()
    deadline, wait = time.monotonic() + PREVIEW_SECONDS, threading.Event()
    answers: dict[str, dict[str, Any]] = {}
    while len(answers) < len(asked) and time.monotonic() < deadline:
        for name, request in asked.items():
            if name not in answers and (answer := sources.get_answer(store, request)) is not None:
                answers[name] = answer
        wait.wait(0.05)
    return {
        name: answers.get(name, {"error": f"no worker answered within {PREVIEW_SECONDS:.0f} s"}) for name in clusters
    }


def _show(found: dict[str, dict[str, Any]]) -> None:
    for name, answer in found.items():
        if "error" in answer:
            out.print(f"{name}: cannot be looked at: {answer['error']}", markup=False, soft_wrap=True)
        elif not answer["objects"]:
            out.print(f"{name}: as in Git, nothing will change", markup=False)
        for item in answer.get("objects", []):
            who = f", {item['drift']}" if item["drift"] else ""
            out.print(f"{name}: {item['object']} will be {item['action']}{who}", markup=False, soft_wrap=True)
            for row in item["diff"][:10]:
                if item["action"] == "configured":
                    out.print(
                        f"    {row['path']}: {row.get('from', '(absent)')} → {row.get('to', '(removed)')}",
                        markup=False,
                        soft_wrap=True,
                    )


def register(app: typer.Typer) -> None:
    app.command()(pause)
    app.command()(resume)
