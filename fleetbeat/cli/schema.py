"""`fleetbeat schema`: the JSON Schema of a kind, for editors and CI; `--write` makes the documentation from the models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fleetbeat.cli.context import MISUSE, err, out, print_json
from shared.audit.events import Event
from shared.documents import schema as documents
from shared.settings import Settings


def schema(
    kind: Annotated[str | None, typer.Argument(help="GitRepository, Cluster, Sync or Event. Default: all.")] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write configuration.md and schema/*.json into this folder.")
    ] = None,
) -> None:
    """Print JSON Schemas (2020-12).

    Example: fleetbeat schema Sync > sync.schema.json
    """
    if write is not None:
        documents.write(write, Settings)
        (write / "schema" / "event.json").write_text(documents.pretty(Event.model_json_schema()), encoding="utf-8")
        out.print(f"wrote {write}/configuration.md and {write}/schema/")
        return
    schemas = {**documents.json_schemas(), "Event": Event.model_json_schema()}
    if kind is None:
        print_json(schemas)
    elif kind in schemas:
        print_json(schemas[kind])
    else:
        err.print(f"error: there is no kind {kind}: it is one of {', '.join(schemas)}", markup=False)
        raise typer.Exit(MISUSE)


def register(app: typer.Typer) -> None:
    app.command()(schema)
