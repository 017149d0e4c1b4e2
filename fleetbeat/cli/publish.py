"""`fleetbeat publish`: put a fleet folder in force, without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fleetbeat.cli.context import attached, err, out, settings, told
from fleetbeat.cli.up import publish as put_in_force
from shared.documents import load


def publish(
    fleet: Annotated[Path, typer.Option("--fleet", "-f", help="Folder with the fleet's documents.")],
) -> None:
    """Validate a fleet and hand it to the beat and workers that share this Redis. Idempotent.

    Example: fleetbeat publish --fleet fleet/
    """
    mine = settings()
    with told():
        loaded = load(fleet)
        with attached(mine) as store:
            put_in_force(store, loaded, mine)
        for warning in loaded.warnings:
            err.print(f"warning: {warning}", markup=False, soft_wrap=True)
    out.print(f"{len(loaded.clusters)} clusters, {len(loaded.sources)} sources, {len(loaded.syncs)} Syncs are in force")


def register(app: typer.Typer) -> None:
    app.command()(publish)
