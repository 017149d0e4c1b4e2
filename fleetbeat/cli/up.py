"""`fleetbeat up`: everything in one process tree, or one full pass with `--once`."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.live import Live

from fleetbeat import status as states
from fleetbeat.cli import tables
from fleetbeat.cli.context import (
    FAILED,
    MISUSE,
    FleetOption,
    Output,
    OutputOption,
    err,
    out,
    print_json,
    settings,
    told,
)
from fleetbeat.stack.stack import KNOWN_PARTS, Parts, Stack
from shared.audit import stream
from shared.documents import Fleet, InvalidFleetError, load
from shared.settings import Settings
from shared.state import due, leaving
from shared.state import fleet as fleets
from shared.state.fleet import Published
from shared.state.store import Errors, Store

ONCE_SECONDS = 1800.0
RELOAD_SECONDS = 2.0


def up(
    fleet: FleetOption = None,
    once: Annotated[
        bool, typer.Option("--once", help="One full pass, health included; exit 1 if anything failed.")
    ] = False,
    without: Annotated[
        str, typer.Option(help="Parts to leave out, comma-separated: flower, console, beat, workers.")
    ] = "",
    output: OutputOption = Output.table,
) -> None:
    """Run Redis (unless FLEETBEAT_REDIS_URL is set), beat, workers and Flower for a fleet.

    Examples: fleetbeat up --fleet fleet/    fleetbeat up --fleet fleet/ --once -o json
    """
    left_out = {part.strip() for part in without.split(",") if part.strip()}
    unknown = sorted(left_out - set(KNOWN_PARTS))
    if unknown:
        err.print(f"error: --without knows no {', '.join(unknown)}; it takes {', '.join(KNOWN_PARTS)}")
        raise typer.Exit(MISUSE)
    mine = settings()
    parts = Parts(
        beat="beat" not in left_out, workers="workers" not in left_out, flower="flower" not in left_out and not once
    )
    with told():
        loaded = load(fleet) if fleet else None
        with Stack(mine, parts) as stack:
            stack.lock()
            wanted = publish(stack.store, loaded, mine)
            for warning in wanted.warnings:
                err.print(f"warning: {warning}", markup=False, soft_wrap=True)
            stack.run(wanted)
            if once:
                _once(stack, wanted, mine, output)
            else:
                _stay(stack, fleet, wanted, mine)


def publish(store: Store, loaded: Fleet | None, mine: Settings) -> Fleet:
    """Put a fleet in force, with its event; without one, the fleet that ran last stays."""
    if loaded is None:
        return fleets.current(store)
    published = fleets.publish(store, loaded, mine.actor)
    if published.changed or published.removed:
        details: dict[str, Any] = {"digest": published.digest, "changed": len(published.changed)}
        details |= {"removed": list(published.removed), "left": [f"{sync}@{name}" for name, sync in published.left]}
        stream.append(store, "fleet.published", actor=mine.actor, details=details)
    for name in published.removed:
        text = "left the fleet; its objects stay where they are"
        stream.append(store, "cluster.removed", actor=mine.actor, cluster=name, message=text)
        err.print(f"cluster {name} {text}")
    _tell_left(store, published)
    return loaded


def _tell_left(store: Store, published: Published) -> None:
    """Say what becomes of the objects of Syncs that left clusters; each cluster's next sync sees to it."""
    gone = leaving.of_clusters(store, sorted({cluster for cluster, _ in published.left}))
    where: dict[tuple[str, bool], list[str]] = {}
    for cluster, name in published.left:
        if name in gone[cluster]:
            where.setdefault((name, gone[cluster][name].spec.leaves == "Prune"), []).append(cluster)
    for (name, prunes), clusters in sorted(where.items()):
        named = ", ".join(clusters[:5]) + (f" and {len(clusters) - 5} more" if len(clusters) > 5 else "")
        fate = "are deleted at the next sync" if prunes else "stay where they are"
        err.print(f"Sync {name} left {named}; its objects there {fate}", markup=False, soft_wrap=True)


