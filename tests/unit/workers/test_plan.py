"""Where it is decided what to do with an object: what is left alone, looked at, pruned, left, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from shared.state.receipts import ObjectReceipt
from workers.rendering.manifest import Manifest
from workers.sync import digests, inventory
from workers.sync.plan import Key, Live, Plan, Wanted, plan, text

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
    return {text(found.key): ObjectReceipt(found.meta["uid"], digest, digests.fingerprint(found.meta))}


def decide(
    desired: list[Wanted], found: list[Live], receipts: dict[str, ObjectReceipt] | None = None, **elsewhere: str
) -> Plan:
    others = dict.fromkeys([KEY], elsewhere["elsewhere"]) if elsewhere else {}
    return plan("app", MINE, desired, {item.key: item for item in found}, receipts or {}, others, {MINE, THEIRS})


def test_an_object_that_is_as_its_receipt_says_needs_no_request() -> None:
    found = live()
    decided = decide([want()], [found], receipt(found))
    assert [item.key for item in decided.unchanged] == [KEY]
    assert not decided.suspects


@pytest.mark.parametrize(
    "changed",
    [
        {"uid": "u2"},
        {"generation": 2},
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


def test_a_status_written_by_a_controller_is_no_trace() -> None:
    found = live()
    status = {"manager": "controller", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}}
    moved = live(managedFields=[*found.meta["managedFields"], status], resourceVersion="99")
    assert decide([want()], [moved], receipt(found)).unchanged


def test_another_render_or_no_receipt_makes_it_a_suspect() -> None:
    assert decide([want(digest="d2")], [live()], receipt(live())).suspects
    assert decide([want()], [live()]).suspects
    assert decide([want()], []).suspects


def test_what_nobody_wants_any_more_and_is_ours_is_pruned() -> None:
    assert [item.key for item in decide([], [live()]).prune] == [KEY]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (live(by="somebody-else"), "was not written by it"),
        (live(annotations={"fleetbeat/prune": "disabled"}), "annotation"),
        (live(annotations={"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}), "annotation"),
        (live(("", "Namespace", "", "web")), "never pruned"),
        (live(("", "PersistentVolumeClaim", "web", "data")), "never pruned"),
        (live(("apiextensions.k8s.io", "CustomResourceDefinition", "", "a.b")), "never pruned"),
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


def test_an_object_of_somebody_elses_applyset_is_a_conflict() -> None:
    decided = decide([want()], [live(applyset="applyset-stranger-v1")])
    assert not decided.suspects
    assert "somebody else" in decided.conflicts[0]
