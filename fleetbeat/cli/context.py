"""What every command needs: settings, output, the fleet, and errors in one line with an exit code that means something."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from fleetbeat.stack.stack import Parts, Stack
from shared.documents import Fleet, InvalidFleetError, load
from shared.errors import FleetbeatError
from shared.settings import Settings, SettingsError, from_environment
from shared.state import fleet as fleets
from shared.state.store import Errors, RedisUnavailableError, Store

FAILED, MISUSE = 1, 2


class Output(StrEnum):
    """How a command prints."""

    table = "table"
    json = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="table for people, json for machines (stdout alone).")
]
FleetOption = Annotated[
    Path | None,
    typer.Option("--fleet", "-f", help="Folder with the fleet's documents. Default: the one that ran last."),
]
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def settings() -> Settings:
    """The settings of this command's environment; one that cannot be used ends the command as misuse, in one line."""
    try:
        return from_environment()
    except SettingsError as error:
        err.print(f"error: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(MISUSE) from None


@contextmanager
def told() -> Iterator[None]:
    """Turn what goes wrong into lines for a person, and exit code 1."""
    try:
        yield
    except InvalidFleetError as error:
        for problem in error.problems:
            err.print(f"error: {problem}", markup=False, soft_wrap=True)
        raise typer.Exit(FAILED) from None
    except FleetbeatError as error:
        err.print(f"error: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(FAILED) from None
    except Errors as error:
        err.print(f"error: Redis does not answer any more: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(FAILED) from None


def print_json(value: Any) -> None:
    """JSON on stdout, and nothing else."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
    sys.stdout.flush()


def fleet_of(store: Store, folder: Path | None) -> Fleet:
    """The fleet of a folder, or the one in force."""
    return load(folder) if folder else fleets.current(store)


@contextmanager
def attached(mine: Settings) -> Iterator[Store]:
    """The state of the running fleet; of one that does not run, from its data folder, with Redis up for this command only.

    Raises:
        RedisUnavailableError: Nothing runs there, and nothing ever did.
    """
    store = Store.open(mine)
    try:
        try:
            store.check(mine)
        except RedisUnavailableError:
            if mine.redis_url or not (mine.data_dir / "redis").exists():
                raise
        else:
            yield store
            return
    finally:
        store.close()
    with Stack(mine, Parts(beat=False, workers=False)) as stack:
        stack.lock()
        yield stack.store
