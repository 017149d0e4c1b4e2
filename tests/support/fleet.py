"""A fleet folder, and the real process tree of `fleetbeat` on a data folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

FLEETBEAT = Path(sys.executable).parent / "fleetbeat"


def source(name: str, url: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "fleetbeat/v1",
        "kind": "GitRepository",
        "metadata": {"name": name},
        "spec": {"url": url, "interval": "1s", **spec},
    }


def cluster(name: str, kubeconfig: Path, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "fleetbeat/v1",
        "kind": "Cluster",
        "metadata": {"name": name},
        "spec": {"kubeconfig": {"file": str(kubeconfig)}, **spec},
    }


def sync(name: str, source_name: str, path: str, **spec: Any) -> dict[str, Any]:
    body = {"sourceRef": {"name": source_name}, "path": path, "interval": "10m", "retryInterval": "2s", **spec}
    return {"apiVersion": "fleetbeat/v1", "kind": "Sync", "metadata": {"name": name}, "spec": body}


class Product:
    """Runs the real command line against one data folder."""

    def __init__(self, folder: Path) -> None:
        self.fleet = folder / "fleet"
        self.fleet.mkdir(parents=True)
        self.data = folder / "data"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLEETBEAT_")},
            "FLEETBEAT_DATA_DIR": str(self.data),
            "FLEETBEAT_WORKERS": "2",
            "FLEETBEAT_ACTOR": "tester",
        }

    def write(self, *documents: dict[str, Any]) -> None:
        (self.fleet / "fleet.yaml").write_text(yaml.safe_dump_all(documents))

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(FLEETBEAT), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def json(self, *arguments: str, code: int = 0) -> Any:
        done = self.run(*arguments, "-o", "json")
        assert done.returncode == code, (
            f"{arguments}: exit {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]} {self.logs()}"
        )
        return json.loads(done.stdout)

    def once(self, code: int = 0) -> Any:
        return self.json("up", "--fleet", str(self.fleet), "--once", code=code)

    @contextlib.contextmanager
    def up(self) -> Iterator[subprocess.Popen[bytes]]:
        """`fleetbeat up` in the background, until the block ends."""
        with (self.fleet.parent / "up.log").open("wb") as log:
            process = subprocess.Popen(
                [str(FLEETBEAT), "up", "--fleet", str(self.fleet), "--without", "flower"],
                env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                self.until("workers are alive", lambda: self.run("doctor").returncode == 0)
                yield process
            finally:
                process.terminate()
                process.wait(60)

    def state(self, cluster_name: str, sync_name: str) -> dict[str, Any]:
        report = self.json("status")
        row = next(row for row in report["clusters"] if row["name"] == cluster_name)
        found: dict[str, Any] = next(item for item in row["syncs"] if item["name"] == sync_name)
        return found

    def until(self, what: str, true: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for a condition; the failure says which one and shows the logs."""
        pause, deadline = threading.Event(), time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self.logs()}"
            pause.wait(0.1)

    def logs(self) -> str:
        files = sorted((self.data / "logs").glob("*.log")) if (self.data / "logs").exists() else []
        return "\n".join(f"== {file.name}\n{file.read_text(errors='replace')[-1500:]}" for file in files)
