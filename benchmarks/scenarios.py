"""One subject through its passes: first apply, nothing changed, some objects changed; each checked against the clusters afterwards."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.admin import Admin
from benchmarks.controlplane import ControlPlane
from benchmarks.errors import WrongError
from benchmarks.measure import Idle, Measured, Meter
from benchmarks.processes import Memory, MemoryPeak
from benchmarks.subjects import SUBJECTS
from benchmarks.subjects.subject import Room, Subject
from benchmarks.workload import Repository, Workload

REST_SECONDS = 4.0
SCENARIOS = ("first", "steady", "changed", "growth")
GROWING = (
    Workload(5, 10),
    Workload(5, 50),
    Workload(5, 100),
    Workload(5, 500),
    Workload(20, 100),
    Workload(50, 100),
)
"""Objects on 5 clusters, then clusters with 100 objects."""

DISTURBED = 0.1
"""Share of the machine in others' use above which wall times are no good."""
Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What one subject did in one round with one workload."""

    workload: Workload
    version: str = ""
    first: list[Measured] = field(default_factory=list)
    steady: list[Measured] = field(default_factory=list)
    changed: list[Measured] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    idle: Idle = field(default_factory=Idle)


@dataclass(frozen=True, slots=True)
class Bench:
    """The server that all subjects share, and where they leave their files."""

    plane: ControlPlane
    admin: Admin
    folder: Path
    say: Say

    def outcome(self, name: str, label: str, workload: Workload, passes: int, scenarios: Sequence[str]) -> Outcome:
        """Run one subject in fresh namespaces, which are emptied afterwards.

        Raises:
            MissingError: The subject is not there.
            WrongError: It did not do the work.
        """
        folder = self.folder / f"{name}-{label}"
        folder.mkdir(parents=True)
        names = workload.names(f"{name}-{label}")
        repository = Repository(folder / "git")
        room = Room(self.plane, self.admin, repository, workload, tuple(names), folder)
        subject = SUBJECTS[name](room)
        commit = repository.commit(workload.files(), "Everything")
        self.admin.create_namespaces(names)
        try:
            subject.start(commit)
            return self._passes(subject, room, commit, passes, scenarios)
        finally:
            subject.stop()
            self.admin.empty(names)

    def _passes(self, subject: Subject, room: Room, commit: str, passes: int, scenarios: Sequence[str]) -> Outcome:
        names, workload = list(room.names), room.workload
        meter = Meter(self.admin.metrics, self.plane.pids, subject.cpu)
        found = Outcome(workload, subject.version, idle=meter.rest(REST_SECONDS))
        with MemoryPeak(subject.pids) as peak:
            found.first.append(self._said(subject, "first apply", meter.measure(partial(subject.first, commit))))
            self.admin.check(names, workload, 0)
            if "steady" in scenarios:
                for number in range(passes):
                    _out_of_step(number)
                    done = meter.measure(partial(subject.steady, commit))
                    found.steady.append(self._said(subject, "nothing changed", done))
                self.admin.check(names, workload, 0)
            if "changed" in scenarios:
                for revision in range(1, passes + 1):
                    _out_of_step(revision)
                    moved = room.repository.commit(workload.files(revision), f"Change {revision}")
                    done = meter.measure(partial(subject.changed, moved))
                    found.changed.append(self._said(subject, f"{workload.touched} changed", done))
                    self.admin.check(names, workload, revision)
            peak.take()
        found.memory = peak.peak
        return found

    def _said(self, subject: Subject, what: str, done: Measured) -> Measured:
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in done.cpu.items())
        busy = f"; others used {done.others:.0%} of the machine" if done.others > DISTURBED else ""
        self.say(
            f"  {subject.name}: {what}: {done.seconds:.2f} s, {done.requests:.0f} requests, CPU {done.cpu_seconds:.2f} s ({parts})"
            f"{busy}"
        )
        return done

    def warm_up(self) -> None:
        """Every kind once and every path of the server once, so that who comes first does not pay for it."""
        self.say("warming the API server up")
        self.outcome("floor", "warm", Workload(2, 110), 1, ("first", "steady", "changed"))


def _out_of_step(number: int) -> None:
    """Wait for another part of a second each time: an engine that looks once a second must not always be met in the same phase."""
    threading.Event().wait(number * 0.37 % 1)


def median(rows: Sequence[float]) -> float:
    """The median.

    Raises:
        WrongError: There is nothing to take it of.
    """
    if not rows:
        raise WrongError("nothing was measured")
    return statistics.median(rows)
