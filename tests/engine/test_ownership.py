"""One owner: what two Syncs want, what moves between them, what was copied, and what another tool holds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.lab import Lab, config_map, document
from workers.sync.inventory import PART_OF, applyset_id, parent_name

A, B = document("a"), document("b")


def path(space: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{space}/configmaps" + (f"/{name}" if name else "")


def there(lab: Lab, space: str, name: str) -> bool:
    return lab.api.send("GET", path(space, name)).status == 200


def owner(lab: Lab, space: str, name: str) -> str:
    label = lab.api.get(path(space, name))["metadata"]["labels"][PART_OF]
    return next(sync for sync in "ab" if applyset_id(parent_name(sync), lab.system) == label)


def test_of_two_syncs_that_want_one_object_the_later_fails_and_both_are_named(lab: Lab, space: str) -> None:
    lab.run(lab.job(A), lab.job(B, config_map("x", space, {"by": "b"})))
    done = lab.run(lab.job(A, config_map("x", space, {"by": "a"})), lab.job(B, config_map("x", space, {"by": "b"})))
    assert done["b"].errors == []
    (error,) = done["a"].errors
    assert "ConfigMap" in error
    assert "Sync b" in error
    assert lab.api.get(path(space, "x"))["data"] == {"by": "b"}


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("b", "a")])
def test_an_object_that_moves_in_one_commit_is_neither_deleted_nor_recreated(
    lab: Lab, space: str, source: str, target: str
) -> None:
    syncs = {"a": A, "b": B}

    def jobs(where: str) -> list[Any]:
        return [
            lab.job(
                syncs[name], config_map(f"keep-{name}", space), *([config_map("x", space)] if name == where else [])
            )
            for name in syncs
        ]

    lab.run(*jobs(source))
    uid = lab.api.get(path(space, "x"))["metadata"]["uid"]
    done = lab.run(*jobs(target))
    assert all(not item.errors for item in done.values())
    assert lab.api.get(path(space, "x"))["metadata"]["uid"] == uid
    assert owner(lab, space, "x") == target
    assert not any(item.count("deleted") for item in done.values())
    assert not any(item.wrote for item in lab.run(*jobs(target)).values())


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("b", "a")])
def test_an_object_that_is_first_wanted_by_both_and_then_moves_stays(
    lab: Lab, space: str, source: str, target: str
) -> None:
    syncs = {"a": A, "b": B}

    def jobs(*where: str) -> list[Any]:
        return [
            lab.job(
                syncs[name], config_map(f"keep-{name}", space), *([config_map("x", space)] if name in where else [])
            )
            for name in syncs
        ]

    lab.run(*jobs(source))
    uid = lab.api.get(path(space, "x"))["metadata"]["uid"]
    both = lab.run(*jobs(source, target))
    assert both[target].errors
    assert not both[source].errors
    lab.run(*jobs(target))
    assert lab.api.get(path(space, "x"))["metadata"]["uid"] == uid
    assert owner(lab, space, "x") == target


def test_an_object_that_moves_to_a_failing_sync_is_not_deleted(lab: Lab, space: str) -> None:
    lab.run(lab.job(A, config_map("keep", space), config_map("x", space)), lab.job(B))
    bad = {**config_map("bad", space), "nonsense": True}
    done = lab.run(lab.job(A, config_map("keep", space)), lab.job(B, config_map("x", space), bad))
    assert done["b"].errors
    assert there(lab, space, "x")


@pytest.mark.parametrize("observed", [True, False])
def test_an_object_that_moves_to_a_sync_that_does_not_run_is_not_deleted(lab: Lab, space: str, observed: bool) -> None:
    lab.run(lab.job(A, config_map("keep", space), config_map("x", space)), lab.job(B))
    target = (
        lab.job(B, config_map("x", space), observed=True)
        if observed
        else lab.job(document("b", dependsOn=[{"name": "nobody"}]), config_map("x", space))
    )
    done = lab.run(lab.job(A, config_map("keep", space)), target)
    assert done["a"].errors == []
    assert there(lab, space, "x")


def test_a_sync_whose_render_failed_keeps_everybody_from_deleting(lab: Lab, space: str) -> None:
    lab.run(lab.job(A, config_map("keep", space), config_map("x", space)), lab.job(B))
    lab.run(lab.job(A, config_map("keep", space)), lab.job(B, error="malformed"))
    assert there(lab, space, "x")
    lab.run(lab.job(A, config_map("keep", space)), lab.job(B))
    assert not there(lab, space, "x")


def test_a_copy_that_carries_our_label_is_reported_and_never_deleted(lab: Lab, space: str) -> None:
    job = lab.job(A, config_map("x", space))
    lab.run(job)
    labels = lab.api.get(path(space, "x"))["metadata"]["labels"]
    assert lab.api.send("POST", path(space), config_map("copy", space, labels=labels)).status == 201
    done = lab.run(job)["a"]
    assert there(lab, space, "copy")
    assert "ConfigMap" in done.left[0]
    assert "copy" in done.left[0]


def test_a_label_taken_off_by_hand_comes_back_as_drift(lab: Lab, space: str) -> None:
    job = lab.job(A, config_map("x", space))
    lab.run(job)
    lab.api.merge(path(space, "x"), {"metadata": {"labels": {PART_OF: None}}}, "kubectl-label")
    done = lab.run(job)["a"]
    assert (done.errors, done.count("drifted"), done.count("configured")) == ([], 1, 1)
    assert owner(lab, space, "x") == "a"


def test_an_orphan_without_label_that_git_drops_is_reported_and_stays(lab: Lab, space: str) -> None:
    lab.run(lab.job(A, config_map("keep", space), config_map("x", space)))
    lab.api.merge(path(space, "x"), {"metadata": {"labels": {PART_OF: None}}}, "kubectl-label")
    done = lab.run(lab.job(A, config_map("keep", space)))["a"]
    assert there(lab, space, "x")
    assert any("orphaned" in line and "x" in line for line in done.left)


def test_an_object_of_another_tools_applyset_is_refused_and_untouched(lab: Lab, space: str) -> None:
    body = config_map("x", space, {"by": "them"}, labels={PART_OF: "applyset-theirs-v1"})
    assert lab.api.send("POST", path(space), body).status == 201
    done = lab.run(lab.job(A, config_map("x", space, {"by": "us"})))["a"]
    assert "applyset-theirs-v1" in done.errors[0]
    assert lab.api.get(path(space, "x"))["data"] == {"by": "them"}


def test_two_fleets_on_one_cluster_leave_each_other_alone(lab: Lab, space: str) -> None:
    other = Lab(lab.api, lab.system, lab.loop, fleet="another")
    lab.run(lab.job(A, config_map("x", space)))
    refused = other.run(other.job(A, config_map("y", space)))["a"]
    assert "another" in refused.errors[0]
    assert not there(lab, space, "y")
    assert other.run(other.job(B, config_map("y", space)))["b"].errors == []
    wants_x = other.run(other.job(B, config_map("x", space, {"by": "them"})))["b"]
    assert wants_x.errors
    assert there(lab, space, "x")
    assert not lab.run(lab.job(A, config_map("x", space)))["a"].wrote
    lab.loop.run(other.client.close(), 5)


def test_one_cluster_registered_twice_is_refused_before_anything_is_written(lab: Lab, space: str) -> None:
    lab.claim = lambda uid: "the-first" if uid else None
    for _ in range(2):
        done = lab.run(lab.job(A, config_map("x", space)))["a"]
        assert "the-first" in done.errors[0]
        assert not there(lab, space, "x")


def test_a_dead_api_service_hides_nothing(lab: Lab, real: Api, space: str) -> None:
    if lab.api != real:
        pytest.skip("asked of the real one")
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.dead.example.com"},
        "spec": {
            "group": "dead.example.com",
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": "none", "namespace": "default"},
        },
    }
    assert real.send("POST", "/apis/apiregistration.k8s.io/v1/apiservices", service).status == 201
    try:
        lab.run(lab.job(A, config_map("x", space)))
        parent = f"/api/v1/namespaces/{lab.system}/configmaps/fleetbeat-a"
        kinds = "applyset.kubernetes.io/contains-group-kinds"
        note = {"metadata": {"annotations": {kinds: "ConfigMap,Thing.dead.example.com"}}}
        assert real.merge(parent, note).status == 200
        lab.run(lab.job(A, config_map("x", space), config_map("y", space)))
        assert "Thing.dead.example.com" in real.get(parent)["metadata"]["annotations"][kinds]
    finally:
        real.send("DELETE", "/apis/apiregistration.k8s.io/v1/apiservices/v1.dead.example.com")
