"""`fleetbeat`: GitOps for many Kubernetes clusters."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import typer

from fleetbeat.cli import approve, audit, demo, doctor, hold, publish, schema, status, sync, up, validate

app = typer.Typer(
    name="fleetbeat",
    help="GitOps for many Kubernetes clusters, on Celery and Redis, with an audit trail.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (demo, up, publish, status, sync, hold, approve, validate, schema, doctor):
    module.register(app)
app.add_typer(audit.app, name="audit")


def main() -> None:
    """The entry point. SIGTERM and SIGHUP end a command as Ctrl-C does: what it started ends with it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    app()


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
