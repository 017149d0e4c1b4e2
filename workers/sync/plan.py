"""Where it is decided what to do: `plan(desired, live, receipts) -> Plan`. Pure; the effects are in `apply` and `prune`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.state.receipts import ObjectReceipt
from workers.rendering.manifest import Manifest
from workers.sync import digests, inventory

Key = tuple[str, str, str, str]
"""(group, kind, namespace or '', name)."""
Body = dict[str, Any]

NEVER_PRUNED = frozenset(
    {
        ("", "Namespace"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
    }
)
"""Kinds whose deletion takes other people's things along; they are left in place and named."""
PRUNE = ("kustomize.toolkit.fluxcd.io/prune", "fleetbeat/prune")
RECONCILE = ("kustomize.toolkit.fluxcd.io/reconcile", "fleetbeat/reconcile")


@dataclass(frozen=True, slots=True)
class Live:
    """One object's metadata as a list showed it, with its group and kind (a metadata list leaves them out)."""

    key: Key
    meta: Body


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object of the render, with its digest."""

    key: Key
    manifest: Manifest
    digest: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`unchanged` needs no request at all; `suspects` must be read before anybody knows; `prune` is ours and wanted by nobody."""

    unchanged: tuple[Wanted, ...] = ()
    suspects: tuple[Wanted, ...] = ()
    prune: tuple[Live, ...] = ()
    left: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    receipts: Mapping[str, ObjectReceipt] = field(default_factory=dict)


def text(key: Key) -> str:
    """The key as receipts write it."""
    return "/".join(key)


def subject(key: Key) -> str:
    """`Kind/namespace/name`, as people write it."""
    return "/".join(part for part in key[1:] if part)


def plan(
    sync: str,
    applyset: str,
    desired: Sequence[Wanted],
    live: Mapping[Key, Live],
    receipts: Mapping[str, ObjectReceipt],
    wanted_elsewhere: Mapping[Key, str],
    known_sets: Collection[str],
) -> Plan:
    """Compare what is desired with what a metadata list showed.

    Args:
        sync: The Sync's name.
        applyset: Its ApplySet id.
        desired: Its render.
        live: All members of the cluster's ApplySets, whichever Sync they belong to.
        receipts: What was written last time, by `text(key)`.
        wanted_elsewhere: Objects of other Syncs' renders, and those Syncs' names.
        known_sets: ApplySet ids of this fleet's Syncs on the cluster.
    """
    unchanged, suspects, conflicts = [], [], []
    keep: dict[str, ObjectReceipt] = {}
    for want in desired:
        if want.key in wanted_elsewhere:
            conflicts.append(
                f"{subject(want.key)} ({want.manifest.origin}) is also in Sync {wanted_elsewhere[want.key]}; keep it in one of {sync} and {wanted_elsewhere[want.key]}"
            )
            continue
        found = live.get(want.key)
        receipt = receipts.get(text(want.key))
        if found and (found.meta.get("labels") or {}).get(inventory.PART_OF) not in {*known_sets, None}:
            conflicts.append(f"{subject(want.key)} belongs to an ApplySet of somebody else; remove it there first")
        elif found and receipt and _untouched(want, found, receipt, applyset):
            unchanged.append(want)
            keep[text(want.key)] = receipt
        else:
            suspects.append(want)
    prune, left = _surplus(applyset, {want.key for want in desired}, live, wanted_elsewhere)
    return Plan(tuple(unchanged), tuple(suspects), tuple(prune), tuple(left), tuple(conflicts), keep)


def _untouched(want: Wanted, found: Live, receipt: ObjectReceipt, applyset: str) -> bool:
    return (
        receipt.desired == want.digest
        and receipt.uid == found.meta.get("uid")
        and not found.meta.get("deletionTimestamp")
        and (found.meta.get("labels") or {}).get(inventory.PART_OF) == applyset
        and receipt.fingerprint == digests.fingerprint(found.meta)
    )


def _surplus(
    applyset: str, desired: Collection[Key], live: Mapping[Key, Live], elsewhere: Mapping[Key, str]
) -> tuple[list[Live], list[str]]:
    prune, left = [], []
    for key, found in sorted(live.items()):
        labels, notes = found.meta.get("labels") or {}, found.meta.get("annotations") or {}
        if labels.get(inventory.PART_OF) != applyset or key in desired or key in elsewhere:
            continue
        if found.meta.get("deletionTimestamp"):
            continue
        if not inventory.owned(found.meta):
            left.append(f"{subject(key)} carries the label of this Sync but was not written by it")
        elif key[:2] in NEVER_PRUNED:
            left.append(f"{subject(key)} is left in place: a {key[1]} is never pruned")
        elif any(notes.get(name) == "disabled" for name in (*PRUNE, *RECONCILE)):
            left.append(f"{subject(key)} is left in place: its annotation says so")
        else:
            prune.append(found)
    return prune, left
