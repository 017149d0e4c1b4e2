"""Every key this project writes to Redis, in one list."""

from __future__ import annotations

PREFIX = "fleetbeat:"
DUE = PREFIX + "due"
"""Sorted set: `sync/<cluster>` and `source/<name>` by the Redis time at which they are due. Every known one is in it."""
REASONS = PREFIX + "reasons"
"""Hash: cluster → JSON {reason, actor} of what made it due before its interval."""
BEAT = PREFIX + "beat"
"""String with expiry: the beat that may tick."""
FLEET = PREFIX + "fleet"
"""String: digest of the snapshot in force."""
FLEET_PROBLEMS = PREFIX + "fleet:problems"
"""String: why the newest fleet was refused, absent when the one in force is the newest."""
QUEUES = PREFIX + "queues"
"""Hash: due-set member → the Celery queue its task goes to; written with the snapshot."""
INTERVALS = PREFIX + "intervals"
"""Hash: due-set member → seconds between two runs; written with the snapshot."""
REVISIONS = PREFIX + "revisions"
"""String: JSON object, source → commit id, copied into every intent."""
SOURCES = PREFIX + "sources"
"""Hash: source → JSON of its last poll."""
HOLDS = PREFIX + "holds"
"""Hash: scope → JSON of the hold."""
APPROVALS = PREFIX + "approvals"
"""Hash: `SYNC@CLUSTER` → JSON of the approval of the deletions that wait there."""
IDENTITIES = PREFIX + "identities"
"""Hash: `<uid of kube-system>/<system namespace>` → the Cluster that it is in this fleet."""
RUNNING = PREFIX + "running"
"""Sorted set: cluster → Redis time at which its running sync's lease ends."""
TOKENS = PREFIX + "tokens"
"""Counter of fencing tokens."""
WORKERS = PREFIX + "workers"
"""Sorted set: worker process → Redis time at which it was last alive."""
STREAM = PREFIX + "audit"
"""The audit stream."""
INSTALLATION_KEY = PREFIX + "installation-key"
"""String: key under which digests of secret values are made."""


def snapshot(digest: str) -> str:
    """String: the fleet's JSON, immutable."""
    return f"{PREFIX}fleet:{digest}"


def intent(cluster: str) -> str:
    """Hash: the pending intent and the running sync of a cluster."""
    return f"{PREFIX}intent:{cluster}"


def journal(cluster: str) -> str:
    """List: what the running sync of a cluster is about to write; gone when its end is recorded."""
    return f"{PREFIX}journal:{cluster}"


def receipts(cluster: str) -> str:
    """Hash: Sync → JSON of how its last run ended."""
    return f"{PREFIX}receipts:{cluster}"


def objects(cluster: str) -> str:
    """Hash: Sync → compressed JSON of what was written to each object and how it looked afterwards; `.cluster` → its mark."""
    return f"{PREFIX}objects:{cluster}"


def leaving(cluster: str) -> str:
    """Hash: Sync that left this cluster, and whose objects may still be there → JSON of its last document."""
    return f"{PREFIX}leaving:{cluster}"


def looked_at(render: str) -> str:
    """String: the Git paths and ids that a render depends on."""
    return f"{PREFIX}looked:{render}"


def answer(request: str) -> str:
    """String with expiry: what a worker found out for a person."""
    return f"{PREFIX}answer:{request}"


def reachability(cluster: str) -> str:
    """String: JSON of since when and why a cluster cannot be reached; absent when it can."""
    return f"{PREFIX}unreachable:{cluster}"


def polling(source: str) -> str:
    """String with expiry: a worker is polling this source right now."""
    return f"{PREFIX}polling:{source}"
