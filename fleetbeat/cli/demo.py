"""`fleetbeat demo`: everything real but the clusters, in a folder that is gone afterwards."""

from __future__ import annotations

import signal
import sysconfig
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from fleetbeat.cli.context import out, settings, told
from fleetbeat.cli.up import publish
from fleetbeat.demo.sample import Repository, write_fleet
from fleetbeat.demo.story import Story
from fleetbeat.simulator import Simulator
from fleetbeat.stack.processes import inherited
from fleetbeat.stack.stack import Parts, Stack, environment
from shared.documents import load


def demo(
    stay: Annotated[
        bool | None, typer.Option("--stay/--no-stay", help="Keep running at the end. Default: only on a terminal.")
    ] = None,
) -> None:
    """The whole story on simulated clusters: nothing else is needed, nothing is left behind.

    Example: fleetbeat demo --no-stay
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fleetbeat-demo-") as folder, Simulator() as simulator, told():
        root = Path(folder)
        repository = Repository(root / "git" / "platform")
        repository.create()
        write_fleet(root / "fleet", repository, simulator)
        mine = settings().model_copy(update={"data_dir": root / "data", "redis_url": None})
        fleet = load(root / "fleet")
        with Stack(mine, Parts(flower=True)) as stack:
            if stack.binary:
                out.print(f"Redis     {stack.binary.path} (from {stack.binary.origin})", soft_wrap=True)
            out.print(f"clusters  {len(fleet.clusters)} simulated API servers on 127.0.0.1:{simulator.port}")
            out.print(f"Git       {repository.path}", soft_wrap=True)
            publish(stack.store, fleet, mine)
            stack.run(fleet)
            flower = f"http://127.0.0.1:{stack.flower_port}"
            out.print(f"running   beat, {mine.workers} workers, Flower on {flower}")
            shell = inherited(environment(mine))
            Story(out, stack.store, fleet, repository, root / "fleet", shell).tell()
            out.print(f"\nThat was the story, in {time.monotonic() - began:.0f} s.")
            if stay if stay is not None else out.is_terminal:
                out.print(f"Everything stays up until Ctrl-C. Flower: {flower}")
                command = Path(sysconfig.get_path("scripts")) / "fleetbeat"
                out.print(f"Try: FLEETBEAT_DATA_DIR={mine.data_dir} {command} status", soft_wrap=True)
                _until_interrupted()


def _until_interrupted() -> None:
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    stop.wait()


def register(app: typer.Typer) -> None:
    app.command()(demo)
