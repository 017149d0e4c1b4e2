"""fleetbeat as its operators run it: `fleetbeat up` with its own Redis, beat and workers, in a data folder of its own.

A sync is asked for as `fleetbeat sync` does, by marking the due set, but from this process: the command's own start-up is no part of a
sync. The clock is Redis' own, from the mark to the last cluster's receipt, so beat, queue, lease and record are all in it.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from benchmarks import processes
from benchmarks.errors import MissingError, WrongError
from benchmarks.measure import Pass
from benchmarks.subjects.subject import PASS_SECONDS, Room
from benchmarks.workload import FOLDER
from shared.documents import load
from shared.settings import Settings
from shared.state import due, receipts, sources
from shared.state import fleet as fleets
from shared.state.receipts import SyncReceipt
from shared.state.store import Errors, Store

ACTOR = "benchmark"
READY_SECONDS = 90.0
WITHOUT = "flower"
"""Left out of the process tree: it watches and syncs nothing."""


class Fleetbeat:
    """Default settings; one Cluster, kubeconfig and token for each namespace."""

    name = "fleetbeat"

    def __init__(self, room: Room) -> None:
        self.room = room
        self.version = version("fleetbeat")
        self._binary = Path(sysconfig.get_path("scripts")) / "fleetbeat"
        if not self._binary.is_file():
            raise MissingError("there is no fleetbeat command beside this Python: make setup")
        self._fleet = room.folder / "fleet"
        self._settings = Settings(data_dir=room.folder / "data", actor=ACTOR)
        self._store = Store.open(self._settings)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, commit: str) -> None:
        self._fleet.mkdir()
        self._write(
            "source.yaml",
            _document("GitRepository", "platform", {"url": self.room.repository.path.as_uri(), "interval": "1h"}),
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLEETBEAT_")}
        environment |= {"FLEETBEAT_DATA_DIR": str(self._settings.data_dir), "FLEETBEAT_ACTOR": ACTOR}
        with (self.room.folder / "up.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._binary), "up", "--fleet", str(self._fleet), "--without", WITHOUT],
                env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.room.folder,
            )  # fmt: skip
        self._until("the source is polled", lambda: self._polled(commit), READY_SECONDS)

    def first(self, commit: str) -> Pass:
        documents = [_document("Sync", "app", {
            "sourceRef": {"name": "platform"}, "path": f"./{FOLDER}", "interval": "1h", "prune": True, "wait": False,
            "targetNamespace": "${CLUSTER_NAME}",
        })]  # fmt: skip
        for number, name in enumerate(self.room.names, 1):
            file = self.room.plane.kubeconfig(self._fleet / f"{name}.kubeconfig", number)
            spec = {"kubeconfig": {"file": file.name}, "systemNamespace": f"{name}-system"}
            documents.append(_document("Cluster", name, spec))
        self._write("fleet.yaml", *documents)
        fleet = load(self._fleet)
        started = self._store.time()
        fleets.publish(self._store, fleet, ACTOR)
        return self._receipts(started, commit)

    def steady(self, commit: str) -> Pass:
        started = self._store.time()
        due.mark(self._store, [f"sync/{name}" for name in self.room.names], "manual", ACTOR)
        return self._receipts(started, commit)

    def changed(self, commit: str) -> Pass:
        started = self._store.time()
        due.mark(self._store, ["source/platform"], "manual", ACTOR)
        return self._receipts(started, commit)

    def cpu(self) -> float:
        return processes.cpu(self.pids())

    def pids(self) -> list[int]:
        return processes.tree(self._process.pid) if self._process else []

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._store.close()

    def _receipts(self, since: float, commit: str) -> Pass:
        """Wait for every cluster's receipt of that commit; the time of the youngest counts."""
        ended: dict[str, float] = {}

        def done() -> bool:
            left = [name for name in self.room.names if name not in ended]
            for name, known in receipts.of_clusters(self._store, left).items():
                receipt = known.get("app")
                if receipt and receipt.finished_at >= since:
                    _good(name, receipt)
                    if receipt.commit == commit:
                        ended[name] = receipt.finished_at
            return len(ended) == len(self.room.names)

        self._until("every cluster has its receipt", done, PASS_SECONDS)
        return Pass(max(ended.values()) - since)

    def _polled(self, commit: str) -> bool:
        try:
            known = sources.get(self._store, "platform")
        except Errors:
            return False
        return known is not None and known.commit == commit

    def _until(self, what: str, true: Callable[[], bool], seconds: float) -> None:
        pause, deadline = threading.Event(), time.monotonic() + seconds
        while not true():
            if self._process and self._process.poll() is not None:
                raise WrongError(f"fleetbeat up ended: {self._last('up.log')}")
            if time.monotonic() > deadline:
                raise WrongError(f"not within {seconds:.0f} s: {what}: {self._last('data/logs/worker-0.log')}")
            pause.wait(0.05)

    def _last(self, file: str) -> str:
        path = self.room.folder / file
        return (
            path.read_text(encoding="utf-8", errors="replace").strip()[-400:] if path.exists() else "it wrote nothing"
        )

    def _write(self, file: str, *documents: dict[str, Any]) -> None:
        """At once, so that `up` never reads half a file."""
        fresh = self._fleet / f".{file}"
        fresh.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
        fresh.replace(self._fleet / file)


def _good(name: str, receipt: SyncReceipt) -> None:
    if receipt.state not in {"applied", "running", "pending"}:
        raise WrongError(f"cluster {name} is {receipt.state}: {receipt.error}")


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "fleetbeat/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
