"""Looking closer at what the lists could not clear: by value first, then by one dry run. Nothing is written here."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from shared.errors import ConflictError, FleetbeatError
from shared.state.receipts import ObjectReceipt
from workers.clusters.client import ClusterClient
from workers.clusters.discovery import Kinds, Resource
from workers.clusters.errors import ClusterUnreachableError, ImmutableFieldError, UnauthorizedError, UnknownKindError
from workers.sync import compare, diff, digests, fields, inventory, ownership
from workers.sync.changes import Change, ChangeSet
from workers.sync.plan import DELETED, PROTECTED, Wanted, holders, subject, text

Body = dict[str, Any]
Verdict = Literal["same", "ask", "write"]
FIGHT_CORRECTIONS, FIGHT_SECONDS = 5, 60.0
"""More corrections of one object within so many seconds are a fight."""


GOING = f"{DELETED} at"
"""How the drift of an object begins that a finalizer still holds."""


class ForeignObjectError(ConflictError):
    """The object belongs to an ApplySet of another tool or fleet."""


@dataclass(frozen=True, slots=True)
class Write:
    """One object that is to be written. `before` is None when it is to be created, and only if there is none."""

    want: Wanted
    before: Body | None
    change: Change
    drifted: Change | None = None
    receipt: ObjectReceipt | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What examining and writing one Sync's objects needs to know.

    Args:
        client: The Sync's view of the cluster.
        kinds: What the cluster serves.
        ids: The ApplySets of all Syncs of this fleet on the cluster.
        key: For masks and digests of secret values.
        now: Redis time.
        report: Drift is reported, not corrected.
        force: Objects are recreated for the sake of immutable fields.
        recreatable: Protected kinds that may be recreated too.
        exact: People will read what is found: every difference is asked of the API server, and whose edits it takes back.
    """

    client: ClusterClient
    kinds: Kinds
    ids: Collection[str]
    key: bytes
    now: float
    report: bool = False
    force: bool = False
    recreatable: Collection[str] = ()
    exact: bool = False

    def resource(self, want: Wanted) -> Resource:
        """Where the object lives, in the version that Git writes it in.

        Raises:
            KindUnavailableError, UnknownKindError: As `Kinds.exact`.
        """
        manifest = want.manifest
        return self.kinds.exact(self.client.name, manifest.group, manifest.version, manifest.kind)


def judge(want: Wanted, live: Body, receipt: ObjectReceipt | None) -> Verdict:
    """Whether a live object is as desired, differs for certain, or only the API server can tell. Pure."""
    meta = live["metadata"]
    if ownership.ours(meta) is None:
        return "write"
    if adopts(want, live):
        return "write"
    known = _unmoved(want, receipt)
    body = want.manifest.body
    equal = compare.covers(live, body) and ownership.owned(meta) and not ownership.reshaped(live, body)
    if equal and (known or not ownership.surplus(live, body)):
        return "same"
    return "ask" if known or receipt is None else "write"


def _unmoved(want: Wanted, receipt: ObjectReceipt | None) -> bool:
    """True when Git wants the same as when the receipt was written: what differs then is somebody else's doing."""
    return receipt is not None and receipt.desired == want.digest


def adopts(want: Wanted, live: Body) -> bool:
    """True when fields of others become ours first, so that the write removes what Git does not name."""
    if want.policy.ssa == "Merge":
        return False
    return ownership.ours(live["metadata"]) is None or bool(ownership.added(live, want.manifest.body))


async def examine(
    scope: Scope,
    suspects: Sequence[tuple[Wanted, Body | None]],
    receipts: Mapping[str, ObjectReceipt],
    done: ChangeSet,
) -> list[Write]:
    """Judge every suspect; fills `done` with those that need no write, and returns the writes that the others need.

    Args:
        scope: See there.
        suspects: With the live body where a list showed it whole; it is read otherwise.
        receipts: What was written last time.
        done: Gets receipts, remarks and errors, one for each object.
    """
    answers = await asyncio.gather(
        *(_examine(scope, want, body, receipts.get(text(want.key))) for want, body in suspects), return_exceptions=True
    )
    writes = []
    for (want, _), answer in zip(suspects, answers, strict=True):
        if isinstance(answer, Write):
            writes.append(answer)
        elif isinstance(answer, tuple):
            _note(done, want, *answer)
        elif isinstance(answer, (ClusterUnreachableError, UnauthorizedError)):
            raise answer
        elif isinstance(answer, FleetbeatError):
            done.errors.append(f"{want.manifest.origin}: {answer}")
        else:
            raise answer
    return writes


def _note(done: ChangeSet, want: Wanted, receipt: ObjectReceipt, change: Change | None) -> None:
    done.receipts[text(want.key)] = receipt
    done.unchanged += not receipt.drift
    if receipt.drift.startswith(GOING):
        done.left.append(f"{subject(want.key)} is {receipt.drift}")
    if change:
        done.changes.append(change)


