"""What only the simulator does: knobs, the requests it counts, and 501 for everything that no contract covers."""

from __future__ import annotations

import http.client
import urllib.error
import uuid
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetbeat.simulator import Knobs, Simulator, fields, managed
from fleetbeat.simulator.kinds import KIND, Kind
from tests.support.api import Api

NAMESPACES = "/api/v1/namespaces"
MAP = "/api/v1/namespaces/default/configmaps/a"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def knobs(simulator: Simulator, name: str) -> Knobs:
    return simulator.add(name)


@pytest.fixture
def api(simulator: Simulator, knobs: Knobs, name: str) -> Api:
    return Api.of_simulated(simulator, name)


def body(**data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}, "data": data}


def test_clusters_do_not_share_objects_or_tokens(simulator: Simulator) -> None:
    simulator.add("one")
    simulator.add("two")
    one, two = (Api.of_simulated(simulator, name) for name in ("one", "two"))
    assert one.apply(MAP, body(k="v")).status == 201
    assert two.send("GET", MAP).status == 404
    assert Api(two.url, one.token, two.authority).send("GET", NAMESPACES).status == 401


def test_an_unreachable_cluster_hangs_up(api: Api, knobs: Knobs) -> None:
    knobs.unreachable = True
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        api.send("GET", NAMESPACES)
    knobs.unreachable = False
    assert api.send("GET", NAMESPACES).status == 200


@pytest.mark.parametrize("status", [500, 503, 429])
def test_so_many_requests_fail_as_told(simulator: Simulator, status: int) -> None:
    knobs = simulator.add(f"failing-{status}")
    api = Api.of_simulated(simulator, f"failing-{status}")
    knobs.fail_status, knobs.fail_requests = status, 2
    assert [api.send("GET", NAMESPACES).status for _ in range(3)] == [status, status, 200]


LOST = (urllib.error.URLError, ConnectionError, http.client.RemoteDisconnected)


def test_the_request_to_fail_at_hangs_up_before_it_takes_effect(api: Api, knobs: Knobs) -> None:
    knobs.fail_at = 2
    assert api.apply(MAP, body(k="1")).status == 201
    with pytest.raises(LOST):
        api.apply(MAP, body(k="2"))
    assert api.get(MAP)["data"] == {"k": "1"}


def test_the_request_whose_answer_is_lost_has_taken_effect(api: Api, knobs: Knobs) -> None:
    knobs.lose_answer_at = 2
    assert api.apply(MAP, body(k="1")).status == 201
    with pytest.raises(LOST):
        api.apply(MAP, body(k="2"))
    assert api.get(MAP)["data"] == {"k": "2"}


def test_requests_are_counted_by_verb(simulator: Simulator, api: Api, name: str) -> None:
    api.apply(MAP, body(k="v"))
    api.send("GET", MAP)
    api.send("GET", NAMESPACES)
    api.merge(MAP, {"data": {"k": "w"}})
    api.send("DELETE", MAP)
    counted = dict(simulator.traffic(name).by_verb)
    assert counted == {"apply": 1, "get": 1, "list": 1, "patch": 1, "delete": 1}


def test_a_workload_becomes_ready_after_a_while(api: Api, knobs: Knobs) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments/web"
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}}
    api.apply(path, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
    api.until("ready", lambda: api.get(path).get("status", {}).get("readyReplicas") == 2)


def test_impersonation_is_not_covered(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.token}", "Impersonate-User": "jane"}
    assert api.raw("GET", NAMESPACES, headers).status == 501


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "move", "from": "/data/k", "path": "/data/z"},
        {"op": "copy", "from": "/data/k", "path": "/data/z"},
        {"op": "replace", "path": "", "value": {}},
        {"op": "add", "path": "data/k", "value": "1"},
        {"op": "add", "path": "/data/k", "value": None},
        {"op": "test", "path": "/metadata/managedFields/-1", "value": {}},
    ],
)
def test_json_patches_beyond_the_contract_are_501(api: Api, operation: dict[str, object]) -> None:
    api.apply(MAP, body(k="1"))
    assert api.json_patch(MAP, operation).status == 501


