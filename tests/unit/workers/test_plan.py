"""Where it is decided what to do with an object: what is left alone, looked at, pruned, left, or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.state.receipts import ObjectReceipt
from workers.rendering.manifest import Manifest
from workers.sync import digests, inventory
from workers.sync.plan import Key, Live, Plan, Wanted, owners, plan, text, turn
from workers.sync.policies import Policy

MINE, THEIRS = "applyset-mine-v1", "applyset-theirs-v1"
KEY: Key = ("", "ConfigMap", "web", "settings")


def live(key: Key = KEY, applyset: str = MINE, *, by: str = "fleetbeat", **meta: Any) -> Live:
    fields: dict[str, Any] = {"f:metadata": {"f:labels": {f"f:{inventory.PART_OF}": {}}}}
    entry = {"manager": by, "operation": "Apply", "fieldsV1": fields}
    base = {
        "name": key[3],
        "namespace": key[2],
        "uid": "u1",
        "labels": {inventory.PART_OF: applyset},
        "managedFields": [entry],
    }
    return Live(key, {**base, **meta})


def want(key: Key = KEY, digest: str = "d1") -> Wanted:
    body = {"apiVersion": "v1", "kind": key[1], "metadata": {"name": key[3], "namespace": key[2]}}
    return Wanted(key, Manifest(body, "app/settings.yaml:1"), digest)


def receipt(found: Live, digest: str = "d1") -> dict[str, ObjectReceipt]:
    return {text(found.key): ObjectReceipt(found.meta["uid"], digest, digests.fingerprint(found.key, found.meta))}


def decide(
    desired: list[Wanted],
    found: list[Live],
    receipts: dict[str, ObjectReceipt] | None = None,
    *,
    elsewhere: str = "",
    **more: Any,
) -> Plan:
    owner = {item.key: "app" for item in desired} | ({KEY: elsewhere} if elsewhere else {})
    return plan("app", MINE, desired, {item.key: item for item in found}, receipts or {}, owner, **more)


def test_an_object_that_is_as_its_receipt_says_needs_no_request() -> None:
    found = live()
    decided = decide([want()], [found], receipt(found))
    assert [item.key for item in decided.unchanged] == [KEY]
    assert not decided.suspects


@pytest.mark.parametrize(
    "changed",
    [
        {"uid": "u2"},
        {"labels": {inventory.PART_OF: MINE, "by": "hand"}},
        {"annotations": {"by": "hand"}},
        {"finalizers": ["example.com/wait"]},
        {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        {"managedFields": [{"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {}}}]},
    ],
)
def test_any_trace_of_another_hand_makes_it_a_suspect(changed: dict[str, Any]) -> None:
    decided = decide([want()], [live(**changed)], receipt(live()))
    assert [item.key for item in decided.suspects] == [KEY]


def test_another_generation_alone_makes_a_suspect() -> None:
    key: Key = ("apps", "Deployment", "web", "frontend")
    known = receipt(live(key, generation=1))
    assert decide([want(key)], [live(key, generation=2)], known).suspects
    assert decide([want(key)], [live(key, generation=1)], known).unchanged


def test_a_status_written_by_a_controller_is_no_trace() -> None:
    found = live()
    status = {"manager": "controller", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}}
    moved = live(managedFields=[*found.meta["managedFields"], status], resourceVersion="99")
    assert decide([want()], [moved], receipt(found)).unchanged


def test_another_render_or_no_receipt_makes_it_a_suspect() -> None:
    assert decide([want(digest="d2")], [live()], receipt(live())).suspects
    assert decide([want()], [live()]).suspects
    assert decide([want()], []).absent


def test_what_nobody_wants_any_more_and_is_ours_is_pruned() -> None:
    assert [item.key for item in decide([], [live()]).prune] == [KEY]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (live(by="somebody-else"), "was not written by it"),
        (live(annotations={"fleetbeat/prune": "disabled"}), "annotation"),
        (live(annotations={"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}), "annotation"),
        (live(("", "Namespace", "", "web")), "only with pruneProtected"),
        (live(("", "PersistentVolumeClaim", "web", "data")), "only with pruneProtected"),
        (live(("apiextensions.k8s.io", "CustomResourceDefinition", "", "a.b")), "only with pruneProtected"),
    ],
)
def test_what_should_live_is_left_and_named(found: Live, why: str) -> None:
    decided = decide([], [found])
    assert not decided.prune
    assert why in decided.left[0]


def test_what_another_set_owns_or_another_sync_wants_is_not_pruned() -> None:
    assert not decide([], [live(applyset=THEIRS)]).prune
    assert not decide([], [live()], elsewhere="other").prune
    assert not decide([], [live(deletionTimestamp="2026-01-01T00:00:00Z")]).prune


def test_an_object_that_two_syncs_want_is_a_conflict_that_names_both_and_the_file() -> None:
    decided = decide([want()], [], elsewhere="other")
    assert not decided.suspects
    (message,) = decided.conflicts
    assert all(part in message for part in ("ConfigMap/web/settings", "app/settings.yaml:1", "Sync other", "app"))


@pytest.mark.parametrize("order", [("app", "other"), ("other", "app")])
def test_of_two_syncs_that_want_one_object_it_belongs_to_the_one_that_has_it(order: tuple[str, str]) -> None:
    desired = {name: [want()] for name in order}
    ids = {"app": MINE, "other": THEIRS}
    assert owners(desired, {KEY: live(applyset=THEIRS)}, ids) == {KEY: "other"}
    assert owners(desired, {KEY: live(applyset=MINE)}, ids) == {KEY: "app"}
    assert owners(desired, {}, ids) == {KEY: order[0]}


def test_every_object_has_its_turn_once_a_day_and_no_earlier() -> None:
    start = 1_800_000_123.0
    turns = [turn(at, at + 600.0) for at in (start + 600.0 * step for step in range(144))]
    for number in range(50):
        key = ("", "ConfigMap", "web", f"m{number}")
        assert sum(due(key) for due in turns) == 1
    assert all(turn(start, start + 90_000.0)(("", "ConfigMap", "web", f"m{number}")) for number in range(10))


def test_an_untouched_object_whose_turn_has_come_is_compared_in_full() -> None:
    assert decide([want()], [live()], receipt(live()), due=lambda _: True).suspects


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        (Policy(ssa="Ignore"), []),
        (Policy(reconcile=False), []),
        (Policy(ssa="IfNotPresent"), [live()]),
        (Policy(), [live(annotations={"fleetbeat/reconcile": "disabled"})]),
    ],
)
def test_what_asks_to_be_left_alone_is_neither_looked_at_nor_pruned(policy: Policy, found: list[Live]) -> None:
    decided = decide([replace(want(), policy=policy)], found)
    assert [item.key for item in decided.alone] == [KEY]
    assert not (decided.suspects or decided.absent or decided.prune)


def test_a_protected_kind_is_pruned_only_where_the_sync_says_so() -> None:
    found = live(("", "Namespace", "", "web"))
    assert decide([], [found], prunable=["Namespace"]).prune
    assert not decide([], [found], prunable=["PersistentVolume"]).prune


def test_what_is_being_deleted_is_named_with_what_holds_it() -> None:
    found = live(deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["example.com/wait"])
    decided = decide([], [found])
    assert not decided.prune
    assert "example.com/wait" in decided.left[0]


def test_what_was_ours_and_lost_its_label_is_a_stray() -> None:
    assert decide([], [], receipt(live())).strays == (KEY,)
    assert decide([want()], [], receipt(live())).strays == ()


def test_reported_drift_is_not_looked_at_again_until_it_is_to_be_corrected() -> None:
    found = live()
    known = {name: replace(row, drift="changed by kubectl") for name, row in receipt(found).items()}
    assert decide([want()], [found], known, report=True).unchanged
    assert decide([want()], [found], known, report=False).suspects


def test_a_fight_is_left_alone_until_it_is_quiet() -> None:
    found = live()
    known = {name: replace(row, drift="x", contested=1000.0) for name, row in receipt(found).items()}
    assert decide([want()], [found], known, now=1200.0).unchanged
    assert decide([want()], [found], known, now=1301.0).suspects
