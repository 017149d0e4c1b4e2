"""DELETE: preconditions, finalizers, policies, dry runs, and writes to what is going."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.objects import config_map, deployment, deployments, maps
from tests.support.api import Api

WAITS = "example.com/wait"


@pytest.fixture
def going(api: Api, namespace: str) -> str:
    """A ConfigMap that is deleted and kept by a finalizer."""
    api.send("POST", maps(namespace), config_map("a", namespace, {"k": "1"}, finalizers=[WAITS]))
    assert api.delete(maps(namespace, "a"), propagationPolicy="Background").status == 200
    return maps(namespace, "a")


@pytest.mark.parametrize("finalizers", [[], [WAITS]])
def test_preconditions_are_named_with_what_stands_there(api: Api, namespace: str, finalizers: list[str]) -> None:
    made = api.send("POST", maps(namespace), config_map("a", namespace, finalizers=finalizers)).json["metadata"]
    uid, version = made["uid"], made["resourceVersion"]
    wrong: list[tuple[dict[str, str], str]] = [
        (
            {"uid": "x"},
            (
                f"the UID in the precondition (x) does not match the UID in record ({uid}). "
                "The object might have been deleted and then recreated"
            ),
        ),
        (
            {"uid": uid, "resourceVersion": "1"},
            (
                f"the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({version}). "
                "The object might have been modified"
            ),
        ),
    ]
    for preconditions, why in wrong:
        refused = api.delete(maps(namespace, "a"), preconditions=preconditions)
        assert (refused.status, refused.json["reason"]) == (409, "Conflict")
        assert refused.json["message"] == f'Operation cannot be fulfilled on ConfigMap "a": {why}'
        assert refused.json["details"] == {"name": "a", "kind": "ConfigMap"}
    right = {"uid": uid, "resourceVersion": version}
    done = api.delete(maps(namespace, "a"), preconditions=right, propagationPolicy="Background")
    assert done.status == 200


def test_a_background_deletion_answers_success_with_the_uid(api: Api, namespace: str) -> None:
    made = api.apply(deployments(namespace, "web"), deployment("web", namespace)).json
    done = api.delete(deployments(namespace, "web"), propagationPolicy="Background").json
    assert (done["kind"], done["status"]) == ("Status", "Success")
    uid = made["metadata"]["uid"]
    assert done["details"] == {"name": "web", "group": "apps", "kind": "deployments", "uid": uid}
    assert api.send("GET", deployments(namespace, "web")).status == 404


def test_a_dry_run_of_a_deletion_shows_the_mark_and_sets_none(api: Api, namespace: str) -> None:
    before = api.send("POST", maps(namespace), config_map("a", namespace, finalizers=[WAITS])).json
    dry = api.delete(maps(namespace, "a"), dryRun=["All"], preconditions={"uid": before["metadata"]["uid"]}).json
    assert dry["metadata"]["deletionTimestamp"]
    assert dry["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert api.get(maps(namespace, "a")) == before


def test_a_deletion_with_a_body_does_not_read_the_query(api: Api, namespace: str) -> None:
    api.send("POST", maps(namespace), config_map("a", namespace))
    options = {"apiVersion": "v1", "kind": "DeleteOptions"}
    assert api.send("DELETE", maps(namespace, "a"), options, dryRun="All").status == 200
    assert api.send("GET", maps(namespace, "a")).status == 404


def test_a_finalizer_keeps_the_object_with_its_mark(api: Api, going: str) -> None:
    first = api.get(going)["metadata"]
    assert first["deletionTimestamp"]
    assert first["deletionGracePeriodSeconds"] == 0
    again = api.delete(going, preconditions={"uid": first["uid"]})
    assert again.status == 200
    assert again.json["metadata"]["resourceVersion"] == first["resourceVersion"]
    assert api.delete(going, preconditions={"resourceVersion": "1"}).status == 409


def test_marking_moves_the_version_and_the_generation(api: Api, namespace: str) -> None:
    body = deployment("web", namespace)
    body["metadata"]["finalizers"] = [WAITS]
    before = api.apply(deployments(namespace, "web"), body).json["metadata"]
    after = api.delete(deployments(namespace, "web")).json["metadata"]
    assert (before["generation"], after["generation"]) == (1, 2)
    assert int(after["resourceVersion"]) > int(before["resourceVersion"])
    api.merge(deployments(namespace, "web"), {"metadata": {"finalizers": None}})


@pytest.mark.parametrize("way", ["json", "merge null", "merge empty"])
def test_taking_the_last_finalizer_off_lets_it_go(api: Api, going: str, way: str) -> None:
    match way:
        case "json":
            done = api.json_patch(going, {"op": "remove", "path": "/metadata/finalizers"})
        case "merge null":
            done = api.merge(going, {"metadata": {"finalizers": None}})
        case _:
            done = api.merge(going, {"metadata": {"finalizers": []}})
    assert done.status == 200
    assert not done.json["metadata"].get("finalizers")
    assert api.send("GET", going).status == 404


def test_a_dry_run_of_it_lets_nothing_go(api: Api, going: str) -> None:
    assert api.merge(going, {"metadata": {"finalizers": []}}, dryRun="All").status == 200
    assert api.get(going)["metadata"]["finalizers"] == [WAITS]


def test_what_is_going_can_be_applied_and_takes_no_new_finalizer(api: Api, namespace: str, going: str) -> None:
    done = api.apply(going, config_map("a", namespace, {"k": "2"}), "fleetbeat")
    assert (done.status, done.json["data"]) == (200, {"k": "2"})
    assert done.json["metadata"]["deletionTimestamp"]
    more: dict[str, Any] = config_map("a", namespace, {"k": "2"}, finalizers=[WAITS, "example.com/more"])
    refused = api.apply(going, more, "fleetbeat")
    (cause,) = refused.json["details"]["causes"]
    assert (refused.status, cause["reason"], cause["field"]) == (422, "FieldValueForbidden", "metadata.finalizers")
    assert cause["message"] == (
        "Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"example.com/more"}'
    )


def test_nobody_marks_an_object_by_hand(api: Api, namespace: str) -> None:
    api.send("POST", maps(namespace), config_map("a", namespace))
    refused = api.merge(maps(namespace, "a"), {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}})
    assert (refused.status, refused.json["details"]["causes"][0]["field"]) == (422, "metadata.deletionTimestamp")
