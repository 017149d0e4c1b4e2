"""What processes cost, read from /proc: CPU of a process and all it started, memory of a process tree at its peak."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

TICK = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.5
PROC = Path("/proc")


def cpu(pids: Iterable[int]) -> float:
    """Seconds of CPU, user and system, of these processes and of the children that ended and were waited for."""
    return sum(_cpu(pid) for pid in pids)


def _cpu(pid: int) -> float:
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()
    # utime, stime, cutime, cstime are fields 14 to 17 of proc_pid_stat(5); the first two stand before the bracket.
    return sum(int(value) for value in fields[11:15]) / TICK


def busy() -> float:
    """Seconds of CPU that the whole machine has spent on anything since it started, stolen ones included."""
    fields = [int(value) for value in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    # user, nice, system, irq, softirq and steal; without idle and iowait, the fourth and fifth. See proc_stat(5).
    return (sum(fields) - fields[3] - fields[4]) / TICK


def tree(root: int) -> list[int]:
    """A process and all its living descendants."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, left = [], [root]
    while left:
        pid = left.pop()
        found.append(pid)
        left += parents.get(pid, [])
    return found


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB. `pss` shares pages fairly among the processes that map them, `rss` counts them for each."""

    pss: float = 0.0
    rss: float = 0.0

    def highest(self, other: Memory) -> Memory:
        return Memory(max(self.pss, other.pss), max(self.rss, other.rss))


def memory(pids: Iterable[int]) -> Memory:
    """What these processes have in memory now."""
    pss = rss = 0
    for pid in pids:
        try:
            text = (PROC / str(pid) / "smaps_rollup").read_text()
        except OSError:
            continue
        for line in text.splitlines():
            name, _, value = line.partition(":")
            if name == "Pss":
                pss += int(value.split()[0])
            elif name == "Rss":
                rss += int(value.split()[0])
    return Memory(pss / 1024, rss / 1024)


class MemoryPeak:
    """A context manager that samples a changing set of processes and keeps the highest sum."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak = Memory()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(5)

    def take(self) -> None:
        """One sample now."""
        self.peak = self.peak.highest(memory(self._pids()))

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.take()
