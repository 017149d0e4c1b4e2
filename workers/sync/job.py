"""What a run is given and what it gives back: the values between the worker's shell and the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.documents.sync import Sync
from shared.state.receipts import ClusterMark, ObjectReceipt, SyncReceipt
from workers.clusters.client import ClusterClient
from workers.rendering.manifest import Manifest
from workers.sync.apply import Gate
from workers.sync.changes import ChangeSet


@dataclass(frozen=True, slots=True)
class Job:
    """One Sync of the run: its render, or why there is none.

    Args:
        sync: The document.
        parent: What a person at the cluster reads on the inventory.
        account: `system:serviceaccount:<namespace>:<name>` that its objects are written as.
        observed: What it wants counts for the others, but nothing of it is written (it is suspended).
        leaving: It is not in the fleet for this cluster any more; its objects are deleted or released.
        approved: Digest of the deletions that somebody approved.
    """

    sync: Sync
    commit: str = ""
    render: str = ""
    manifests: tuple[Manifest, ...] = ()
    error: str | None = None
    parent: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None
    observed: bool = False
    leaving: bool = False
    approved: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What a run is given: where, what was written last time, and the gate for every write.

    `now` is Redis time; `namespaces` all that the credentials reach, or none.
    `claim` takes the cluster of that uid for this document, or names the other document that has it.
    """

    client: ClusterClient
    namespace: str
    fleet: str
    key: bytes
    receipts: Mapping[str, SyncReceipt]
    objects: Mapping[str, Mapping[str, ObjectReceipt]]
    gate: Gate
    now: float = 0.0
    namespaces: tuple[str, ...] = ()
    mark: ClusterMark | None = None
    claim: Callable[[str], str | None] = lambda _uid: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done for each Sync, in order, and where the cluster's store stood (None when it was not reached)."""

    sets: list[ChangeSet]
    mark: ClusterMark | None = None
