"""Where it is decided what to do with each object: `plan(desired, live, receipts) -> Plan`. Pure; the effects are in `apply` and `prune`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.state.receipts import ObjectReceipt
from workers.rendering.manifest import Manifest
from workers.sync import digests, inventory, ownership, policies
from workers.sync.policies import DEFAULT, Policy

Key = tuple[str, str, str, str]
"""(group, kind, namespace or '', name)."""
Body = dict[str, Any]
Due = Callable[[Key], bool]
"""Whether an object's turn has come to be compared in full, untouched or not."""

PROTECTED = {
    ("", "Namespace"): "Namespace",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "CustomResourceDefinition",
    ("", "PersistentVolume"): "PersistentVolume",
    ("", "PersistentVolumeClaim"): "PersistentVolumeClaim",
}
"""Kinds whose deletion takes other people's things along; deleted only where the Sync says so."""
DAY = 86400
QUIET = 300.0
"""Seconds without another hand on an object after which a fight over it counts as over."""
DELETED = "deleted by hand"


@dataclass(frozen=True, slots=True)
class Live:
    """One object as a list showed it, with its group and kind (a list leaves them out); `body` where it was listed whole."""

    key: Key
    meta: Body
    body: Body | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object of the render: what is applied, its digest, and what it asks for itself."""

    key: Key
    manifest: Manifest
    digest: str
    policy: Policy = DEFAULT


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with each object of one Sync.

    `unchanged` needs no request. `suspects` are there and must be read. `absent` are not among the members: missing, or there without
    our label. `alone` are left alone because they ask for it. `prune` is ours and wanted by nobody. `strays` were ours by their receipt and
    carry the label no more. `left` and `conflicts` are remarks for people.
    """

    unchanged: tuple[Wanted, ...] = ()
    suspects: tuple[Wanted, ...] = ()
    absent: tuple[Wanted, ...] = ()
    alone: tuple[Wanted, ...] = ()
    prune: tuple[Live, ...] = ()
    strays: tuple[Key, ...] = ()
    left: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    receipts: Mapping[str, ObjectReceipt] = field(default_factory=dict)


def text(key: Key) -> str:
    """The key as receipts write it."""
    return "/".join(key)


def key_of(text: str) -> Key:
    """What `text` was made from."""
    group, kind, namespace, name = text.split("/")
    return group, kind, namespace, name


def subject(key: Key) -> str:
    """`Kind/namespace/name`, as people write it."""
    return "/".join(part for part in key[1:] if part)


def holders(meta: Body) -> str:
    """The finalizers that keep an object from going, for people."""
    return ", ".join(meta.get("finalizers") or ()) or "nothing that it names"


def turn(since: float, until: float) -> Due:
    """Each object's own second of the day, always the same one: True when it lies between the two times (seconds since the epoch)."""
    if until - since >= DAY:
        return lambda _: True
    start, length = since % DAY, until - since

    def due(key: Key) -> bool:
        return 0 < (zlib.crc32(text(key).encode()) % DAY - start) % DAY <= length

    return due


def owners(desired: Mapping[str, Sequence[Wanted]], live: Mapping[Key, Live], ids: Mapping[str, str]) -> dict[Key, str]:
    """Which Sync each desired object belongs to: the one that has it already if that still wants it, else the first.

    Args:
        desired: Sync → its render, in the order in which they run.
        live: All members of the cluster.
        ids: Sync → its ApplySet id.
    """
    found: dict[Key, str] = {}
    holders = {applyset: sync for sync, applyset in ids.items()}
    for sync, wants in desired.items():
        for want in wants:
            if want.key not in found or ((here := live.get(want.key)) and holders.get(_label(here.meta)) == sync):
                found[want.key] = sync
    return found


