"""What may not change: the status, the reason and every cause that a real server gives."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.contract.objects import WITH_AND_WITHOUT_EFFECT, config_map, deployment, maps, path_of, thing
from tests.support.api import Answer, Api

IMMUTABLE = "field is immutable"
ONCE_SET = "Forbidden: field is immutable when `immutable` is set"
RBAC = "rbac.authorization.k8s.io"


def causes(answer: Answer) -> list[tuple[str, str, str]]:
    """(reason, message, field) of a 422."""
    assert (answer.status, answer.json["reason"]) == (422, "Invalid"), answer.text
    return [(cause["reason"], cause["message"], cause["field"]) for cause in answer.json["details"]["causes"]]


def workload(kind: str, namespace: str, label: str = "a", **spec: Any) -> dict[str, Any]:
    pod = {"metadata": {"labels": {"app": label}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    named = {"serviceName": "s"} if kind == "StatefulSet" else {}
    spec = {"selector": {"matchLabels": {"app": label}}, "template": pod, **named, **spec}
    return thing("apps/v1", kind, "w", namespace, spec=spec)


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"])
def test_a_selector_never_changes(api: Api, namespace: str, kind: str) -> None:
    path = path_of(workload(kind, namespace), f"{kind.lower()}s")
    assert api.apply(path, workload(kind, namespace)).status == 201
    message = f'Invalid value: {{"matchLabels":{{"app":"b"}}}}: {IMMUTABLE}'
    for query in WITH_AND_WITHOUT_EFFECT:
        refused = api.apply(path, workload(kind, namespace, "b"), **query)
        assert causes(refused) == [("FieldValueInvalid", message, "spec.selector")]
        assert refused.json["message"] == f'{kind}.apps "w" is invalid: spec.selector: {message}'
        assert refused.json["details"]["kind"] == kind
    assert api.get(path)["spec"]["selector"] == {"matchLabels": {"app": "a"}}


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"])
def test_a_selector_that_leaves_its_template_is_two_causes(api: Api, namespace: str, kind: str) -> None:
    path = path_of(workload(kind, namespace), f"{kind.lower()}s")
    api.apply(path, workload(kind, namespace))
    body = workload(kind, namespace)
    body["spec"]["selector"]["matchLabels"]["app"] = "b"
    unfit = ("FieldValueInvalid", 'Invalid value: {"app":"a"}: `selector` does not match template `labels`')
    fixed = ("FieldValueInvalid", f'Invalid value: {{"matchLabels":{{"app":"b"}}}}: {IMMUTABLE}')
    found = causes(api.apply(path, body))
    assert sorted(found) == sorted([(*unfit, "spec.template.metadata.labels"), (*fixed, "spec.selector")])
    assert (found[0][2] == "spec.selector") is (kind == "DaemonSet")


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"serviceName": "t"}, "spec.serviceName", f'Invalid value: "t": {IMMUTABLE}'),
        ({"podManagementPolicy": "Parallel"}, "spec.podManagementPolicy", f'Invalid value: "Parallel": {IMMUTABLE}'),
        (
            {
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": "v"},
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                    }
                ]
            },
            "spec.volumeClaimTemplates",
            IMMUTABLE,
        ),
    ],
)
def test_a_statefulset_keeps_its_identity(
    api: Api, namespace: str, changed: dict[str, Any], field: str, message: str
) -> None:
    path = path_of(workload("StatefulSet", namespace), "statefulsets")
    api.apply(path, workload("StatefulSet", namespace))
    ((reason, told, where),) = causes(api.apply(path, workload("StatefulSet", namespace, **changed)))
    assert (reason, where) == ("FieldValueInvalid", field)
    assert told.endswith(message)
    assert api.apply(path, workload("StatefulSet", namespace, replicas=3, minReadySeconds=2)).status == 200


def test_two_fixed_fields_are_two_causes_in_one_message(api: Api, namespace: str) -> None:
    path = path_of(workload("StatefulSet", namespace), "statefulsets")
    api.apply(path, workload("StatefulSet", namespace))
    refused = api.apply(path, workload("StatefulSet", namespace, "b", serviceName="t"))
    first, second = causes(refused)
    assert (first[2], second[2]) == ("spec.selector", "spec.serviceName")
    told = f"[{first[2]}: {first[1]}, {second[2]}: {second[1]}]"
    assert refused.json["message"] == f'StatefulSet.apps "w" is invalid: {told}'


def job(namespace: str, image: str = "i", **spec: Any) -> dict[str, Any]:
    pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]}}
    return thing("batch/v1", "Job", "j", namespace, spec={"template": pod, **spec})


def test_a_job_keeps_its_template(api: Api, namespace: str) -> None:
    path = path_of(job(namespace), "jobs")
    assert api.apply(path, job(namespace)).status == 201
    again = api.apply(path, job(namespace))
    assert again.status == 200
    ((reason, message, field),) = causes(api.apply(path, job(namespace, "i:2")))
    assert (reason, field) == ("FieldValueInvalid", "spec.template")
    assert message.endswith(IMMUTABLE)
    assert api.apply(path, job(namespace, parallelism=2)).status == 200
    assert causes(api.apply(path, job(namespace, completions=3))) == [
        ("FieldValueInvalid", f"Invalid value: 3: {IMMUTABLE}", "spec.completions")
    ]
    assert causes(api.apply(path, job(namespace, completionMode="Indexed", completions=1))) == [
        ("FieldValueInvalid", f'Invalid value: "Indexed": {IMMUTABLE}', "spec.completionMode")
    ]


@pytest.mark.parametrize(("kind", "one", "two"), [("ConfigMap", "1", "2"), ("Secret", "MQ==", "Mg==")])
def test_what_is_marked_immutable_is_for_ever_and_may_still_be_labelled(
    api: Api, namespace: str, kind: str, one: str, two: str
) -> None:
    body = thing("v1", kind, "a", namespace, data={"k": one}, immutable=True)
    path = path_of(body, f"{kind.lower()}s")
    assert api.apply(path, body).status == 201
    data, mark = ("FieldValueForbidden", ONCE_SET, "data"), ("FieldValueForbidden", ONCE_SET, "immutable")
    assert causes(api.apply(path, {**body, "data": {"k": two}})) == [data]
    assert causes(api.apply(path, {**body, "immutable": False})) == [mark]
    assert causes(api.merge(path, {"immutable": None})) == [mark]
    assert causes(api.apply(path, {**body, "immutable": False, "data": {"k": two}})) == [mark, data]
    assert api.merge(path, {"metadata": {"labels": {"a": "b"}}}).status == 200


def test_binary_data_of_an_immutable_config_map_is_a_cause_of_its_own(api: Api, namespace: str) -> None:
    api.apply(maps(namespace, "a"), {**config_map("a", namespace, {"k": "1"}), "immutable": True})
    both = causes(api.merge(maps(namespace, "a"), {"data": {"k": "2"}, "binaryData": {"b": "aGk="}}))
    assert [cause[2] for cause in both] == ["data", "binaryData"]


def test_the_type_of_a_secret_never_changes(api: Api, namespace: str) -> None:
    body = thing("v1", "Secret", "a", namespace, data={"k": "MQ=="})
    path = path_of(body, "secrets")
    assert api.apply(path, body).json["type"] == "Opaque"
    assert causes(api.apply(path, {**body, "type": "example.com/x"})) == [
        ("FieldValueInvalid", f'Invalid value: "example.com/x": {IMMUTABLE}', "type")
    ]


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
def test_a_binding_keeps_its_role(api: Api, namespace: str, kind: str) -> None:
    def binding(role: str) -> dict[str, Any]:
        home = namespace if kind == "RoleBinding" else ""
        ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
        who = [{"kind": "ServiceAccount", "name": "x", "namespace": namespace}]
        return thing(f"{RBAC}/v1", kind, f"{namespace}-b", home, roleRef=ref, subjects=who)

    path = path_of(binding("view"), f"{kind.lower()}s")
    assert api.apply(path, binding("view")).status == 201
    shown = f'{{"APIGroup":"{RBAC}","Kind":"ClusterRole","Name":"edit"}}'
    expected = [("FieldValueInvalid", f"Invalid value: {shown}: {IMMUTABLE}", "roleRef")]
    assert causes(api.apply(path, binding("edit"))) == expected
    assert causes(api.merge(path, {"roleRef": {"name": "edit"}})) == expected


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"provisioner": "x/z"}, "provisioner"),
        ({"parameters": {"a": "b"}}, "parameters"),
        ({"reclaimPolicy": "Retain"}, "reclaimPolicy"),
        ({"volumeBindingMode": "WaitForFirstConsumer"}, "volumeBindingMode"),
    ],
)
def test_a_storage_class_is_fixed(api: Api, namespace: str, changed: dict[str, Any], field: str) -> None:
    body = thing("storage.k8s.io/v1", "StorageClass", namespace, provisioner="x/y")
    path = path_of(body, "storageclasses")
    assert api.apply(path, body).status == 201
    assert causes(api.apply(path, {**body, **changed})) == [
        ("FieldValueInvalid", f"Invalid value: null: {IMMUTABLE}", field)
    ]
    assert api.apply(path, {**body, "allowVolumeExpansion": True}).status == 200


def test_a_priority_class_and_an_ingress_class_are_fixed(api: Api, namespace: str) -> None:
    priority = thing("scheduling.k8s.io/v1", "PriorityClass", namespace, value=5)
    path = path_of(priority, "priorityclasses")
    assert api.apply(path, priority).status == 201
    assert causes(api.apply(path, {**priority, "value": 6, "preemptionPolicy": "Never"})) == [
        ("FieldValueForbidden", "Forbidden: may not be changed in an update.", "value"),
        ("FieldValueInvalid", f'Invalid value: "Never": {IMMUTABLE}', "preemptionPolicy"),
    ]
    ingress = thing("networking.k8s.io/v1", "IngressClass", namespace, spec={"controller": "a.com/b"})
    path = path_of(ingress, "ingressclasses")
    assert api.apply(path, ingress).status == 201
    assert causes(api.apply(path, {**ingress, "spec": {"controller": "a.com/c"}})) == [
        ("FieldValueInvalid", f'Invalid value: "a.com/c": {IMMUTABLE}', "spec.controller")
    ]


def test_a_claim_is_fixed_but_for_naming_its_class_once(api: Api, namespace: str) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    body = thing("v1", "PersistentVolumeClaim", "a", namespace, spec=spec)
    path = path_of(body, "persistentvolumeclaims")
    assert api.apply(path, body).status == 201
    assert api.apply(path, {**body, "spec": {**spec, "storageClassName": "fast"}}).status == 200
    for changed in ({"accessModes": ["ReadWriteMany"]}, {"resources": {"requests": {"storage": "2Gi"}}}):
        refused = api.apply(path, {**body, "spec": {**spec, "storageClassName": "fast", **changed}})
        ((reason, message, field),) = causes(refused)
        assert (reason, field) == ("FieldValueForbidden", "spec")
        assert message.startswith("Forbidden: spec is immutable after creation except resources.requests and")
    assert api.merge(path, {"metadata": {"labels": {"a": "b"}}}).status == 200


def test_a_service_keeps_the_address_it_was_given(api: Api, namespace: str) -> None:
    body = thing("v1", "Service", "a", namespace, spec={"ports": [{"port": 80}]})
    path = path_of(body, "services")
    made = api.apply(path, body).json
    address = made["spec"]["clusterIP"]
    assert made["spec"]["clusterIPs"] == [address]
    assert "f:clusterIP" not in made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    for other in ("10.96.5.5", "None"):
        moved = deepcopy(body)
        moved["spec"]["clusterIP"] = other
        assert causes(api.apply(path, moved)) == [
            ("FieldValueInvalid", f'Invalid value: ["{other}"]: may not change once set', "spec.clusterIPs[0]")
        ]
    assert api.merge(path, {"spec": {"clusterIP": None}}).json["spec"]["clusterIP"] == address
    assert api.apply(path, body).json["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    headless = thing("v1", "Service", "h", namespace, spec={"ports": [{"port": 80}], "clusterIP": "None"})
    assert api.apply(path_of(headless, "services"), headless).json["spec"]["clusterIPs"] == ["None"]


def test_a_workload_needs_a_selector_that_fits(api: Api, namespace: str) -> None:
    body = deployment("web", namespace)
    del body["spec"]["selector"]
    found = causes(api.apply(path_of(body, "deployments"), body))
    assert [cause[2] for cause in found] == ["spec.selector", "spec.template.metadata.labels"]
    assert found[0][:2] == ("FieldValueRequired", "Required value")
