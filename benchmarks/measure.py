"""One measured interval: requests by the API server's own count, CPU from /proc, wall time by whoever knows when it was done."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks import processes

SETTLE_SECONDS = 0.3
"""After a pass, so that what it still causes (acknowledgements, status, events) is in its figures."""
_LINE = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def request_counts(metrics: str) -> Counter[str]:
    """`apiserver_request_total` by `VERB group/resource`, all codes, scopes and versions added up."""
    counts: Counter[str] = Counter()
    for line in _LINE.finditer(metrics):
        labels = dict(_LABEL.findall(line["labels"]))
        what = "/".join(
            part for part in (labels.get("group"), labels.get("resource"), labels.get("subresource")) if part
        )
        counts[f"{labels.get('verb', '?')} {what or '(no resource)'}"] += int(float(line["value"]))
    return counts


@dataclass(frozen=True, slots=True)
class Pass:
    """How long a subject took by its own end signal, and how many requests the benchmark sent to set it off."""

    seconds: float
    asked: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """One pass.

    `requests` is without the API server's own and the benchmark's; `cpu` is seconds by part; `others` is the share of the machine's
    cores that anybody else used meanwhile, which wall times suffer from.
    """

    seconds: float
    requests: float
    cpu: Mapping[str, float]
    others: float = 0.0
    by_verb: Mapping[str, int] = field(default_factory=dict)

    @property
    def cpu_seconds(self) -> float:
        return sum(self.cpu.values())


@dataclass(frozen=True, slots=True)
class Idle:
    """What goes on while nothing is asked: requests and seconds of CPU, per second."""

    requests: float = 0.0
    cpu: Mapping[str, float] = field(default_factory=dict)


class Meter:
    """Reads the counters before and after; `engine` gives the subject's CPU seconds so far."""

    def __init__(
        self,
        metrics: Callable[[], str],
        servers: Mapping[str, int],
        engine: Callable[[], float],
        *,
        settle: float = SETTLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics, self._servers, self._engine = metrics, servers, engine
        self._settle, self._clock = settle, clock
        self.idle = Idle()

    def rest(self, seconds: float) -> Idle:
        """Watch nothing happen for a while; later passes are counted without that rate of requests."""
        before, cpu, started = request_counts(self._metrics()), self._cpu(), self._clock()
        threading.Event().wait(seconds)
        took, after = self._clock() - started, self._cpu()
        requests = (request_counts(self._metrics()) - before).total() / took
        self.idle = Idle(requests, {name: (after[name] - cpu[name]) / took for name in cpu})
        return self.idle

    def measure(self, work: Callable[[], Pass]) -> Measured:
        """Do the work between two readings. The metrics are read outside the CPU's interval, for they cost CPU themselves."""
        before, began = request_counts(self._metrics()), self._clock()
        threading.Event().wait(self._settle)
        cpu, all_of_it, own, started = self._cpu(), processes.busy(), time.process_time(), time.monotonic()
        done = work()
        threading.Event().wait(self._settle)
        spent = {name: value - cpu[name] for name, value in self._cpu().items()}
        machine, took = processes.busy() - all_of_it, time.monotonic() - started
        others = machine - sum(spent.values()) - (time.process_time() - own)
        counts = request_counts(self._metrics()) - before
        background = self.idle.requests * (self._clock() - began)
        return Measured(
            done.seconds,
            max(0.0, counts.total() - done.asked - background),
            spent,
            min(1.0, max(0.0, others / took / (os.cpu_count() or 1))) if took > 0 else 0.0,
            dict(counts),
        )

    def _cpu(self) -> dict[str, float]:
        return {"engine": self._engine()} | {name: processes.cpu([pid]) for name, pid in self._servers.items()}
