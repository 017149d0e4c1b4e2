"""JSON patch, and managedFields that a client writes itself: how ownership moves from other managers to one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.objects import config_map, deployment, deployments, entry, managers, maps
from tests.support.api import JSON_PATCH, Api

OURS = {"f:data": {"f:k": {}, "f:x": {}}, "f:metadata": {"f:labels": {"f:l": {}}}}
REJECTED = "the server rejected our request due to an error in our request"


def op(verb: str, path: str, *value: Any) -> dict[str, Any]:
    return {"op": verb, "path": path, **({"value": value[0]} if value else {})}


def owns(fields: dict[str, Any], manager: str = "fleetbeat", operation: str = "Apply", **more: Any) -> dict[str, Any]:
    time = {"time": "2024-01-01T00:00:00Z"}
    kind = {"apiVersion": "v1", "fieldsType": "FieldsV1"}
    return {"manager": manager, "operation": operation, **kind, **time, "fieldsV1": fields, **more}


@pytest.fixture
def path(api: Api, namespace: str) -> str:
    """A ConfigMap that another manager made."""
    body = config_map("a", namespace, {"k": "1", "x": "y"}, labels={"l": "1"})
    assert api.send("POST", maps(namespace), body, fieldManager="helm").status == 201
    return maps(namespace, "a")


@pytest.mark.parametrize(
    ("operations", "data"),
    [
        ([op("add", "/data/new", "2")], {"k": "1", "x": "y", "new": "2"}),
        ([op("replace", "/data/k", "2")], {"k": "2", "x": "y"}),
        ([op("remove", "/data/x")], {"k": "1"}),
        ([op("test", "/data/k", "1"), op("replace", "/data", {"z": "1"})], {"z": "1"}),
        ([op("replace", "/data/absent", "1")], {"k": "1", "x": "y", "absent": "1"}),
        ([op("test", "/data/absent", None)], {"k": "1", "x": "y"}),
        ([], {"k": "1", "x": "y"}),
    ],
)
def test_json_patch_changes_what_it_names(
    api: Api, path: str, operations: list[dict[str, Any]], data: dict[str, str]
) -> None:
    answer = api.json_patch(path, *operations)
    assert answer.status == 200, answer.text
    assert answer.json["data"] == data == api.get(path)["data"]


@pytest.mark.parametrize(
    "operations",
    [
        [op("replace", "/data/k", "2"), op("test", "/data/k", "1")],
        [op("test", "/data/absent", "1")],
        [op("test", "/metadata/resourceVersion", "1")],
        [op("add", "/absent/k", "1")],
        [op("replace", "/absent/k", "1")],
        [op("remove", "/absent/k")],
        [op("remove", "/data/absent")],
        [op("add", "/data/k/deeper", "1")],
        [op("frob", "/data/k", "1")],
    ],
)
def test_a_json_patch_that_does_not_fit_is_rejected_whole(
    api: Api, path: str, operations: list[dict[str, Any]]
) -> None:
    before = api.get(path)
    answer = api.json_patch(path, *operations)
    assert (answer.status, answer.json["reason"], answer.json["message"]) == (422, "Invalid", REJECTED)
    assert api.get(path) == before


def test_a_json_patch_is_a_list_and_its_object_exists(api: Api, namespace: str, path: str) -> None:
    assert api.send("PATCH", path, {"op": "add"}, JSON_PATCH).status == 400
    absent = api.json_patch(maps(namespace, "absent"), op("add", "/data/k", "1"))
    assert (absent.status, absent.json["reason"]) == (404, "NotFound")


def test_a_json_patch_reaches_into_lists(api: Api, namespace: str) -> None:
    body = deployment("web", namespace)
    body["spec"]["template"]["spec"]["containers"][0]["args"] = ["1", "2"]
    path = deployments(namespace, "web")
    api.apply(path, body)
    first = "/spec/template/spec/containers/0"
    done = api.json_patch(
        path,
        op("replace", f"{first}/image", "web:2"),
        op("add", f"{first}/args/1", "middle"),
        op("remove", f"{first}/args/0"),
        op("add", f"{first}/args/-", "last"),
    ).json
    (container,) = done["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["args"]) == ("web:2", ["middle", "2", "last"])
    assert done["metadata"]["generation"] == 2
    for wrong in (op("replace", f"{first}/args/7", "x"), op("remove", f"{first}/args/-")):
        assert api.json_patch(path, wrong).status == 422


def test_slashes_in_names_are_escaped(api: Api, path: str) -> None:
    api.json_patch(path, op("add", "/metadata/annotations", {"example.com/a": "1"}))
    done = api.json_patch(path, op("replace", "/metadata/annotations/example.com~1a", "2"))
    assert done.json["metadata"]["annotations"] == {"example.com/a": "2"}


def test_a_json_patch_owns_what_it_changes(api: Api, path: str) -> None:
    done = api.json_patch(path, op("replace", "/data/k", "2"), manager="editor").json
    assert entry(done, "editor", "Update")["fieldsV1"] == {"f:data": {"f:k": {}}}
    assert entry(done, "helm", "Update")["fieldsV1"]["f:data"] == {".": {}, "f:x": {}}


def test_a_replaced_version_is_a_precondition(api: Api, path: str) -> None:
    version = api.get(path)["metadata"]["resourceVersion"]
    change = op("replace", "/data/k", "2")
    stale = api.json_patch(path, op("replace", "/metadata/resourceVersion", "1"), change)
    assert (stale.status, stale.json["reason"]) == (409, "Conflict")
    assert api.json_patch(path, op("replace", "/metadata/resourceVersion", "1"), dryRun="All").status == 409
    assert api.json_patch(path, op("replace", "/metadata/resourceVersion", version), change).status == 200


def test_a_dry_run_of_a_json_patch_changes_nothing(api: Api, path: str) -> None:
    before = api.get(path)
    rows = op("replace", "/metadata/managedFields", [{}])
    dry = api.json_patch(path, op("replace", "/data/k", "2"), rows, dryRun="All").json
    assert (dry["data"]["k"], dry["metadata"].get("managedFields")) == ("2", None)
    assert api.get(path) == before


def test_fields_are_moved_to_us_and_the_next_apply_removes_what_it_does_not_name(
    api: Api, namespace: str, path: str
) -> None:
    version = api.get(path)["metadata"]["resourceVersion"]
    moved = api.json_patch(
        path,
        op("replace", "/metadata/managedFields", [owns(OURS)]),
        op("replace", "/metadata/resourceVersion", version),
    )
    assert moved.status == 200
    assert moved.json["metadata"]["managedFields"] == [owns(OURS)]
    assert moved.json["metadata"]["resourceVersion"] != version
    assert moved.json["data"] == {"k": "1", "x": "y"}
    done = api.apply(path, config_map("a", namespace, {"k": "1"}), "fleetbeat").json
    assert done["data"] == {"k": "1"}
    assert not done["metadata"].get("labels")
    assert managers(done) == {("fleetbeat", "Apply")}


def test_a_field_that_another_still_owns_stays(api: Api, namespace: str, path: str) -> None:
    rows = [owns(OURS), owns({"f:data": {"f:x": {}}}, "other", "Update")]
    api.json_patch(path, op("replace", "/metadata/managedFields", rows))
    assert api.apply(path, config_map("a", namespace, {"k": "1"}), "fleetbeat").json["data"] == {"k": "1", "x": "y"}


def test_who_changes_a_field_in_the_same_patch_owns_it_beside_the_rows_given(api: Api, path: str) -> None:
    rows = op("replace", "/metadata/managedFields", [owns(OURS)])
    done = api.json_patch(path, rows, op("add", "/data/new", "1"), manager="editor").json
    assert managers(done) == {("fleetbeat", "Apply"), ("editor", "Update")}
    assert entry(done, "fleetbeat")["fieldsV1"] == OURS
    assert entry(done, "editor", "Update")["fieldsV1"] == {"f:data": {"f:new": {}}}


@pytest.mark.parametrize("rows", [[], [{}]])
@pytest.mark.parametrize("way", ["json", "merge", "put"])
def test_an_empty_list_resets_and_edits_stay_unowned_until_the_first_apply(
    api: Api, namespace: str, path: str, way: str, rows: list[Any]
) -> None:
    match way:
        case "json":
            done = api.json_patch(path, op("replace", "/metadata/managedFields", rows))
        case "merge":
            done = api.merge(path, {"metadata": {"managedFields": rows}})
        case _:
            live = api.get(path)
            done = api.send("PUT", path, {**live, "metadata": {**live["metadata"], "managedFields": rows}})
    assert done.status == 200
    assert "managedFields" not in done.json["metadata"]
    edited = api.merge(path, {"data": {"new": "1"}}).json
    assert "managedFields" not in edited["metadata"]
    applied = api.apply(path, config_map("a", namespace, {"k": "1"})).json
    assert applied["data"] == {"k": "1", "x": "y", "new": "1"}
    assert entry(applied, "contract")["fieldsV1"] == {"f:data": {"f:k": {}}}
    assert entry(applied, "before-first-apply", "Update")["fieldsV1"] == {
        "f:data": {".": {}, "f:k": {}, "f:new": {}, "f:x": {}},
        "f:metadata": {"f:labels": {".": {}, "f:l": {}}},
    }
    other = api.apply(path, config_map("a", namespace, {"x": "z"}), "other", force=False)
    (cause,) = other.json["details"]["causes"]
    assert cause["message"] == 'conflict with "before-first-apply" using v1'


@pytest.mark.parametrize("way", ["merge", "put"])
def test_rows_are_taken_from_a_merge_patch_and_from_a_put_too(api: Api, path: str, way: str) -> None:
    live = api.get(path)
    if way == "merge":
        done = api.merge(path, {"metadata": {"managedFields": [owns(OURS)]}})
    else:
        done = api.send("PUT", path, {**live, "metadata": {**live["metadata"], "managedFields": [owns(OURS)]}})
    assert done.json["metadata"]["managedFields"] == [owns(OURS)]


def test_no_rows_at_all_keep_those_that_are_there(api: Api, path: str) -> None:
    live = api.get(path)
    kept = live["metadata"]["managedFields"]
    assert api.json_patch(path, op("remove", "/metadata/managedFields")).json["metadata"]["managedFields"] == kept
    assert api.merge(path, {"metadata": {"managedFields": None}}).json["metadata"]["managedFields"] == kept
    without = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    assert api.send("PUT", path, {**live, "metadata": without}).json["metadata"]["managedFields"] == kept


@pytest.mark.parametrize(
    "broken",
    [
        owns(OURS, operation="Frob"),
        {key: value for key, value in owns(OURS).items() if key != "operation"},
        {key: value for key, value in owns(OURS).items() if key != "fieldsType"},
        {key: value for key, value in owns(OURS).items() if key != "apiVersion"},
        owns({"data": {}}),
    ],
)
def test_broken_rows_change_nothing(api: Api, path: str, broken: dict[str, Any]) -> None:
    before = api.get(path)
    assert api.json_patch(path, op("replace", "/metadata/managedFields", [broken])).status == 200
    assert api.get(path) == before


@pytest.mark.parametrize(
    ("row", "left"),
    [
        (owns({}), None),
        (owns(OURS, apiVersion="v2"), None),
        (owns({"f:data": {"f:absent": {}}}), [owns({"f:data": {"f:absent": {}}})]),
        (owns({"f:data": {".": {}, "f:k": {}}}), [owns({"f:data": {".": {}, "f:k": {}}})]),
    ],
)
def test_rows_without_fields_or_of_an_unknown_version_go_and_unknown_fields_stay(
    api: Api, path: str, row: dict[str, Any], left: list[Any] | None
) -> None:
    done = api.json_patch(path, op("replace", "/metadata/managedFields", [row]))
    assert done.json["metadata"].get("managedFields") == left


def test_rows_given_to_a_create_are_taken(api: Api, namespace: str) -> None:
    made = api.send("POST", maps(namespace), config_map("b", namespace, {"k": "1"}, managedFields=[owns(OURS)])).json
    assert entry(made, "contract", "Update")["fieldsV1"] == {"f:data": {".": {}, "f:k": {}}}
    assert entry(made, "fleetbeat")["fieldsV1"] == {"f:data": {"f:x": {}}, "f:metadata": {"f:labels": {"f:l": {}}}}


def test_rows_given_to_a_subresource_are_not_taken(api: Api, namespace: str) -> None:
    path = deployments(namespace, "web")
    made = api.apply(path, deployment("web", namespace)).json
    rows = op("replace", "/metadata/managedFields", [{}])
    done = api.json_patch(
        path + "/status", rows, op("add", "/status", {"observedGeneration": 3}), manager="controller"
    ).json
    assert entry(done, "contract") == entry(made, "contract")
    assert entry(done, "controller", "Update")["fieldsV1"] == {"f:status": {"f:observedGeneration": {}}}


def test_a_namespace_applied_with_nothing_in_it_has_no_managers_until_it_is_applied_again(
    api: Api, namespace: str
) -> None:
    name = f"{namespace}-bare"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    made = api.apply(f"/api/v1/namespaces/{name}", body)
    assert (made.status, made.json["metadata"].get("managedFields")) == (201, None)
    again = api.apply(f"/api/v1/namespaces/{name}", body).json
    assert entry(again, "before-first-apply", "Update")["fieldsV1"] == {
        "f:metadata": {"f:labels": {".": {}, "f:kubernetes.io/metadata.name": {}}},
        "f:spec": {"f:finalizers": {}},
    }
