"""What the server fills in and rewrites, and who owns it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.objects import WITH_AND_WITHOUT_EFFECT, deployment, deployments, entry, path_of, thing
from tests.support.api import Api


def test_ports_get_a_protocol_and_a_target(api: Api, namespace: str) -> None:
    body = deployment("web", namespace)
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["ports"] = [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]
    done = api.apply(deployments(namespace, "web"), body).json
    (found,) = done["spec"]["template"]["spec"]["containers"]
    assert found["ports"] == [
        {"containerPort": 80, "protocol": "TCP"},
        {"containerPort": 53, "protocol": "UDP"},
    ]
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81, "targetPort": "web"}]
    service = thing("v1", "Service", "web", namespace, spec={"ports": ports})
    done = api.apply(path_of(service, "services"), service).json
    assert done["spec"]["ports"] == [
        {"name": "a", "protocol": "TCP", "port": 80, "targetPort": 80},
        {"name": "b", "protocol": "TCP", "port": 81, "targetPort": "web"},
    ]


def test_a_deployment_has_one_replica_that_no_applier_owns(api: Api, namespace: str) -> None:
    body = deployment("web", namespace)
    del body["spec"]["replicas"]
    path = deployments(namespace, "web")
    made = api.apply(path, body).json
    assert made["spec"]["replicas"] == 1
    assert "f:replicas" not in entry(made, "contract")["fieldsV1"]["f:spec"]
    again = api.apply(path, body).json
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    scaled = api.merge(path, {"spec": {"replicas": 3}}).json
    assert api.apply(path, body).json["spec"]["replicas"] == scaled["spec"]["replicas"] == 3


def test_replicas_that_the_applier_gives_up_are_one_again(api: Api, namespace: str) -> None:
    body = deployment("web", namespace, replicas=4)
    path = deployments(namespace, "web")
    api.apply(path, body)
    del body["spec"]["replicas"]
    assert api.apply(path, body).json["spec"]["replicas"] == 1


def test_an_update_owns_what_was_filled_in_for_it(api: Api, namespace: str) -> None:
    ports = {"spec": {"ports": [{"port": 80}]}}
    made = api.send(
        "POST", f"/api/v1/namespaces/{namespace}/services", thing("v1", "Service", "web", namespace, **ports)
    )
    owned = entry(made.json, "contract", "Update")["fieldsV1"]["f:spec"]
    item: dict[str, Any] = {".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}}
    assert owned["f:ports"] == {".": {}, 'k:{"port":80,"protocol":"TCP"}': item}


QUANTITIES: list[tuple[Any, str]] = [
    ("1000m", "1"), ("1024Mi", "1Gi"), ("0.5", "500m"), ("1500m", "1500m"), ("100000", "100k"), ("1024", "1024"),
    ("0.5Gi", "512Mi"), ("1.5Gi", "1536Mi"), ("1Ki", "1Ki"), ("0.5Ki", "512"), ("2048Ki", "2Mi"), ("0", "0"),
    ("0Mi", "0"), ("1.0", "1"), ("1000k", "1M"), ("1P", "1P"), (1, "1"), (0.25, "250m"), ("100.5m", "101m"),
    (".5", "500m"), ("1e3", "1e3"), ("12e2", "1200"), ("1e4", "10e3"), ("12345e-2", "123450e-3"), ("0.1m", "1m"),
    ("123456789", "123456789"), ("01", "01"), ("+1", "+1"), ("1E3", "1E3"), ("5.", "5."),
]  # fmt: skip


@pytest.mark.parametrize(("written", "kept"), QUANTITIES)
def test_quantities_are_kept_in_one_form(api: Api, namespace: str, written: Any, kept: str) -> None:
    quota = thing("v1", "ResourceQuota", "q", namespace, spec={"hard": {"limits.cpu": written}})
    made = api.apply(path_of(quota, "resourcequotas"), quota)
    assert made.status == 201, made.text
    assert made.json["spec"]["hard"] == {"limits.cpu": kept}


def test_a_repeated_apply_of_another_form_changes_nothing(api: Api, namespace: str) -> None:
    body = deployment("web", namespace)
    bounds = {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": 0.5}}
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = bounds
    made = api.apply(deployments(namespace, "web"), body).json
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}
    for query in WITH_AND_WITHOUT_EFFECT:
        assert api.apply(deployments(namespace, "web"), body, **query).json == made


def test_an_update_owns_maps_and_merged_lists_themselves_too(api: Api, namespace: str) -> None:
    body = deployment("web", namespace)
    body["metadata"]["finalizers"] = ["example.com/wait"]
    container = body["spec"]["template"]["spec"]["containers"][0]
    container |= {"env": [{"name": "A", "value": "1"}], "resources": {"limits": {"cpu": "1"}}}
    made = api.send("POST", deployments(namespace), body).json
    fields = entry(made, "contract", "Update")["fieldsV1"]
    assert fields["f:metadata"] == {"f:finalizers": {".": {}, 'v:"example.com/wait"': {}}}
    found = fields["f:spec"]["f:template"]["f:spec"]["f:containers"]
    owned = found['k:{"name":"web"}']
    assert set(found) == {'k:{"name":"web"}'}
    assert owned["f:env"] == {".": {}, 'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}}
    assert owned["f:resources"] == {".": {}, "f:limits": {".": {}, "f:cpu": {}}}
    api.merge(deployments(namespace, "web"), {"metadata": {"finalizers": None}})