@pytest.mark.parametrize("policy", ["Foreground", "Orphan"])
def test_deletions_that_wait_for_dependents_are_501(api: Api, policy: str) -> None:
    api.apply(MAP, body(k="1"))
    assert api.delete(MAP, propagationPolicy=policy).status == 501
    assert api.send("DELETE", MAP, propagationPolicy=policy).status == 501
    assert api.send("GET", MAP).status == 200


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("PATCH", MAP, "application/strategic-merge-patch+json"),
        ("DELETE", "/api/v1/namespaces/default/configmaps", "application/json"),
        ("GET", "/openapi/v3", "application/json"),
        ("GET", "/apis/apps/v1/namespaces/default/deployments/web/scale", "application/json"),
        ("GET", "/api/v1/namespaces?watch=true", "application/json"),
        ("GET", "/api/v1/namespaces?fieldSelector=a%3Db", "application/json"),
    ],
)
def test_what_no_contract_covers_is_501(api: Api, method: str, path: str, content: str) -> None:
    answer = api.send(method, path, {} if method == "PATCH" else None, content)
    assert answer.status == 501
    assert "does not cover" in answer.json["message"]


DEPLOYMENT, CUSTOM = KIND["apps", "Deployment"], Kind("example.com", "v1", "Widget", "widgets", custom=True)
scalars = st.sampled_from([0, 1, 1.0, True, "a", "b", ""])
names = st.sampled_from(["a", "b", "c"])
items = st.fixed_dictionaries(
    {"name": names},
    optional={"image": scalars, "args": st.lists(scalars, max_size=2), "ports": st.lists(
        st.fixed_dictionaries({"containerPort": st.sampled_from([1, 2])}, optional={"name": names}),
        max_size=2, unique_by=lambda port: port["containerPort"])},
)  # fmt: skip
maps = st.dictionaries(names, scalars, max_size=2)
bodies = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"name": names}, optional={
        "labels": maps, "finalizers": st.lists(names, max_size=2, unique=True)})},
    optional={"spec": st.fixed_dictionaries({}, optional={
        "selector": maps, "replicas": scalars, "strategy": st.one_of(maps, scalars),
        "template": st.fixed_dictionaries({}, optional={"spec": st.fixed_dictionaries({}, optional={
            "containers": st.lists(items, max_size=3, unique_by=lambda item: item["name"]),
            "volumes": st.lists(items, max_size=2, unique_by=lambda item: item["name"])})})})},
)  # fmt: skip
kinds = st.sampled_from([DEPLOYMENT, CUSTOM])


@given(kind=kinds, old=bodies, new=bodies)
def test_changes_are_what_differs_between_all_paths_of_both(kind: Kind, old: fields.Body, new: fields.Body) -> None:
    before, after = fields.of(kind, old, maps=True), fields.of(kind, new, maps=True)
    moved = {path for path, value in after.items() if path not in before or not fields.same(before[path], value)}
    assert fields.changes(kind, old, new) == (frozenset(moved), frozenset(before.keys() - after.keys()))


@given(kind=kinds, live=bodies, wanted=bodies)
@settings(max_examples=200)
def test_a_merge_has_all_that_is_wanted_and_shares_what_it_does_not_change(
    kind: Kind, live: fields.Body, wanted: fields.Body
) -> None:
    untouched = deepcopy((live, wanted))
    merged = fields.merge(kind, live, wanted)
    found = fields.of(kind, merged)
    assert all(fields.same(found[path], value) for path, value in fields.of(kind, wanted).items() if path in found)
    assert (live, wanted) == untouched
    assert fields.merge(kind, merged, wanted) is merged
    assert fields.changes(kind, merged, fields.merge(kind, merged, deepcopy(wanted))) == (frozenset(), frozenset())


@given(owned=st.builds(lambda body: frozenset(fields.of(DEPLOYMENT, body, maps=True)), bodies))
def test_managed_fields_survive_their_own_notation(owned: fields.Fields) -> None:
    row: dict[str, Any] = {"manager": "m", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1"}
    (found,) = managed.given([row | {"fieldsV1": fields.encode(owned)}], {}, lambda _: True).values() or [None]
    assert (found.fields if found else frozenset()) == owned
