"""`fleetbeat validate`: every error of a fleet's documents at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fleetbeat.cli.context import FAILED, Output, OutputOption, err, out, print_json, told
from shared.documents import InvalidFleetError, load


def validate(
    folder: Annotated[Path, typer.Argument(help="Folder with the fleet's documents.")],
    output: OutputOption = Output.table,
) -> None:
    """Check a fleet's documents; exit 0 when they are valid.

    Example: fleetbeat validate examples/fleet
    """
    if output is Output.json:
        try:
            fleet = load(folder)
        except InvalidFleetError as error:
            rows = [{"file": p.file, "line": p.line, "field": p.field, "message": p.message} for p in error.problems]
            print_json({"valid": False, "problems": rows, "warnings": []})
            raise typer.Exit(FAILED) from None
        print_json({"valid": True, "problems": [], "warnings": list(fleet.warnings), "digest": fleet.digest})
        return
    with told():
        fleet = load(folder)
        for warning in fleet.warnings:
            err.print(f"warning: {warning}", markup=False, soft_wrap=True)
        out.print(f"valid: {len(fleet.clusters)} clusters, {len(fleet.sources)} sources, {len(fleet.syncs)} syncs")


def register(app: typer.Typer) -> None:
    app.command()(validate)
