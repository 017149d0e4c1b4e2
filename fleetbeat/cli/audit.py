"""`fleetbeat audit`: who changed what, when, and where."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Annotated

import typer

from fleetbeat.cli import tables
from fleetbeat.cli.context import MISUSE, Output, OutputOption, attached, err, out, print_json, settings, told
from shared.audit import stream
from shared.clock import now, parse_duration

app = typer.Typer(help="The audit trail.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def audit() -> None:
    """The audit trail: who changed what, when, and where."""


@app.command()
def log(
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    sync: Annotated[str | None, typer.Option(help="Only this Sync.")] = None,
    thing: Annotated[str | None, typer.Option("--object", help="Kind/namespace/name, Kind/name or name.")] = None,
    author: Annotated[str | None, typer.Option(help="Part of the commit author's or actor's name.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only this event type, like object.drifted.")] = None,
    run: Annotated[str | None, typer.Option(help="Only this run.")] = None,
    since: Annotated[str | None, typer.Option(help="A duration (2h) or an RFC 3339 time.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the newest so many. Default: all.")] = None,
    output: OutputOption = Output.table,
) -> None:
    """Events, oldest first.

    Examples: fleetbeat audit log --object Deployment/web/frontend    fleetbeat audit log --author ada --since 2h -o json
    """
    try:
        start = _since(since) if since else None
    except ValueError as error:
        err.print(f"error: --since: {error}", markup=False)
        raise typer.Exit(MISUSE) from None
    wanted = stream.Filter(cluster=cluster, sync=sync, type=kind, object=thing, author=author, run=run, since=start)
    with told(), attached(settings()) as store:
        rows = list(deque(stream.read(store, wanted), maxlen=limit))
    if output is Output.json:
        print_json(rows)
    else:
        out.print(tables.events(rows))


def _since(text: str) -> float:
    try:
        return now() - parse_duration(text).total_seconds()
    except ValueError:
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            raise ValueError(f"{text!r} is no duration like 2h and no time like 2026-01-31T08:00:00Z") from None
