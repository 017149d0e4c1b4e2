"""`fleetbeat status`: where every cluster stands."""

from __future__ import annotations

import typer

from fleetbeat import status as states
from fleetbeat.cli import tables
from fleetbeat.cli.context import (
    FleetOption,
    Output,
    OutputOption,
    attached,
    err,
    fleet_of,
    out,
    print_json,
    settings,
    told,
)
from shared.state import fleet as fleets


def status(fleet: FleetOption = None, output: OutputOption = Output.table) -> None:
    """Show every Sync of every cluster. Always exit 0 when it could be read.

    Example: fleetbeat status -o json | jq '.clusters[] | select(.reachable == false).name'
    """
    with told(), attached(settings()) as store:
        started = store.time()
        report = states.report(store, fleet_of(store, fleet))
        report["seconds"] = round(store.time() - started, 3)
        refused = fleets.refused(store)
    if output is Output.json:
        print_json(report)
        return
    out.print(tables.status(report))
    for line in tables.problems(report):
        err.print(line, markup=False, soft_wrap=True)
    if refused:
        err.print(f"the newest fleet was refused, the one before is in force: {refused}", markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    app.command()(status)
