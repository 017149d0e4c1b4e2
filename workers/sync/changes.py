"""What a run did: the value that `apply` and `prune` return, that receipts count and that the audit trail keeps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.state.receipts import Health, ObjectReceipt, State
from workers.sync.plan import Key

Action = Literal["created", "configured", "deleted", "drifted"]


@dataclass(frozen=True, slots=True)
class Change:
    """One object that was written, or found drifted. `drift` names the manager and time of somebody else's edit."""

    action: Action
    key: Key
    diff: tuple[dict[str, Any], ...] = ()
    drift: str | None = None


@dataclass(slots=True)
class ChangeSet:
    """One Sync's part of a run, filled as the run goes on."""

    sync: str
    commit: str = ""
    render: str = ""
    state: State = "pending"
    health: Health = "unknown"
    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    objects: int = 0
    errors: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    not_ready: list[str] = field(default_factory=list)
    receipts: dict[str, ObjectReceipt] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    waits_for: str | None = None

    def count(self, action: Action) -> int:
        return sum(change.action == action for change in self.changes)

    @property
    def wrote(self) -> bool:
        return any(change.action != "drifted" for change in self.changes)