def _once(stack: Stack, fleet: Fleet, mine: Settings, output: Output) -> None:
    started = stack.store.time()
    due.mark(stack.store, [f"source/{name}" for name in fleet.sources], "manual", mine.actor)
    report = wait_for(stack.store, fleet, started, mine, quiet=output is Output.json)
    report["seconds"] = round(stack.store.time() - started, 3)
    if output is Output.json:
        print_json(report)
    else:
        out.print(tables.status(report))
        for line in tables.problems(report):
            err.print(line, markup=False, soft_wrap=True)
    if not states.succeeded(report):
        raise typer.Exit(FAILED)


def wait_for(
    store: Store, fleet: Fleet, since: float, mine: Settings, *, quiet: bool, only: set[str] | None = None
) -> dict[str, Any]:
    """Poll the sources, sync the clusters, and wait until each has a receipt younger than `since` and is settled."""
    deadline = time.monotonic() + ONCE_SECONDS
    pause = threading.Event()
    targets = sorted(only if only is not None else fleet.clusters)
    marked = False

    def finished() -> tuple[bool, dict[str, Any]]:
        nonlocal marked
        report = states.report(store, fleet)
        report["clusters"] = [row for row in report["clusters"] if row["name"] in targets]
        if not marked:
            polled = states.sources_polled_since(store, fleet, since)
            if polled:
                late = [f"sync/{name}" for name in states.untouched(store, fleet, targets, since)]
                due.mark(store, late, "manual", mine.actor)
                marked = True
            return False, report
        return states.fresh(store, fleet, targets, since) and states.settled(report), report

    show: Callable[[Any], None] = lambda _table: None  # noqa: E731 (one of two ways to show progress)
    if not quiet and err.is_terminal:
        with Live(console=err, transient=True, refresh_per_second=8) as live:
            show = live.update
            return _until(finished, show, deadline, pause)
    return _until(finished, show, deadline, pause)


def _until(
    finished: Callable[[], tuple[bool, dict[str, Any]]],
    show: Callable[[Any], None],
    deadline: float,
    pause: threading.Event,
) -> dict[str, Any]:
    while True:
        done, report = finished()
        show(tables.status(report))
        if done or time.monotonic() > deadline:
            return report
        pause.wait(0.1)


def _stay(stack: Stack, folder: Path | None, fleet: Fleet, mine: Settings) -> None:
    if stack.binary:
        out.print(f"Redis    {stack.binary.path} (from {stack.binary.origin}), data in {mine.data_dir}", soft_wrap=True)
    out.print(f"fleet    {len(fleet.clusters)} clusters, {len(fleet.sources)} sources, {len(fleet.syncs)} syncs")
    if stack.flower_port:
        out.print(f"Flower   http://127.0.0.1:{stack.flower_port}")
    out.print(f"logs     {mine.data_dir / 'logs'}")
    out.print("Look with: fleetbeat status, fleetbeat audit log. End with Ctrl-C.")
    sys.stdout.flush()
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    refused: str | None = None
    while not stop.wait(RELOAD_SECONDS):
        if folder is None:
            continue
        try:
            loaded = load(folder)
        except InvalidFleetError as error:
            if str(error) != refused:
                refused = str(error)
                with contextlib.suppress(*Errors):
                    fleets.refuse(stack.store, refused)
                err.print(
                    f"the fleet in {folder} is not valid, the one before stays in force: {error}",
                    markup=False,
                    soft_wrap=True,
                )
            continue
        refused = None
        # A Redis that is away comes back; the folder is read again then.
        with contextlib.suppress(*Errors):
            publish(stack.store, loaded, mine)
    out.print("ending: running syncs are finished or stopped between two writes")


def register(app: typer.Typer) -> None:
    app.command()(up)