async def _examine(
    scope: Scope, want: Wanted, live: Body | None, receipt: ObjectReceipt | None
) -> Write | tuple[ObjectReceipt, Change | None]:
    known = _unmoved(want, receipt)
    if live is None:
        try:
            resource = scope.resource(want)
        except UnknownKindError:
            # Its CustomResourceDefinition is in an earlier stage of this run.
            return Write(want, None, Change("created", want.key))
        live = await scope.client.get(resource, want.key[2], want.key[3])
    if live is None:
        told = receipt is not None and receipt.drift.startswith(GOING)
        gone = Change("drifted", want.key, note=DELETED) if known and not told else None
        return _drift(scope, Write(want, None, Change("created", want.key), gone, receipt), None)
    refuse_foreign(scope, live, subject(want.key))
    if want.policy.ssa == "IfNotPresent":
        return receipt_of(want, live), None
    if known and live["metadata"].get("deletionTimestamp"):
        return _going(want, live, receipt)
    verdict = judge(want, live, receipt)
    if verdict == "same":
        return receipt_of(want, live, receipt), None
    would = None
    if verdict == "ask" or scope.exact:
        try:
            would = await _would(scope, want)
        except ImmutableFieldError:
            if not recreates(scope, want):
                raise
        if verdict == "ask" and would is not None and _same(live, would):
            return receipt_of(want, live, receipt), None
    rows = tuple(diff.fields(live, would, scope.key) if would is not None else _expected(want, live, scope.key))
    drifted = None
    if known:
        drifted = Change("drifted", want.key, rows, _who(want, live, would))
    elif scope.exact and receipt and would and (hand := ownership.overruled(live["metadata"], would["metadata"])):
        drifted = Change("drifted", want.key, (), str(hand))
    return _drift(scope, Write(want, live, Change("configured", want.key, rows), drifted, receipt), live)


def _going(want: Wanted, live: Body, receipt: ObjectReceipt | None) -> tuple[ObjectReceipt, Change | None]:
    """What somebody deleted and a finalizer still holds: nothing can be written to it to any effect; it is told of once."""
    meta = live["metadata"]
    note = f"{GOING} {meta['deletionTimestamp']}, waits for {holders(meta)}"
    told = receipt is not None and receipt.drift.startswith(DELETED)
    seen = digests.fingerprint(want.key, meta)
    return ObjectReceipt(meta["uid"], want.digest, seen, drift=note), None if told else Change(
        "drifted", want.key, note=note
    )


def refuse_foreign(scope: Scope, live: Body, what: str) -> None:
    """Keep off what an inventory of somebody else holds.

    Raises:
        ForeignObjectError: It carries the label of an ApplySet that is none of ours.
    """
    label = (live["metadata"].get("labels") or {}).get(inventory.PART_OF)
    if label and label not in scope.ids:
        raise ForeignObjectError(
            f"{what} belongs to {label}, an ApplySet of another tool or fleet; remove it there first, or take its label "
            f"{inventory.PART_OF} off"
        )


def recreates(scope: Scope, want: Wanted) -> bool:
    """True when this object may be deleted and made anew for the sake of an immutable field."""
    protected = PROTECTED.get(want.key[:2])
    return (scope.force or want.policy.force) and (protected is None or protected in scope.recreatable)


def receipt_of(want: Wanted, live: Body, before: ObjectReceipt | None = None) -> ObjectReceipt:
    """The receipt of an object that is as desired; recent corrections of it are remembered for a while."""
    meta = live["metadata"]
    kept = before.corrections if before else ()
    return ObjectReceipt(meta["uid"], want.digest, digests.fingerprint(want.key, meta), corrections=kept)


async def _would(scope: Scope, want: Wanted) -> Body:
    return await scope.client.apply(scope.resource(want), want.manifest.body, dry_run=True)


def _drift(scope: Scope, item: Write, live: Body | None) -> Write | tuple[ObjectReceipt, Change | None]:
    """The write, or, where drift is only reported or fought over, what is remembered instead of it."""
    if item.drifted is None or item.receipt is None:
        return item
    note = item.drifted.note or ""
    seen = digests.fingerprint(item.want.key, live["metadata"]) if live else ""
    uid = live["metadata"]["uid"] if live else item.receipt.uid
    if scope.report:
        remembered = ObjectReceipt(uid, item.want.digest, seen, drift=note)
        told = item.receipt.drift and item.receipt.fingerprint == seen
        return remembered, None if told else item.drifted
    recent = tuple(at for at in item.receipt.corrections if scope.now - at < FIGHT_SECONDS)
    fought = item.receipt.contested > 0 and item.receipt.fingerprint != seen
    if fought or len(recent) >= FIGHT_CORRECTIONS:
        remembered = ObjectReceipt(uid, item.want.digest, seen, drift=note, corrections=recent, contested=scope.now)
        return remembered, None if item.receipt.contested else replace(item.drifted, action="contested")
    return replace(item, receipt=replace(item.receipt, corrections=(*recent, scope.now), contested=0.0, drift=""))


def _expected(want: Wanted, live: Body, key: bytes) -> list[dict[str, Any]]:
    """The difference that a write will make, as far as it can be told beforehand."""
    body = want.manifest.body
    extra = {path for paths in ownership.added(live, body).values() for path in paths} if adopts(want, live) else set()
    extra |= ownership.surplus(live, body)
    rows = diff.fields(compare.reduced(live, body), body, key)
    return [*rows, *({"path": fields.spoken(path), "from": "(set)"} for path in sorted(extra))]


def _who(want: Wanted, live: Body, would: Body | None) -> str:
    if would is not None:
        hand = ownership.overruled(live["metadata"], would["metadata"])
    else:
        added = ownership.added(live, want.manifest.body)
        hand = ownership.latest(live["metadata"], {path for paths in added.values() for path in paths} or None)
    return str(hand or ownership.latest(live["metadata"]) or ownership.UNNAMED)


def _same(live: Body, would: Body) -> bool:
    return _bare(live) == _bare(would)


def _bare(body: Body) -> bytes:
    meta = {k: v for k, v in body["metadata"].items() if k not in {"managedFields", "resourceVersion", "generation"}}
    return orjson.dumps({**body, "metadata": meta}, option=orjson.OPT_SORT_KEYS)
