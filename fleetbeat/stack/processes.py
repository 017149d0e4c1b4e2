"""Child processes that are kept alive: a dead one is started again within a second, and all end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RESTART_SECONDS = 1.0
WARM_SECONDS = 20.0


@dataclass(slots=True)
class Child:
    """One process and how to start it again."""

    name: str
    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0


@dataclass(slots=True)
class Supervisor:
    """Starts children with the given environment and folder, and watches them from a thread of its own."""

    environment: Mapping[str, str]
    folder: Path
    children: list[Child] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    def add(self, name: str, *arguments: str, log: Path) -> Child:
        """Start `python -m <arguments>`; its output goes to `log`."""
        child = Child(name, [sys.executable, "-m", *arguments], log)
        self._start(child)
        self.children.append(child)
        return child

    def watch(self) -> None:
        """Begin to restart what dies."""
        self._watcher = threading.Thread(target=self._watch, name="fleetbeat-supervisor", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End all children, warm first: running syncs are told to stop and recorded. Idempotent."""
        self._stop.set()
        if self._watcher:
            self._watcher.join(5)
        for child in self.children:
            if child.process and child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        for child in self.children:
            if not child.process:
                continue
            try:
                child.process.wait(WARM_SECONDS)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self.children.clear()

    def _start(self, child: Child) -> None:
        child.log.parent.mkdir(parents=True, exist_ok=True)
        with child.log.open("ab") as log:
            child.process = subprocess.Popen(
                child.command,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _watch(self) -> None:
        while not self._stop.wait(RESTART_SECONDS / 2):
            for child in self.children:
                if child.process and child.process.poll() is not None and not self._stop.is_set():
                    child.restarts += 1
                    self._start(child)


def inherited(extra: Mapping[str, str]) -> dict[str, str]:
    """This process' environment with more in it, for its children."""
    return {**os.environ, **extra}  # noqa: TID251 (children get what the entry point got)
