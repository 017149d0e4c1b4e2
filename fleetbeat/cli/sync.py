"""`fleetbeat sync`: now, not at the next interval."""

from __future__ import annotations

from typing import Annotated

import typer

from fleetbeat import status as states
from fleetbeat.cli import tables
from fleetbeat.cli.context import FAILED, MISUSE, Output, OutputOption, attached, err, out, print_json, settings, told
from fleetbeat.cli.up import wait_for
from fleetbeat.stack.stack import Parts, Stack, alive_workers
from shared.state import due, holds
from shared.state import fleet as fleets


def sync(
    clusters: Annotated[list[str] | None, typer.Argument(help="Clusters to sync.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Sync every cluster; held ones are skipped and listed.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every Sync asked for has its receipt.")] = False,
    output: OutputOption = Output.table,
) -> None:
    """Poll the sources and sync clusters now.

    Examples: fleetbeat sync eu-1 --wait    fleetbeat sync --all
    """
    names = list(clusters or [])
    if everything == bool(names):
        err.print("error: name clusters, or say --all")
        raise typer.Exit(MISUSE)
    mine = settings()
    with told(), attached(mine) as store:
        fleet = fleets.current(store)
        unknown = [name for name in names if name not in fleet.clusters]
        if unknown:
            err.print(
                f"error: the fleet has no cluster {', '.join(unknown)}; it has {', '.join(list(fleet.clusters)[:10])}",
                markup=False,
                soft_wrap=True,
            )
            raise typer.Exit(MISUSE)
        targets = names or list(fleet.clusters)
        in_force = holds.every(store)
        held = {
            name: hold
            for name in targets
            if (hold := holds.of_cluster(in_force, name, fleet.clusters[name].spec.queue))
        }
        for name, hold in held.items():
            err.print(
                f"{name} is held by {hold.actor}: {hold.reason} (fleetbeat resume {hold.scope})",
                markup=False,
                soft_wrap=True,
            )
        going = [name for name in targets if name not in held]
        started = store.time()
        due.mark(store, [f"source/{name}" for name in fleet.sources], "manual", mine.actor)
        if not wait:
            due.mark(store, [f"sync/{name}" for name in going], "manual", mine.actor)
            if output is Output.json:
                print_json({"asked": going, "held": sorted(held)})
            else:
                out.print(f"asked for {len(going)} clusters; see fleetbeat status")
        elif alive_workers(store):
            report = wait_for(store, fleet, started, mine, quiet=output is Output.json, only=set(going))
        else:
            with Stack(mine, Parts()) as stack:
                stack.run(fleet)
                report = wait_for(store, fleet, started, mine, quiet=output is Output.json, only=set(going))
        if wait:
            report["seconds"] = round(store.time() - started, 3)
            if output is Output.json:
                print_json(report)
            else:
                out.print(tables.status(report))
                for line in tables.problems(report):
                    err.print(line, markup=False, soft_wrap=True)
            if not states.succeeded(report):
                raise typer.Exit(FAILED)
    if names and held:
        raise typer.Exit(FAILED)


def register(app: typer.Typer) -> None:
    app.command()(sync)
