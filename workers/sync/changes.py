"""What a run did: the value that `apply` and `prune` return, that receipts count and that the audit trail keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from shared.state.receipts import Health, ObjectReceipt, State
from workers.clusters.client import Traffic
from workers.sync.plan import Key

Action = Literal["created", "configured", "recreated", "deleted", "released", "drifted", "contested"]
WRITES = frozenset({"created", "configured", "recreated", "deleted", "released"})


@dataclass(frozen=True, slots=True)
class Change:
    """One object that was written, or found drifted. `note` says who edited it, or why it was recreated."""

    action: Action
    key: Key
    diff: tuple[dict[str, Any], ...] = ()
    note: str | None = None


@dataclass(slots=True)
class ChangeSet:
    """One Sync's part of a run, filled as the run goes on.

    `left` are remarks about objects that were left in place. `deletions` wait for an approval of `deletions_digest`. `applied` says that the render is
    live. `gone` says that nothing of a Sync that left the cluster is there any more. `rechecked` marks a run that looked at health alone.
    """

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
    traffic: Traffic = field(default_factory=Traffic)
    waits_for: str | None = None
    deletions: tuple[str, ...] = ()
    deletions_digest: str = ""
    contested: list[str] = field(default_factory=list)
    drifted: int = 0
    applied: bool = False
    leaving: bool = False
    gone: bool = False
    rechecked: bool = False

    def count(self, action: Action) -> int:
        return sum(change.action == action for change in self.changes)

    @property
    def wrote(self) -> bool:
        return any(change.action in WRITES for change in self.changes)
