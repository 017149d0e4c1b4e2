"""A resourceVersion or a uid in the body: create only if absent, and never over what somebody else wrote."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.objects import (
    CRD,
    WITH_AND_WITHOUT_EFFECT,
    config_map,
    crd,
    deployment,
    maps,
    path_of,
    thing,
    with_meta,
)
from tests.support.api import Api

KINDS = ["configmaps", "deployments", "namespaces", "clusterroles", "services", "widgets"]


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, api: Api, namespace: str) -> tuple[str, dict[str, Any]]:
    """(path, body) of an object that is not there, of built-in and custom kinds, with and without a namespace."""
    plural = str(request.param)
    group = f"{namespace}.example.com"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    body = {
        "configmaps": config_map("a", namespace, {"k": "1"}),
        "deployments": deployment("a", namespace),
        "namespaces": thing("v1", "Namespace", f"{namespace}-a"),
        "clusterroles": thing("rbac.authorization.k8s.io/v1", "ClusterRole", f"{namespace}-a", rules=rules),
        "services": thing("v1", "Service", "a", namespace, spec={"ports": [{"port": 80}]}),
        "widgets": thing(f"{group}/v1", "Widget", "a", namespace, spec={"size": 1}),
    }[plural]
    if plural == "widgets":
        assert api.apply(f"{CRD}/widgets.{group}", crd(group)).status == 201
        api.until("served", lambda: api.send("GET", path_of(body, plural).rpartition("/")[0]).status == 200)
    return path_of(body, plural), with_meta(body, labels={"app": "a"})


def test_apply_with_a_version_creates_what_is_absent_and_touches_nothing_that_is_there(
    api: Api, target: tuple[str, dict[str, Any]]
) -> None:
    path, body = target
    only_if_absent = with_meta(body, resourceVersion="1")
    dry = api.apply(path, only_if_absent, dryRun="All")
    assert (dry.status, dry.json["metadata"]["resourceVersion"]) == (201, "1")
    assert api.send("GET", path).status == 404
    made = api.apply(path, only_if_absent)
    assert made.status == 201, made.text
    assert made.json["metadata"]["resourceVersion"] != "1"
    for query in WITH_AND_WITHOUT_EFFECT:
        refused = api.apply(path, only_if_absent, **query)
        assert (refused.status, refused.json["reason"]) == (409, "Conflict")
        assert refused.json["message"].endswith(
            "the object has been modified; please apply your changes to the latest version and try again"
        )


def test_apply_with_a_uid_creates_nothing_and_changes_no_other_object(
    api: Api, target: tuple[str, dict[str, Any]]
) -> None:
    path, body = target
    other = with_meta(body, uid="not-this-one")
    for query in WITH_AND_WITHOUT_EFFECT:
        absent = api.apply(path, other, **query)
        assert (absent.status, absent.json["reason"]) == (409, "Conflict")
        assert absent.json["message"].endswith(
            "uid mismatch: the provided object specified uid not-this-one, and no existing object was found"
        )
    assert api.send("GET", path).status == 404
    made = api.apply(path, body).json
    there = api.apply(path, other)
    assert (there.status, there.json["reason"]) == (422, "Invalid")
    assert {(cause["reason"], cause["message"], cause["field"]) for cause in there.json["details"]["causes"]} == {
        ("FieldValueInvalid", 'Invalid value: "not-this-one": field is immutable', "metadata.uid")
    }
    assert api.apply(path, with_meta(body, uid=made["metadata"]["uid"])).status == 200


def test_both_at_once_are_refused_for_the_version_first(api: Api, namespace: str) -> None:
    body = config_map("a", namespace, {"k": "1"})
    api.apply(maps(namespace, "a"), body)
    assert api.apply(maps(namespace, "a"), with_meta(body, uid="x", resourceVersion="1")).status == 409


def test_version_zero_is_no_precondition_and_a_word_is_an_error(api: Api, namespace: str) -> None:
    body = config_map("a", namespace, {"k": "1"})
    assert api.apply(maps(namespace, "a"), with_meta(body, resourceVersion="0")).status == 201
    assert api.apply(maps(namespace, "a"), with_meta(body, resourceVersion="0")).status == 200
    assert api.apply(maps(namespace, "a"), with_meta(body, resourceVersion="abc")).status == 500


def test_a_conflict_between_managers_is_told_before_a_stale_version(api: Api, namespace: str) -> None:
    api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "1"}))
    stale = config_map("a", namespace, {"k": "2"}, resourceVersion="1")
    refused = api.apply(maps(namespace, "a"), stale, "other", force=False)
    assert [cause["reason"] for cause in refused.json["details"]["causes"]] == ["FieldManagerConflict"]


def test_a_label_is_taken_off_only_from_the_version_that_was_read(api: Api, namespace: str) -> None:
    read = api.send("POST", maps(namespace), config_map("a", namespace, labels={"go": "1", "stay": "1"})).json
    version = read["metadata"]["resourceVersion"]
    api.merge(maps(namespace, "a"), {"data": {"k": "1"}})
    off = {"metadata": {"resourceVersion": version, "labels": {"go": None}}}
    refused = api.merge(maps(namespace, "a"), off)
    assert (refused.status, refused.json["reason"]) == (409, "Conflict")
    off["metadata"]["resourceVersion"] = api.get(maps(namespace, "a"))["metadata"]["resourceVersion"]
    assert api.merge(maps(namespace, "a"), off).json["metadata"]["labels"] == {"stay": "1"}


def test_a_stale_version_is_a_conflict_even_when_nothing_would_change(api: Api, namespace: str) -> None:
    api.send("POST", maps(namespace), config_map("a", namespace))
    assert api.merge(maps(namespace, "a"), {"metadata": {"resourceVersion": "1"}}).status == 409


def test_a_put_over_another_uid_is_a_conflict_and_a_patch_is_invalid(api: Api, namespace: str) -> None:
    api.send("POST", maps(namespace), config_map("a", namespace))
    put = api.send("PUT", maps(namespace, "a"), config_map("a", namespace, uid="x"))
    assert (put.status, put.json["reason"]) == (409, "Conflict")
    assert "Precondition failed: UID in precondition: x" in put.json["message"]
    patch = api.merge(maps(namespace, "a"), {"metadata": {"uid": "x"}})
    assert (patch.status, patch.json["details"]["causes"][0]["field"]) == (422, "metadata.uid")


def test_a_create_takes_no_version_and_gives_its_own_uid(api: Api, namespace: str) -> None:
    refused = api.send("POST", maps(namespace), config_map("a", namespace, resourceVersion="1"))
    assert (refused.status, refused.json["message"]) == (
        500,
        "resourceVersion should not be set on objects to be created",
    )
    made = api.send("POST", maps(namespace), config_map("a", namespace, uid="x"))
    assert made.status == 201
    assert made.json["metadata"]["uid"] != "x"
