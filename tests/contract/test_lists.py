"""LIST: versions, namespaces, pages, metadata only, and what is answered for a kind that is gone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.objects import CRD, config_map, crd, maps, thing
from tests.support.api import METADATA, Api

MODES = pytest.mark.parametrize("accept", ["", METADATA], ids=["full", "metadata"])


def version(body: dict[str, Any]) -> int:
    return int(body["metadata"]["resourceVersion"])


@MODES
def test_the_version_of_a_list_is_not_below_any_write_before_it(api: Api, namespace: str, accept: str) -> None:
    seen = 0
    for number in range(3):
        written = version(api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": str(number)})).json)
        listed = version(api.send("GET", maps(namespace), accept=accept).json)
        assert seen <= written <= listed
        seen = listed
    written = version(api.apply(maps(namespace, "b"), config_map("b", namespace)).json)
    api.delete(maps(namespace, "b"))
    listed = version(api.send("GET", maps(namespace), accept=accept).json)
    assert written < listed
    assert listed <= version(api.send("GET", "/api/v1/namespaces", accept=accept).json)


@MODES
def test_a_list_of_one_namespace_shows_no_other_and_one_of_all_shows_both(
    api: Api, namespace: str, accept: str
) -> None:
    other = f"{namespace}-other"
    assert api.send("POST", "/api/v1/namespaces", thing("v1", "Namespace", other)).status == 201
    for home in (namespace, other):
        api.send("POST", maps(home), config_map("mine", home, labels={"list": namespace}))
    here = api.send("GET", maps(namespace), accept=accept, labelSelector=f"list={namespace}").json["items"]
    assert [item["metadata"]["namespace"] for item in here] == [namespace]
    both = api.send("GET", "/api/v1/configmaps", accept=accept, labelSelector=f"list={namespace}").json["items"]
    # By the path in the store, where the slash after the namespace counts: "a-other/mine" stands before "a/mine".
    assert [item["metadata"]["namespace"] for item in both] == [other, namespace]


@MODES
def test_pages_are_of_one_version_and_together_are_the_whole(api: Api, namespace: str, accept: str) -> None:
    for name in ("a", "b", "c", "d", "e"):
        api.send("POST", maps(namespace), config_map(name, namespace))
    found: list[str] = []
    versions, left, token = set(), [], ""
    while True:
        page = api.send("GET", maps(namespace), accept=accept, limit="2", **({"continue": token} if token else {})).json
        found += [item["metadata"]["name"] for item in page["items"]]
        versions.add(version(page))
        left.append(page["metadata"].get("remainingItemCount"))
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert (found, left) == (["a", "b", "c", "d", "e"], [3, 1, None])
    assert len(versions) == 1


@MODES
def test_what_is_written_between_pages_is_not_in_them(api: Api, namespace: str, accept: str) -> None:
    for name in ("a", "b", "c"):
        api.send("POST", maps(namespace), config_map(name, namespace))
    first = api.send("GET", maps(namespace), accept=accept, limit="1").json
    api.send("POST", maps(namespace), config_map("bb", namespace))
    api.delete(maps(namespace, "c"))
    token = first["metadata"]["continue"]
    rest = api.send("GET", maps(namespace), accept=accept, **{"limit": "9", "continue": token}).json
    assert [item["metadata"]["name"] for item in rest["items"]] == ["b", "c"]
    assert version(rest) == version(first)


def test_what_is_left_is_not_counted_when_a_selector_picks(api: Api, namespace: str) -> None:
    for name in ("a", "b"):
        api.send("POST", maps(namespace), config_map(name, namespace, labels={"l": "1"}))
    page = api.send("GET", maps(namespace), limit="1", labelSelector="l=1").json
    assert page["metadata"]["continue"]
    assert "remainingItemCount" not in page["metadata"]


@pytest.mark.parametrize("query", [{"limit": "x"}, {"limit": "1", "continue": "xyz"}])
def test_a_limit_or_a_token_that_is_none_is_a_bad_request(api: Api, namespace: str, query: dict[str, str]) -> None:
    assert api.send("GET", maps(namespace), "", "application/json", "", **query).status == 400


def test_metadata_items_name_themselves_and_an_empty_metadata_list_has_null(api: Api, namespace: str) -> None:
    empty = api.send("GET", maps(namespace), accept=METADATA).json
    assert (empty["kind"], empty["apiVersion"], empty["items"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1", None)
    assert api.send("GET", maps(namespace)).json["items"] == []
    assert api.send("GET", maps("no-such-namespace")).json["items"] == []
    api.send("POST", maps(namespace), config_map("a", namespace))
    (item,) = api.send("GET", maps(namespace), accept=METADATA).json["items"]
    assert (item["kind"], item["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert item["metadata"] == api.get(maps(namespace, "a"))["metadata"]


def test_a_custom_kind_that_is_gone_is_no_page_and_an_unknown_built_in_one_no_resource(
    api: Api, namespace: str
) -> None:
    group = f"{namespace}.example.com"
    path = f"/apis/{group}/v1/namespaces/{namespace}/widgets"
    api.apply(f"{CRD}/widgets.{group}", crd(group))
    api.until("served", lambda: api.send("GET", path).status == 200)
    assert api.send("GET", path.replace("widgets", "gadgets")).text == "404 page not found\n"
    api.delete(f"{CRD}/widgets.{group}")
    api.until("gone", lambda: api.send("GET", path).status != 200)
    for accept in ("", METADATA):
        gone = api.send("GET", path, accept=accept)
        assert (gone.status, gone.text) == (404, "404 page not found\n")
        assert gone.headers["content-type"].startswith("text/plain")
    late = api.apply(f"{path}/w", thing(f"{group}/v1", "Widget", "w", namespace))
    assert (late.status, late.text) == (404, "404 page not found\n")
    for unknown in ("/api/v1/widgets", "/apis/apps/v1/widgets", "/apis/apps/v9/deployments"):
        answer = api.send("GET", unknown)
        assert (answer.status, answer.json["reason"]) == (404, "NotFound")
        assert answer.json["message"] == "the server could not find the requested resource"


def test_the_cluster_is_known_by_the_uid_of_kube_system(api: Api) -> None:
    path = "/api/v1/namespaces/kube-system"
    api.until("kube-system is there", lambda: api.send("GET", path).status == 200)
    uid = api.get(path)["metadata"]["uid"]
    assert len(uid) == 36
    api.merge(path, {"metadata": {"labels": {"seen": "1"}}})
    assert api.get(path)["metadata"]["uid"] == uid
    refused = api.delete(path)
    assert (refused.status, refused.json["reason"]) == (403, "Forbidden")
