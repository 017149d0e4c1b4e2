"""Writing: what is adopted, recreated, left alone, refused, warned of, and what of it is an event."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.lab import Lab, config_map, document

APP = document("app")


def path(space: str, name: str) -> str:
    return f"/api/v1/namespaces/{space}/configmaps/{name}"


def deployment(space: str, image: str = "web:1", app: str = "web", **spec: Any) -> dict[str, Any]:
    pod = {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "web", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": space},
        "spec": {"selector": {"matchLabels": {"app": app}}, "template": pod, **spec},
    }


def deployment_path(space: str) -> str:
    return f"/apis/apps/v1/namespaces/{space}/deployments/web"


def test_every_bad_object_is_named_and_the_good_ones_of_its_stage_are_written(lab: Lab, space: str) -> None:
    bad = [{**config_map(name, space), "nonsense": 1} for name in ("bad-1", "bad-2")]
    done = lab.run(lab.job(APP, config_map("good", space), *bad))["app"]
    assert done.state == "failed"
    assert len(done.errors) == 2
    assert all(f"app/{number}.yaml:1" in done.errors[number - 1] for number in (1, 2))
    assert lab.api.send("GET", path(space, "good")).status == 200


def test_a_bad_object_stops_what_comes_after_its_stage_and_wave(lab: Lab, space: str) -> None:
    wave = "argocd.argoproj.io/sync-wave"
    early = {**config_map("early", space, annotations={wave: "-1"}), "nonsense": 1}
    done = lab.run(lab.job(APP, early, config_map("later", space)))["app"]
    assert len(done.errors) == 1
    assert lab.api.send("GET", path(space, "later")).status == 404


def test_an_object_that_another_hand_made_is_adopted_with_what_git_does_not_name(lab: Lab, space: str) -> None:
    live = config_map("x", space, {"k": "old", "left": "over"})
    created = lab.api.send(
        "POST", f"/api/v1/namespaces/{space}/configmaps", live, fieldManager="kubectl-client-side-apply"
    )
    done = lab.run(lab.job(APP, config_map("x", space, {"k": "v"})))["app"]
    assert (done.errors, done.count("configured"), done.count("created")) == ([], 1, 0)
    after = lab.api.get(path(space, "x"))
    assert after["data"] == {"k": "v"}
    assert after["metadata"]["uid"] == created.json["metadata"]["uid"]
    assert {entry["manager"] for entry in after["metadata"]["managedFields"]} == {"fleetbeat"}
    assert not lab.run(lab.job(APP, config_map("x", space, {"k": "v"})))["app"].wrote


@pytest.mark.parametrize("manager", ["kustomize-controller", "argocd-controller", "kubectl"])
def test_what_other_tools_applied_is_taken_over_without_a_new_generation(lab: Lab, space: str, manager: str) -> None:
    body = deployment(space, replicas=3)
    theirs = copy.deepcopy(body)
    theirs["metadata"]["labels"] = {"kustomize.toolkit.fluxcd.io/name": "web"}
    assert lab.api.apply(deployment_path(space), theirs, manager).status == 201
    before = lab.api.get(deployment_path(space))
    done = lab.run(lab.job(APP, body))["app"]
    assert done.errors == []
    after = lab.api.get(deployment_path(space))
    assert (after["metadata"]["uid"], after["metadata"]["generation"]) == (before["metadata"]["uid"], 1)
    assert "kustomize.toolkit.fluxcd.io/name" not in after["metadata"]["labels"]
    assert after["spec"] == before["spec"]


def test_what_a_controller_owns_and_git_does_not_name_stays(lab: Lab, space: str) -> None:
    job = lab.job(APP, deployment(space))
    lab.run(job)
    lab.api.merge(deployment_path(space), {"spec": {"replicas": 7}}, "autoscaler")
    done = lab.run(job)["app"]
    assert not done.wrote
    assert lab.api.get(deployment_path(space))["spec"]["replicas"] == 7


def test_what_somebody_added_with_kubectl_is_drift_and_goes(lab: Lab, space: str) -> None:
    job = lab.job(APP, config_map("x", space))
    lab.run(job)
    lab.api.merge(path(space, "x"), {"data": {"debug": "on"}}, "kubectl-edit")
    done = lab.run(job)["app"]
    assert [change.action for change in done.changes] == ["drifted", "configured"]
    assert "kubectl-edit" in (done.changes[0].note or "")
    assert lab.api.get(path(space, "x"))["data"] == {"k": "v"}
    assert not lab.run(job)["app"].wrote


def test_a_restart_asked_for_with_kubectl_is_not_taken_back(lab: Lab, space: str) -> None:
    job = lab.job(APP, deployment(space))
    lab.run(job)
    note = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    restart = {"spec": {"template": {"metadata": {"annotations": note}}}}
    lab.api.merge(deployment_path(space), restart, "kubectl-rollout")
    assert not lab.run(job)["app"].wrote
    assert lab.api.get(deployment_path(space))["spec"]["template"]["metadata"]["annotations"] == note


def test_an_immutable_field_is_an_error_that_says_so_and_recreates_with_force_alone(lab: Lab, space: str) -> None:
    lab.run(lab.job(APP, deployment(space)))
    uid = lab.api.get(deployment_path(space))["metadata"]["uid"]
    refused = lab.run(lab.job(APP, deployment(space, app="other")))["app"]
    assert "immutable" in refused.errors[0]
    assert lab.api.get(deployment_path(space))["metadata"]["uid"] == uid
    forced = document("app", force=True)
    done = lab.run(lab.job(forced, deployment(space, app="other")))["app"]
    assert (done.errors, done.count("recreated")) == ([], 1)
    assert lab.api.get(deployment_path(space))["metadata"]["uid"] != uid


def test_force_deletes_nothing_for_any_other_mistake(lab: Lab, space: str) -> None:
    lab.run(lab.job(APP, deployment(space)))
    uid = lab.api.get(deployment_path(space))["metadata"]["uid"]
    wrong = deployment(space, app="other")
    wrong["spec"]["replicas"] = -1
    lab.run(lab.job(document("app", force=True), wrong))
    if "simulated" not in lab.api.get("/version")["gitVersion"]:
        assert lab.api.get(deployment_path(space))["metadata"]["uid"] == uid


def test_an_object_present_is_left_as_it_is_where_it_asks_for_that(lab: Lab, space: str) -> None:
    note = {"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"}
    first = lab.run(lab.job(APP, config_map("x", space, {"k": "1"}, annotations=note)))["app"]
    assert first.count("created") == 1
    assert not lab.run(lab.job(APP, config_map("x", space, {"k": "2"}, annotations=note)))["app"].wrote
    assert lab.api.get(path(space, "x"))["data"] == {"k": "1"}
    lab.api.send("POST", f"/api/v1/namespaces/{space}/configmaps", config_map("y", space, {"k": "theirs"}))
    both = [config_map(name, space, {"k": "2"}, annotations=note) for name in ("x", "y")]
    assert lab.run(lab.job(APP, *both))["app"].errors == []
    assert lab.api.get(path(space, "y"))["data"] == {"k": "theirs"}


def test_reconcile_disabled_in_git_leaves_the_object_and_does_not_prune_it(lab: Lab, space: str) -> None:
    lab.run(lab.job(APP, config_map("x", space, {"k": "1"}), config_map("y", space)))
    off = {"fleetbeat/reconcile": "disabled"}
    done = lab.run(lab.job(APP, config_map("x", space, {"k": "2"}, annotations=off), config_map("y", space)))["app"]
    assert not done.wrote
    assert lab.api.get(path(space, "x"))["data"] == {"k": "1"}


def test_an_annotation_on_the_live_object_holds_it(lab: Lab, space: str) -> None:
    lab.run(lab.job(APP, config_map("x", space, {"k": "1"})))
    hold = {"metadata": {"annotations": {"fleetbeat/reconcile": "disabled"}}, "data": {"k": "debug"}}
    lab.api.merge(path(space, "x"), hold)
    assert not lab.run(lab.job(APP, config_map("x", space, {"k": "2"})))["app"].wrote
    assert lab.api.get(path(space, "x"))["data"] == {"k": "debug"}


def test_warnings_of_the_api_server_are_kept(lab: Lab, space: str) -> None:
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "x", "namespace": space, "annotations": {"kubernetes.io/ingress.class": "nginx"}},
        "spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}},
    }
    lab.run(lab.job(APP, ingress))
    assert any("ingress.class" in text for text in lab.receipts["app"].warnings)


def test_drift_that_is_to_be_reported_is_told_once_and_stays(lab: Lab, space: str) -> None:
    reporting = document("app", driftMode="report")
    job = lab.job(reporting, config_map("x", space), config_map("y", space))
    lab.run(job)
    lab.api.merge(path(space, "x"), {"data": {"k": "debug"}}, "kubectl-edit")
    lab.api.send("DELETE", path(space, "y"))
    done = lab.run(job)["app"]
    assert sorted(change.action for change in done.changes) == ["drifted", "drifted"]
    assert (done.state, lab.receipts["app"].drifted) == ("applied", 2)
    again = lab.run(job)["app"]
    assert (again.changes, lab.receipts["app"].drifted) == ([], 2)
    assert lab.api.get(path(space, "x"))["data"] == {"k": "debug"}
    corrected = lab.run(lab.job(APP, config_map("x", space), config_map("y", space)))["app"]
    assert (corrected.count("configured"), corrected.count("created")) == (1, 1)
    assert lab.receipts["app"].drifted == 2
    assert not lab.run(lab.job(APP, config_map("x", space), config_map("y", space)))["app"].wrote


def test_a_fight_stops_after_five_corrections_names_the_other_and_ends_when_it_is_quiet(lab: Lab, space: str) -> None:
    job = lab.job(APP, config_map("x", space))
    lab.run(job)
    for number in range(5):
        lab.api.merge(path(space, "x"), {"data": {"k": f"mine-{number}"}}, "other-operator")
        assert lab.run(job)["app"].count("configured") == 1
    lab.api.merge(path(space, "x"), {"data": {"k": "mine"}}, "other-operator")
    stopped = lab.run(job)["app"]
    assert [change.action for change in stopped.changes] == ["contested"]
    assert "other-operator" in (stopped.changes[0].note or "")
    assert "other-operator" in lab.receipts["app"].contested[0]
    lab.api.merge(path(space, "x"), {"data": {"k": "once more"}}, "other-operator")
    assert lab.run(job)["app"].changes == []
    assert lab.api.get(path(space, "x"))["data"] == {"k": "once more"}
    lab.now += 301
    assert lab.run(job)["app"].count("configured") == 1
    assert lab.receipts["app"].contested == ()
    assert lab.api.get(path(space, "x"))["data"] == {"k": "v"}


def test_a_restored_store_is_compared_in_full(lab: Lab, space: str) -> None:
    job = lab.job(APP, config_map("x", space))
    lab.run(job)
    assert lab.mark
    lab.mark = replace(lab.mark, version=lab.mark.version + 1_000_000)
    lab.alter("app", f"/ConfigMap/{space}/x", uid="another")
    done = lab.run(job)["app"]
    assert (done.unchanged, done.wrote) == (1, False)


def test_a_tenants_sync_can_do_what_its_account_can_and_no_more(lab: Lab, real: Api, space: str) -> None:
    if lab.api != real:
        pytest.skip("permissions are the real one's business")
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space}"
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "deployer"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}],
    }  # fmt: skip
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "deployer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deployer"},
        "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": space}],
    }  # fmt: skip
    assert real.send("POST", f"{rbac}/roles", role).status == 201
    assert real.send("POST", f"{rbac}/rolebindings", binding).status == 201
    account = f"system:serviceaccount:{space}:deployer"
    allowed = lab.run(lab.job(APP, config_map("x", space), account=account))["app"]
    assert (allowed.errors, allowed.count("created")) == ([], 1)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": space}}
    refused = lab.run(lab.job(APP, config_map("x", space), secret, account=account))["app"]
    assert "deployer" in refused.errors[0]
    assert "forbidden" in refused.errors[0]
    elsewhere = lab.run(lab.job(APP, config_map("x", "default"), account=account))["app"]
    assert "forbidden" in elsewhere.errors[0]
