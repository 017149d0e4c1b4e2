"""What a test or a demo may turn on one simulated cluster, and what it may read. Used by the server for every request."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Literal

LOG_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """One request that arrived, whatever was answered. `verb` is Kubernetes' word, with `apply` for server-side apply."""

    verb: str
    path: str


@dataclass(slots=True)
class Knobs:
    """Plain attributes, read anew for every request; they may be set from any thread while the simulator runs."""

    latency: float = 0.0
    """Seconds before any answer."""
    unreachable: bool = False
    """Connections are reset without an answer."""
    fail_requests: int = 0
    """So many of the next requests are answered with `fail_status`."""
    fail_status: int = 500
    """500, 429 (with Retry-After: 1) or 503."""
    fail_at: int | None = None
    """The so-many-th request from now (1: the next) has its connection reset before anything happens; then None again."""
    lose_answer_at: int | None = None
    """The so-many-th request from now takes effect, and its connection is reset instead of the answer; then None again."""
    stale_groups: set[tuple[str, str]] = field(default_factory=set)
    """(group, version) pairs that discovery lists as Stale and that answer 503 in plain text, as dead APIServices do."""
    ready_after: float = 0.2
    """Seconds until a Deployment, StatefulSet or DaemonSet is ready; negative: never."""
    established_after: float = 0.02
    """Seconds until a new CustomResourceDefinition is served."""
    namespace_removal: float = 0.05
    """Seconds that a deleted Namespace stays Terminating before it goes with its contents; negative: for ever."""

    def due(self, name: Literal["fail_at", "lose_answer_at"]) -> bool:
        """Count one request; True when it is the one."""
        left: int | None = getattr(self, name)
        if left is None:
            return False
        setattr(self, name, left - 1 if left > 1 else None)
        return left <= 1


@dataclass(slots=True)
class Traffic:
    """Requests of one cluster: totals by verb, and the last ones in order."""

    by_verb: Counter[str] = field(default_factory=Counter)
    log: deque[Request] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))

    def add(self, verb: str, path: str) -> None:
        self.by_verb[verb] += 1
        self.log.append(Request(verb, path))
