"""What every subject can do. `start` makes it ready and idle; each of the three passes returns when every cluster is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.admin import Admin
from benchmarks.controlplane import ControlPlane
from benchmarks.measure import Pass
from benchmarks.workload import Repository, Workload

PASS_SECONDS = 600.0
"""A pass that takes longer is given up."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where a subject works: an API server, a repository with the workload, a folder of its own, and the clusters' names."""

    plane: ControlPlane
    admin: Admin
    repository: Repository
    workload: Workload
    names: tuple[str, ...]
    folder: Path


class Subject(Protocol):
    """An engine that is measured. `commit` is the one that the repository's branch is at when a pass is asked for."""

    name: str
    version: str

    def start(self, commit: str) -> None:
        """Bring the engine up; it knows the source and no cluster."""

    def first(self, commit: str) -> Pass:
        """Apply everything to clusters that have nothing."""

    def steady(self, commit: str) -> Pass:
        """Verify clusters on which nothing changed."""

    def changed(self, commit: str) -> Pass:
        """Bring a new commit to all clusters."""

    def cpu(self) -> float:
        """Seconds of CPU the engine used so far, with everything it started."""

    def pids(self) -> list[int]:
        """The engine's processes, for their memory."""

    def stop(self) -> None:
        """End it. Idempotent."""
