"""Deleting: within a budget, after everything else, and what happens to the objects of a Sync that leaves."""

from __future__ import annotations

import pytest

from tests.support.lab import Lab, config_map, document
from workers.sync.inventory import PART_OF

APP = document("app")


def path(space: str, name: str) -> str:
    return f"/api/v1/namespaces/{space}/configmaps/{name}"


def names(lab: Lab, space: str) -> set[str]:
    items = lab.api.get(f"/api/v1/namespaces/{space}/configmaps")["items"]
    return {item["metadata"]["name"] for item in items} - {"kube-root-ca.crt"}


def test_more_than_half_of_a_sync_waits_for_an_approval_of_exactly_that(lab: Lab, space: str) -> None:
    lab.run(lab.job(APP, *(config_map(f"m{number}", space) for number in range(6))))
    fewer = [config_map(f"m{number}", space) for number in range(2)]
    asked = lab.run(lab.job(APP, *fewer))["app"]
    assert (asked.state, len(asked.deletions)) == ("waiting", 4)
    assert "fleetbeat approve app@lab" in (asked.waits_for or "")
    assert len(names(lab, space)) == 6
    assert lab.receipts["app"].deletions == asked.deletions
    lab.approved["app"] = "something else"
    assert lab.run(lab.job(APP, *fewer))["app"].deletions
    assert lab.kinds_of_events().count("approval.requested") == 1
    lab.approved["app"] = lab.receipts["app"].deletions_digest
    done = lab.run(lab.job(APP, *fewer))["app"]
    assert (done.state, done.count("deleted")) == ("applied", 4)
    assert names(lab, space) == {"m0", "m1"}
    assert lab.receipts["app"].deletions == ()


def test_a_few_deletions_need_nobody(lab: Lab, space: str) -> None:
    lab.run(lab.job(APP, *(config_map(f"m{number}", space) for number in range(6))))
    done = lab.run(lab.job(APP, *(config_map(f"m{number}", space) for number in range(4))))["app"]
    assert done.count("deleted") == 2


def test_max_deletions_is_the_syncs_own(lab: Lab, space: str) -> None:
    careful = document("app", maxDeletions=0)
    lab.run(lab.job(careful, config_map("a", space), config_map("b", space)))
    assert lab.run(lab.job(careful, config_map("a", space)))["app"].deletions == (f"ConfigMap/{space}/b",)
    assert names(lab, space) == {"a", "b"}


def test_nothing_is_deleted_in_a_run_in_which_something_failed(lab: Lab, space: str) -> None:
    lab.run(lab.job(APP, config_map("a", space), config_map("b", space)))
    bad = {**config_map("c", space), "nonsense": 1}
    lab.run(lab.job(APP, config_map("a", space), bad))
    assert "b" in names(lab, space)


def test_a_sync_that_leaves_with_few_objects_takes_them_and_its_inventory_along(lab: Lab, space: str) -> None:
    lab.run(lab.job(APP, config_map("a", space)))
    done = lab.run(lab.job(APP, leaving=True))["app"]
    assert (done.gone, done.count("deleted")) == (True, 1)
    assert names(lab, space) == set()
    assert lab.api.send("GET", f"/api/v1/namespaces/{lab.system}/configmaps/fleetbeat-app").status == 404
    assert "app" not in lab.receipts
    assert "sync.removed" in lab.kinds_of_events()


def test_a_sync_that_leaves_with_many_objects_asks_first(lab: Lab, space: str) -> None:
    lab.run(lab.job(APP, *(config_map(f"m{number}", space) for number in range(5))))
    asked = lab.run(lab.job(APP, leaving=True))["app"]
    assert (asked.state, len(asked.deletions), asked.gone) == ("waiting", 5, False)
    lab.approved["app"] = asked.deletions_digest
    assert lab.run(lab.job(APP, leaving=True))["app"].gone
    assert names(lab, space) == set()


@pytest.mark.parametrize("spec", [{"deletionPolicy": "Orphan"}, {"prune": False}])
def test_a_sync_that_orphans_releases_its_objects(lab: Lab, space: str, spec: dict[str, object]) -> None:
    sync = document("app", **spec)
    lab.run(lab.job(sync, config_map("a", space)))
    done = lab.run(lab.job(sync, leaving=True))["app"]
    assert (done.gone, done.count("released")) == (True, 1)
    assert PART_OF not in (lab.api.get(path(space, "a"))["metadata"].get("labels") or {})
    taken = lab.run(lab.job(document("other"), config_map("a", space)))["other"]
    assert taken.errors == []


def test_an_object_moves_from_a_sync_that_leaves(lab: Lab, space: str) -> None:
    lab.run(lab.job(APP, config_map("a", space)), lab.job(document("other"), config_map("b", space)))
    uid = lab.api.get(path(space, "a"))["metadata"]["uid"]
    done = lab.run(
        lab.job(document("other"), config_map("a", space), config_map("b", space)), lab.job(APP, leaving=True)
    )
    assert done["app"].count("deleted") == 0
    assert lab.api.get(path(space, "a"))["metadata"]["uid"] == uid


def test_a_stuck_finalizer_is_reported_and_not_waited_for(lab: Lab, space: str) -> None:
    held = config_map("b", space, finalizers=["example.com/wait"])
    lab.run(lab.job(APP, config_map("a", space), held))
    first = lab.run(lab.job(APP, config_map("a", space)))["app"]
    assert (first.state, first.count("deleted")) == ("applied", 1)
    second = lab.run(lab.job(APP, config_map("a", space)))["app"]
    assert any("example.com/wait" in line for line in second.left)
    parent = lab.api.get(f"/api/v1/namespaces/{lab.system}/configmaps/fleetbeat-app")
    assert "ConfigMap" in parent["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"]
    lab.api.merge(path(space, "b"), {"metadata": {"finalizers": None}})
    assert lab.run(lab.job(APP, config_map("a", space)))["app"].left == []


def test_a_namespace_is_deleted_only_where_the_sync_says_so(lab: Lab, space: str) -> None:
    name = f"{space}-extra"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    lab.run(lab.job(APP, config_map("a", space), body))
    kept = lab.run(lab.job(APP, config_map("a", space)))["app"]
    assert "pruneProtected" in kept.left[0]
    assert "deletionTimestamp" not in lab.api.get(f"/api/v1/namespaces/{name}")["metadata"]
    bold = document("app", pruneProtected=["Namespace"])
    assert lab.run(lab.job(bold, config_map("a", space)))["app"].count("deleted") == 1