def plan(
    sync: str,
    applyset: str,
    desired: Sequence[Wanted],
    live: Mapping[Key, Live],
    receipts: Mapping[str, ObjectReceipt],
    owner: Mapping[Key, str],
    *,
    prunable: Collection[str] = (),
    due: Due = lambda _: False,
    report: bool = False,
    now: float = 0.0,
) -> Plan:
    """Compare what is desired with what the lists showed.

    Args:
        sync: The Sync's name.
        applyset: Its ApplySet id.
        desired: Its render.
        live: All members of the cluster's ApplySets, whichever Sync they belong to.
        receipts: What was written last time, by `text(key)`.
        owner: Every desired object of the cluster → the Sync it belongs to.
        prunable: Protected kinds that this Sync may delete all the same.
        due: Which objects are compared in full this time although nothing moved.
        report: Drift is reported and stays.
        now: Seconds since the epoch in Redis time.
    """
    unchanged, suspects, absent, alone, conflicts = [], [], [], [], []
    keep: dict[str, ObjectReceipt] = {}
    for want in desired:
        found, receipt = live.get(want.key), receipts.get(text(want.key))
        holder = owner.get(want.key, sync)
        if holder != sync:
            conflicts.append(
                f"{subject(want.key)} ({want.manifest.origin}) is also in Sync {holder}, to which it belongs; keep it in one of the two"
            )
        elif _left_alone(want, found):
            alone.append(want)
            if receipt:
                keep[text(want.key)] = receipt
        elif receipt and _settled(receipt, now, report=report) and _as_written(want, found, receipt, applyset, due):
            unchanged.append(want)
            keep[text(want.key)] = receipt
        elif found is None:
            absent.append(want)
        else:
            suspects.append(want)
    mine = {want.key for want in desired}
    prune, left = _surplus(applyset, mine, live, owner, prunable)
    strays = tuple(
        key for name in receipts if (key := key_of(name)) not in mine and key not in live and key not in owner
    )
    return Plan(
        tuple(unchanged),
        tuple(suspects),
        tuple(absent),
        tuple(alone),
        tuple(prune),
        strays,
        tuple(left),
        tuple(conflicts),
        keep,
    )


def _label(meta: Body) -> str:
    return str((meta.get("labels") or {}).get(inventory.PART_OF) or "")


def _left_alone(want: Wanted, found: Live | None) -> bool:
    if not want.policy.applied:
        return True
    return found is not None and (want.policy.ssa == "IfNotPresent" or policies.untouchable(found.meta))


def _settled(receipt: ObjectReceipt, now: float, *, report: bool) -> bool:
    """False for drift that is to be corrected after all: the mode changed, or a fight is over."""
    if receipt.contested:
        return now - receipt.contested < QUIET
    return report or not receipt.drift


def _as_written(want: Wanted, found: Live | None, receipt: ObjectReceipt, applyset: str, due: Due) -> bool:
    if found is None:
        return receipt.drift == DELETED and receipt.desired == want.digest
    return _untouched(want, found, receipt, applyset) and not due(want.key)


def _untouched(want: Wanted, found: Live, receipt: ObjectReceipt, applyset: str) -> bool:
    return (
        receipt.desired == want.digest
        and receipt.uid == found.meta.get("uid")
        and not found.meta.get("deletionTimestamp")
        and _label(found.meta) == applyset
        and receipt.fingerprint == digests.fingerprint(want.key, found.meta)
    )


def _surplus(
    applyset: str,
    desired: Collection[Key],
    live: Mapping[Key, Live],
    owner: Mapping[Key, str],
    prunable: Collection[str],
) -> tuple[list[Live], list[str]]:
    prune, left = [], []
    for key, found in sorted(live.items()):
        if _label(found.meta) != applyset or key in desired or key in owner:
            continue
        why = _spared(key, found.meta, prunable)
        if why:
            left.append(f"{subject(key)} {why}")
        else:
            prune.append(found)
    return prune, left


def _spared(key: Key, meta: Body, prunable: Collection[str]) -> str | None:
    """Why a member that nobody wants is not deleted, or None."""
    protected = PROTECTED.get(key[:2])
    if meta.get("deletionTimestamp"):
        return f"is being deleted since {meta['deletionTimestamp']} and waits for {holders(meta)}"
    if not ownership.owned(meta):
        return "carries the label of this Sync but was not written by it; nothing is done to it"
    if protected and protected not in prunable:
        return f"is left in place: a {protected} is deleted only with pruneProtected: [{protected}]"
    policy = _policy(meta)
    if not (policy.prune and policy.applied):
        return "is left in place: its annotation says so"
    return None


def _policy(meta: Body) -> Policy:
    try:
        return policies.read(meta)
    except policies.PolicyError:
        return Policy(prune=False)
