"""The walk through the product, chapter by chapter. Every command shown is run as shown; every line comes from what happened."""

from __future__ import annotations

import shlex
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from fleetbeat import status as states
from fleetbeat.cli import tables
from fleetbeat.demo import sample
from fleetbeat.demo.sample import ADA, GRACE, Repository
from shared.audit import stream
from shared.documents.fleet import Fleet
from shared.errors import PermanentError
from shared.state.store import Store

CHAPTER_SECONDS = 60.0
PAUSED = "prod-eu-1"
EDITED = "prod-us-1"


@dataclass(slots=True)
class Story:
    """What the chapters share."""

    out: Console
    store: Store
    fleet: Fleet
    repository: Repository
    fleet_folder: Path
    environment: Mapping[str, str]
    chapters: int = field(default=0, init=False)

    def tell(self) -> None:
        """All of it.

        Raises:
            PermanentError: Something that the story promises did not happen in time.
        """
        self._first_sync()
        self._commit_arrives()
        self._edit_by_hand()
        self._pause()
        self._audit()

    def _first_sync(self) -> None:
        count = len(self.fleet.clusters)
        self._chapter(f"The first sync of {count} clusters")
        began = time.monotonic()
        self._watch(
            f"{count} clusters are healthy",
            lambda report: all(
                sync["state"] == "applied" and sync["health"] == "healthy"
                for row in report["clusters"]
                for sync in row["syncs"]
            ),
        )
        self.out.print(tables.status(self._report()))
        self.out.print(f"{count} clusters from empty to healthy in {time.monotonic() - began:.1f} s.")

    def _commit_arrives(self) -> None:
        self._chapter("Ada commits a new version")
        files = {sample.DEPLOYMENT: sample.deployment("ghcr.io/example/frontend:1.5.0", 3)}
        commit = self.repository.commit(files, "Release frontend 1.5.0", ADA)
        self.out.print(f"$ git log --oneline -1\n{commit[:8]} Release frontend 1.5.0")
        self._watch(f"{commit[:8]} is live on every cluster", lambda report: _live_everywhere(report, commit))
        self._run(
            "fleetbeat", "audit", "log", "--author", "Ada", "--sync", "shop", "--type", "sync.applied", "--limit", "6"
        )

    def _edit_by_hand(self) -> None:
        self._chapter(f"Somebody scales {EDITED} by hand, and it is corrected")
        since = self.store.time()
        self._kubectl(EDITED, '{"spec":{"replicas":1}}')
        self._until("the edit is found and corrected", lambda: bool(self._events("object.drifted", EDITED, since)))
        self._until("the correction is recorded", lambda: bool(self._events("object.configured", EDITED, since)))
        event = self._events("object.drifted", EDITED, since)[0]
        self.out.print(f"found: {event['message']}", markup=False, soft_wrap=True)
        for row in self._events("object.configured", EDITED, since)[0].get("diff") or []:
            self.out.print(f"    {row['path']}: {row.get('from')} → {row.get('to')}", markup=False)

    def _pause(self) -> None:
        self._chapter(f"{PAUSED} is paused for live debugging; everybody can see why")
        self._run("fleetbeat", "pause", f"cluster/{PAUSED}", "--reason", "INC-42: checkout times out")
        self._kubectl(PAUSED, '{"spec":{"replicas":6}}')
        files = {sample.DEPLOYMENT: sample.deployment("ghcr.io/example/frontend:1.5.1", 4)}
        commit = self.repository.commit(files, "Longer timeouts for checkout", GRACE)
        self.out.print(f"Grace commits the fix, {commit[:8]}: it goes everywhere but to {PAUSED}.")
        self._watch("the others have it", lambda report: _live_everywhere(report, commit, but=PAUSED))
        self._run("fleetbeat", "status")
        self.out.print("Resuming says first what will be changed, and whose edits that reverts:")
        self._run("fleetbeat", "resume", f"cluster/{PAUSED}", "--yes")
        self._watch(f"{PAUSED} has caught up", lambda report: _live_everywhere(report, commit))

    def _audit(self) -> None:
        self._chapter("The audit trail: who changed what, when, and where")
        self._run("fleetbeat", "audit", "log", "--cluster", PAUSED, "--object", "Deployment/shop/frontend")
        self._run("fleetbeat", "audit", "log", "--type", "hold.placed")
        self._run("fleetbeat", "audit", "log", "--type", "hold.released")

    def _chapter(self, title: str) -> None:
        self.chapters += 1
        self.out.print(f"\n[bold]{self.chapters}. {title}[/bold]")
        sys.stdout.flush()

    def _report(self) -> dict[str, Any]:
        return states.report(self.store, self.fleet)

    def _events(self, kind: str, cluster: str, since: float) -> list[dict[str, Any]]:
        return list(stream.read(self.store, stream.Filter(type=kind, cluster=cluster, since=since)))

    def _watch(self, what: str, done: Callable[[dict[str, Any]], bool]) -> None:
        """Wait with the table live on a terminal, and with a line for each Sync that moves elsewhere."""
        if self.out.is_terminal:
            with Live(console=self.out, transient=True, refresh_per_second=8) as live:

                def look() -> bool:
                    report = self._report()
                    live.update(tables.status(report))
                    return done(report)

                self._until(what, look)
            return
        told = set(_live(self._report()))

        def look_plainly() -> bool:
            report = self._report()
            for where, commit in _live(report):
                if (where, commit) not in told:
                    told.add((where, commit))
                    self.out.print(f"  {where} is live at {commit[:8]}", markup=False)
            return done(report)

        self._until(what, look_plainly)

    def _until(self, what: str, true: Callable[[], bool]) -> None:
        wait, deadline = threading.Event(), time.monotonic() + CHAPTER_SECONDS
        while not true():
            if time.monotonic() > deadline:
                problems = "; ".join(tables.problems(self._report())) or "see the logs"
                raise PermanentError(f"the demo waited {CHAPTER_SECONDS:.0f} s in vain until {what}: {problems}")
            wait.wait(0.1)
        self.out.print(f"✓ {what}", markup=False)

    def _kubectl(self, cluster: str, patch: str) -> None:
        kubeconfig = self.fleet_folder / f"{cluster}.kubeconfig"
        self._run(
            "kubectl", "--kubeconfig", str(kubeconfig), "-n", "shop", "patch", "deployment", "frontend", "--type", "merge",
            "-p", patch, shown=kubeconfig.name,
        )  # fmt: skip

    def _run(self, name: str, *arguments: str, shown: str | None = None) -> None:
        visible = [shown if shown and argument.endswith(f"/{shown}") else argument for argument in arguments]
        self.out.print(f"[bold]$[/bold] {name} {shlex.join(visible)}", soft_wrap=True)
        binary = Path(sysconfig.get_path("scripts")) / name
        done = subprocess.run(
            [str(binary), *arguments],
            env={**self.environment, "COLUMNS": str(self.out.width)},
            capture_output=True,
            text=True,
            timeout=CHAPTER_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.out.print((done.stdout + done.stderr).rstrip(), markup=False, soft_wrap=True)
        if done.returncode:
            raise PermanentError(f"{name} {shlex.join(visible)} ended with exit code {done.returncode}")


def _live(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (f"{row['name']}/{sync['name']}", sync["commit"])
        for row in report["clusters"]
        for sync in row["syncs"]
        if sync["state"] == "applied" and sync["health"] == "healthy"
    ]


def _live_everywhere(report: dict[str, Any], commit: str, but: str | None = None) -> bool:
    return all(
        sync["commit"] == commit and sync["state"] == "applied" and sync["health"] == "healthy"
        for row in report["clusters"]
        if row["name"] != but
        for sync in row["syncs"]
    )
