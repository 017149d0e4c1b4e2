"""What the simulator covers, and nothing else: each promise is kept by a real API server too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.objects import CRD, SERVICES, config_map, crd, deployment, deployments, entry, managers, maps
from tests.support.api import DISCOVERY, METADATA, Api


def test_version_and_readiness_are_answered(api: Api) -> None:
    assert api.get("/version")["gitVersion"].startswith("v1.37.")
    assert api.send("GET", "/readyz").text == "ok"


def test_a_wrong_token_is_unauthorized(api: Api) -> None:
    answer = api.raw("GET", "/api/v1/namespaces", {"Authorization": "Bearer wrong"})
    assert (answer.status, answer.json["reason"]) == (401, "Unauthorized")


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_discovery_is_aggregated_and_unchanged_discovery_is_304(api: Api, path: str) -> None:
    first = api.send("GET", path, accept=DISCOVERY)
    assert first.json["kind"] == "APIGroupDiscoveryList"
    headers = {"Authorization": f"Bearer {api.token}", "Accept": DISCOVERY, "If-None-Match": first.headers["etag"]}
    assert api.raw("GET", path, headers).status == 304


def test_discovery_names_scope_verbs_and_kind(api: Api) -> None:
    groups = {
        (item["metadata"].get("name") or ""): item
        for path in ("/api", "/apis")
        for item in api.send("GET", path, accept=DISCOVERY).json["items"]
    }
    core = {row["resource"]: row for row in groups[""]["versions"][0]["resources"]}
    assert core["namespaces"]["scope"] == "Cluster"
    assert core["configmaps"]["scope"] == "Namespaced"
    assert core["configmaps"]["responseKind"] == {"group": "", "version": "", "kind": "ConfigMap"}
    assert {"get", "list", "create", "patch", "delete"} <= set(core["configmaps"]["verbs"])
    assert groups["apps"]["versions"][0]["freshness"] == "Current"


def test_an_apiservice_without_its_service_makes_the_group_stale_and_503(api: Api) -> None:
    name = "v1.dead.example.com"
    spec = {
        "group": "dead.example.com",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"name": "gone", "namespace": "default"},
        "insecureSkipTLSVerify": True,
    }
    body = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}, "spec": spec}
    assert api.apply(f"{SERVICES}/{name}", body).status == 201

    def stale() -> bool:
        items = api.send("GET", "/apis", accept=DISCOVERY).json["items"]
        found = [item for item in items if item["metadata"].get("name") == "dead.example.com"]
        return bool(found) and found[0]["versions"][0]["freshness"] == "Stale"

    def condition() -> dict[str, Any] | None:
        rows = api.get(f"{SERVICES}/{name}").get("status", {}).get("conditions") or []
        return next((row for row in rows if row["type"] == "Available"), None)

    try:
        api.until("the group is stale", stale)
        assert api.send("GET", "/apis/dead.example.com/v1/things").status == 503
        api.until("it says why", lambda: (condition() or {}).get("reason") == "ServiceNotFound")
    finally:
        assert api.send("DELETE", f"{SERVICES}/{name}").status == 200
    api.until("the group is gone", lambda: not stale())


def test_create_gives_uid_version_and_time_and_a_second_one_already_exists(api: Api, namespace: str) -> None:
    made = api.send("POST", maps(namespace), config_map("a", namespace, {"k": "v"}))
    meta = made.json["metadata"]
    assert made.status == 201
    assert meta["uid"]
    assert meta["resourceVersion"]
    assert meta["creationTimestamp"].endswith("Z")
    again = api.send("POST", maps(namespace), config_map("a", namespace))
    assert (again.status, again.json["reason"]) == (409, "AlreadyExists")


def test_what_is_not_there_is_not_found_by_name(api: Api, namespace: str) -> None:
    answer = api.send("GET", maps(namespace, "gone"))
    assert (answer.status, answer.json["reason"]) == (404, "NotFound")
    assert answer.json["details"] == {"name": "gone", "kind": "configmaps"}
    assert api.send("GET", "/apis/nowhere.example.com/v1/things").status == 404


def test_a_missing_namespace_is_named(api: Api) -> None:
    answer = api.apply(maps("no-such-place", "a"), config_map("a", "no-such-place"))
    assert answer.status == 404
    assert answer.json["message"] == 'namespaces "no-such-place" not found'


def test_namespaces_carry_their_name_as_a_label(api: Api, namespace: str) -> None:
    body = api.get(f"/api/v1/namespaces/{namespace}")
    assert body["metadata"]["labels"]["kubernetes.io/metadata.name"] == namespace
    assert body["status"]["phase"] == "Active"
    assert body["spec"]["finalizers"] == ["kubernetes"]


def test_a_deleted_namespace_terminates_and_takes_nothing_new(api: Api, namespace: str) -> None:
    pinned = config_map("pinned", namespace)
    assert api.send("POST", maps(namespace), pinned).status == 201
    answer = api.send("DELETE", f"/api/v1/namespaces/{namespace}")
    assert answer.status == 200
    assert answer.json["status"]["phase"] == "Terminating"
    refused = api.apply(maps(namespace, "late"), config_map("late", namespace))
    assert (refused.status, refused.json["reason"]) == (403, "Forbidden")


def test_put_moves_the_version_and_a_stale_version_is_a_conflict(api: Api, namespace: str) -> None:
    made = api.send("POST", maps(namespace), config_map("a", namespace, {"k": "1"})).json
    moved = api.send("PUT", maps(namespace, "a"), {**made, "data": {"k": "2"}})
    assert moved.status == 200
    assert moved.json["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    late = api.send("PUT", maps(namespace, "a"), {**made, "data": {"k": "3"}})
    assert (late.status, late.json["reason"]) == (409, "Conflict")
    assert api.get(maps(namespace, "a"))["data"] == {"k": "2"}


def test_a_put_without_a_change_keeps_the_version(api: Api, namespace: str) -> None:
    made = api.send("POST", maps(namespace), config_map("a", namespace, {"k": "1"})).json
    same = api.send("PUT", maps(namespace, "a"), made).json
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_merge_patch_sets_and_removes(api: Api, namespace: str) -> None:
    api.send("POST", maps(namespace), config_map("a", namespace, {"keep": "1", "drop": "1"}))
    patched = api.merge(maps(namespace, "a"), {"data": {"drop": None, "new": "2"}})
    assert patched.status == 200
    assert patched.json["data"] == {"keep": "1", "new": "2"}


def test_delete_answers_success_and_preconditions_are_kept(api: Api, namespace: str) -> None:
    made = api.send("POST", maps(namespace), config_map("a", namespace)).json
    wrong = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "not-this-one"}}
    refused = api.send("DELETE", maps(namespace, "a"), wrong)
    assert (refused.status, refused.json["reason"]) == (409, "Conflict")
    old = {"uid": made["metadata"]["uid"], "resourceVersion": "1"}
    assert api.send("DELETE", maps(namespace, "a"), {**wrong, "preconditions": old}).status == 409
    right = {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]}
    done = api.send("DELETE", maps(namespace, "a"), {**wrong, "preconditions": right})
    assert (done.status, done.json["status"]) == (200, "Success")
    assert api.send("DELETE", maps(namespace, "a")).status == 404


def test_a_finalizer_keeps_the_object_until_it_is_taken_off(api: Api, namespace: str) -> None:
    api.send("POST", maps(namespace), config_map("a", namespace, finalizers=["example.com/wait"]))
    assert api.send("DELETE", maps(namespace, "a")).status == 200
    assert api.get(maps(namespace, "a"))["metadata"]["deletionTimestamp"]
    api.merge(maps(namespace, "a"), {"metadata": {"finalizers": None}})
    assert api.send("GET", maps(namespace, "a")).status == 404


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("tier=web", ["a", "b"]),
        ("tier==web,env=prod", ["a"]),
        ("tier!=web", ["c", "d"]),
        ("env in (prod,test)", ["a", "b"]),
        ("env notin (prod)", ["b", "c", "d"]),
        ("env", ["a", "b"]),
        ("!env", ["c", "d"]),
        ("", ["a", "b", "c", "d"]),
    ],
)
def test_lists_are_picked_by_label(api: Api, namespace: str, selector: str, names: list[str]) -> None:
    rows = {"a": {"tier": "web", "env": "prod"}, "b": {"tier": "web", "env": "test"}, "c": {"tier": "db"}, "d": {}}
    for name, labels in rows.items():
        body = config_map(name, namespace, labels=labels)
        assert api.send("POST", maps(namespace), body).status == 201
    answer = api.send("GET", maps(namespace), labelSelector=selector).json
    assert answer["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in answer["items"] if item["metadata"]["name"] in rows] == names


def test_a_selector_that_is_none_is_a_bad_request(api: Api, namespace: str) -> None:
    assert api.send("GET", maps(namespace), labelSelector="a in b").status == 400


def test_lists_come_in_pages(api: Api, namespace: str) -> None:
    for name in ("a", "b", "c"):
        api.send("POST", maps(namespace), config_map(name, namespace))
    first = api.send("GET", maps(namespace), limit="2").json
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    token = first["metadata"]["continue"]
    rest = api.send("GET", maps(namespace), **{"limit": "2", "continue": token}).json
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c"]
    assert not rest["metadata"].get("continue")


def test_metadata_only_lists_carry_managed_fields_and_no_content(api: Api, namespace: str) -> None:
    api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "v"}))
    answer = api.send("GET", maps(namespace), accept=METADATA).json
    assert answer["kind"] == "PartialObjectMetadataList"
    (item,) = [item for item in answer["items"] if item["metadata"]["name"] == "a"]
    assert "data" not in item
    assert entry(item, "contract")["fieldsV1"] == {"f:data": {"f:k": {}}}


def test_apply_creates_with_201_and_repeats_with_200_and_the_same_version(api: Api, namespace: str) -> None:
    body = config_map("a", namespace, {"k": "v"}, labels={"app": "a"})
    first, second = api.apply(maps(namespace, "a"), body), api.apply(maps(namespace, "a"), body)
    assert (first.status, second.status) == (201, 200)
    assert second.json["metadata"]["resourceVersion"] == first.json["metadata"]["resourceVersion"]
    fields = entry(first.json, "contract")["fieldsV1"]
    assert fields == {"f:data": {"f:k": {}}, "f:metadata": {"f:labels": {"f:app": {}}}}


def test_apply_owns_list_items_by_their_keys(api: Api, namespace: str) -> None:
    body = deployment("web", namespace)
    body["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    made = api.apply(deployments(namespace, "web"), body)
    assert made.status == 201, made.text
    fields = entry(made.json, "contract")["fieldsV1"]
    assert fields["f:spec"] == {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {
                "f:containers": {
                    'k:{"name":"web"}': {
                        ".": {},
                        "f:image": {},
                        "f:name": {},
                        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                    }
                }
            },
        },
    }


def test_apply_removes_what_the_manager_no_longer_wants(api: Api, namespace: str) -> None:
    api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "v", "old": "v"}, labels={"app": "a"}))
    left = api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "v"})).json
    assert left["data"] == {"k": "v"}
    assert not left["metadata"].get("labels")


def test_apply_leaves_what_others_own(api: Api, namespace: str) -> None:
    api.apply(maps(namespace, "a"), config_map("a", namespace, {"mine": "1"}))
    api.apply(maps(namespace, "a"), config_map("a", namespace, {"theirs": "2"}), "other")
    both = api.apply(maps(namespace, "a"), config_map("a", namespace, {"mine": "3"})).json
    assert both["data"] == {"mine": "3", "theirs": "2"}


def test_a_field_that_two_apply_alike_is_shared_and_stays_until_both_let_go(api: Api, namespace: str) -> None:
    body = config_map("a", namespace, {"shared": "1", "own": "1"})
    api.apply(maps(namespace, "a"), body)
    shared = api.apply(maps(namespace, "a"), config_map("a", namespace, {"shared": "1"}), "other", force=False)
    assert shared.status == 200
    first = api.apply(maps(namespace, "a"), config_map("a", namespace, {"own": "1"})).json
    assert first["data"] == {"own": "1", "shared": "1"}
    second = api.apply(maps(namespace, "a"), config_map("a", namespace, {}), "other").json
    assert second["data"] == {"own": "1"}


def test_another_value_is_a_conflict_that_names_manager_and_field(api: Api, namespace: str) -> None:
    api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "1"}))
    refused = api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "2"}), "other", force=False)
    assert (refused.status, refused.json["reason"]) == (409, "Conflict")
    (cause,) = refused.json["details"]["causes"]
    assert cause == {"reason": "FieldManagerConflict", "message": 'conflict with "contract"', "field": ".data.k"}
    assert "contract" in refused.json["message"]
    assert api.get(maps(namespace, "a"))["data"] == {"k": "1"}


def test_several_conflicts_are_told_by_manager(api: Api, namespace: str) -> None:
    api.send("POST", maps(namespace), config_map("a", namespace, {"k": "1"}, labels={"m": "1"}))
    api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "1"}), "ours")
    wanted = config_map("a", namespace, {"k": "2"}, labels={"m": "2"})
    refused = api.apply(maps(namespace, "a"), wanted, "other", force=False)
    assert refused.json["message"] == (
        'Apply failed with 3 conflicts: conflicts with "contract" using v1:\n- .data.k\n- .metadata.labels.m\n'
        'conflicts with "ours":\n- .data.k'
    )
    assert len(refused.json["details"]["causes"]) == 3


def test_a_map_that_is_gone_is_still_its_makers_until_it_is_put_back(api: Api, namespace: str) -> None:
    api.send("POST", maps(namespace), config_map("a", namespace, {"k": "1"}, labels={"l": "1"}))
    with_label = config_map("a", namespace, {"k": "1"}, labels={"l": "2"})
    api.apply(maps(namespace, "a"), with_label, "ours")
    dropped = api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "1"}), "ours").json
    assert not dropped["metadata"].get("labels")
    assert entry(dropped, "contract", "Update")["fieldsV1"]["f:metadata"] == {"f:labels": {}}
    (cause,) = api.apply(maps(namespace, "a"), with_label, "ours", force=False).json["details"]["causes"]
    assert cause["field"] == ".metadata.labels"
    forced = api.apply(maps(namespace, "a"), with_label, "ours").json
    assert "f:metadata" not in entry(forced, "contract", "Update")["fieldsV1"]


def test_a_conflict_with_an_edit_says_in_which_version(api: Api, namespace: str) -> None:
    api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "1"}))
    api.merge(maps(namespace, "a"), {"data": {"k": "2"}})
    refused = api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "3"}), force=False)
    (cause,) = refused.json["details"]["causes"]
    assert cause["message"] == 'conflict with "kubectl-edit" using v1'


def test_force_takes_the_field_over(api: Api, namespace: str) -> None:
    api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "1"}))
    taken = api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "2"}), "other").json
    assert taken["data"] == {"k": "2"}
    assert managers(taken) == {("other", "Apply")}


def test_an_edit_by_hand_takes_the_field_from_the_applier_and_names_the_editor(api: Api, namespace: str) -> None:
    api.apply(deployments(namespace, "web"), deployment("web", namespace))
    edited = api.merge(deployments(namespace, "web"), {"spec": {"replicas": 5}}).json
    assert entry(edited, "kubectl-edit", "Update")["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in entry(edited, "contract")["fieldsV1"]["f:spec"]
    back = api.apply(deployments(namespace, "web"), deployment("web", namespace)).json
    assert back["spec"]["replicas"] == 2
    assert managers(back) == {("contract", "Apply")}


def test_an_update_owns_maps_themselves_too(api: Api, namespace: str) -> None:
    made = api.send("POST", maps(namespace), config_map("a", namespace, {"k": "v"}, labels={"app": "a"})).json
    assert entry(made, "contract", "Update")["fieldsV1"] == {
        "f:data": {".": {}, "f:k": {}},
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
    }


def test_an_item_added_by_another_stays_and_an_item_no_longer_wanted_goes(api: Api, namespace: str) -> None:
    body = deployment("web", namespace)
    body["spec"]["template"]["spec"]["containers"].append({"name": "extra", "image": "extra:1"})
    api.apply(deployments(namespace, "web"), body)
    sidecar = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace}}
    sidecar["spec"] = {"template": {"spec": {"containers": [{"name": "sidecar", "image": "side:1"}]}}}
    api.apply(deployments(namespace, "web"), sidecar, "injector")
    left = api.apply(deployments(namespace, "web"), deployment("web", namespace, "web:2")).json
    found = {item["name"]: item["image"] for item in left["spec"]["template"]["spec"]["containers"]}
    assert found == {"web": "web:2", "sidecar": "side:1"}


def test_generation_moves_with_the_spec_and_not_with_labels(api: Api, namespace: str) -> None:
    made = api.apply(deployments(namespace, "web"), deployment("web", namespace)).json
    assert made["metadata"]["generation"] == 1
    labelled = api.merge(deployments(namespace, "web"), {"metadata": {"labels": {"a": "b"}}}).json
    assert labelled["metadata"]["generation"] == 1
    scaled = api.merge(deployments(namespace, "web"), {"spec": {"replicas": 3}}).json
    assert scaled["metadata"]["generation"] == 2
    configured = api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "1"})).json
    assert "generation" not in configured["metadata"]


def test_a_status_is_written_through_its_subresource_only(api: Api, namespace: str) -> None:
    api.apply(deployments(namespace, "web"), deployment("web", namespace))
    ignored = api.merge(deployments(namespace, "web"), {"status": {"replicas": 9}}).json
    assert ignored.get("status", {}).get("replicas") != 9
    path = deployments(namespace, "web") + "/status"
    written = api.merge(path, {"status": {"observedGeneration": 41}}, "controller").json
    assert written["status"]["observedGeneration"] == 41
    assert written["metadata"]["generation"] == 1
    assert entry(written, "controller", "Update")["subresource"] == "status"


@pytest.mark.parametrize("verb", ["create", "apply", "merge", "delete"])
def test_a_dry_run_answers_and_changes_nothing(api: Api, namespace: str, verb: str) -> None:
    before = api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "1"})).json
    changed = config_map("a", namespace, {"k": "2"})
    match verb:
        case "create":
            answer = api.send("POST", maps(namespace), config_map("b", namespace), dryRun="All")
        case "apply":
            answer = api.apply(maps(namespace, "a"), changed, dryRun="All")
            assert answer.json["data"] == {"k": "2"}
        case "merge":
            answer = api.merge(maps(namespace, "a"), {"data": {"k": "2"}}, dryRun="All")
            assert answer.json["data"] == {"k": "2"}
        case _:
            answer = api.send("DELETE", maps(namespace, "a"), dryRun="All")
    assert answer.status in {200, 201}
    assert api.get(maps(namespace, "a")) == before
    assert api.send("GET", maps(namespace, "b")).status == 404


def test_apply_refuses_a_name_that_is_none(api: Api, namespace: str) -> None:
    answer = api.apply(maps(namespace, "Not_A_Name"), config_map("Not_A_Name", namespace))
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")


def test_apply_refuses_a_field_that_the_kind_does_not_have(api: Api, namespace: str) -> None:
    answer = api.apply(maps(namespace, "a"), {**config_map("a", namespace), "spec": {}}, fieldValidation="Strict")
    assert answer.status == 500
    assert ".spec: field not declared in schema" in answer.json["message"]


def test_apply_refuses_a_list_item_that_stands_twice(api: Api, namespace: str) -> None:
    body = deployment("web", namespace)
    body["spec"]["template"]["spec"]["containers"] *= 2
    answer = api.apply(deployments(namespace, "web"), body)
    assert answer.status == 500
    assert "duplicate entries for key" in answer.json["message"]


def test_apply_needs_a_manager(api: Api, namespace: str) -> None:
    answer = api.send("PATCH", maps(namespace, "a"), config_map("a", namespace), "application/apply-patch+yaml")
    assert answer.status in {400, 422}


def test_apply_with_an_old_version_is_a_conflict(api: Api, namespace: str) -> None:
    body = config_map("a", namespace, {"k": "1"})
    first = api.apply(maps(namespace, "a"), body).json["metadata"]["resourceVersion"]
    api.merge(maps(namespace, "a"), {"data": {"k": "2"}})
    body["metadata"]["resourceVersion"] = first
    answer = api.apply(maps(namespace, "a"), body)
    assert (answer.status, answer.json["reason"]) == (409, "Conflict")


def test_a_crd_is_established_and_serves_its_kind_until_it_is_deleted(api: Api, namespace: str) -> None:
    group = f"{namespace}.example.com"
    path = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    assert api.apply(f"{CRD}/widgets.{group}", crd(group)).status == 201

    def established() -> bool:
        rows = api.get(f"{CRD}/widgets.{group}").get("status", {}).get("conditions") or []
        return any(row["type"] == "Established" and row["status"] == "True" for row in rows)

    api.until("established", established)
    api.until("served", lambda: api.send("GET", path).status == 200)
    api.until("discovered", lambda: f'"{group}"' in api.send("GET", "/apis", accept=DISCOVERY).text)
    widget = {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": namespace},
        "spec": {"size": 1, "list": [1, 2]},
    }
    made = api.apply(f"{path}/w", widget)
    assert made.status == 201, made.text
    assert made.json["metadata"]["generation"] == 1
    moved = api.apply(f"{path}/w", {**widget, "spec": {"size": 2, "list": [1, 2]}}).json
    assert moved["metadata"]["generation"] == 2
    assert api.send("DELETE", f"{CRD}/widgets.{group}").status == 200
    api.until("gone", lambda: api.send("GET", path).status == 404)


def test_a_crd_whose_name_does_not_fit_is_invalid(api: Api, namespace: str) -> None:
    body = crd(f"{namespace}.example.com")
    body["metadata"]["name"] = "other.example.com"
    assert api.apply(f"{CRD}/other.example.com", body).status == 422


def test_an_applier_that_moves_to_another_version_stays_one_and_an_editor_is_two(api: Api, namespace: str) -> None:
    group = f"{namespace}.example.com"
    body = crd(group)
    body["spec"]["versions"].append({**body["spec"]["versions"][0], "name": "v2", "storage": False})
    api.apply(f"{CRD}/widgets.{group}", body)
    one, two = (f"/apis/{group}/{version}/namespaces/{namespace}/widgets/w" for version in ("v1", "v2"))
    api.until("served", lambda: api.send("GET", two.rpartition("/")[0]).status == 200)

    def widget(version: str, **spec: Any) -> dict[str, Any]:
        meta = {"name": "w", "namespace": namespace}
        return {"apiVersion": f"{group}/{version}", "kind": "Widget", "metadata": meta, "spec": spec}

    api.apply(one, widget("v1", size=1, old=1))
    moved = api.apply(two, widget("v2", size=1)).json
    assert moved["apiVersion"] == f"{group}/v2"
    assert moved["spec"] == {"size": 1}
    assert [row["apiVersion"] for row in moved["metadata"]["managedFields"]] == [f"{group}/v2"]
    api.merge(one, {"spec": {"a": 1}})
    edited = api.merge(two, {"spec": {"b": 1}}).json
    rows = [row["apiVersion"] for row in edited["metadata"]["managedFields"] if row["operation"] == "Update"]
    assert rows == [f"{group}/v1", f"{group}/v2"]


def test_one_is_one_point_zero_and_is_not_true(api: Api, namespace: str) -> None:
    group = f"{namespace}.example.com"
    path = f"/apis/{group}/v1/namespaces/{namespace}/widgets/w"
    api.apply(f"{CRD}/widgets.{group}", crd(group))
    api.until("served", lambda: api.send("GET", path.rpartition("/")[0]).status == 200)
    meta = {"name": "w", "namespace": namespace}
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": meta}
    api.apply(path, {**body, "spec": {"size": 1, "list": [1]}})
    shared = api.apply(path, {**body, "spec": {"size": 1.0, "list": [1.0]}}, "other", force=False)
    assert (shared.status, shared.json["metadata"]["generation"]) == (200, 1)
    for wrong in ({"size": True}, {"list": [True]}):
        assert api.apply(path, {**body, "spec": wrong}, "third", force=False).status == 409
