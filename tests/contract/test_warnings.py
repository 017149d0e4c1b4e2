"""Warnings: which writes carry them, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.objects import config_map, deployment, deployments, maps, path_of, thing, with_meta
from tests.support.api import Api

HIDES = (
    '299 - "spec.template.spec.containers[0].env[1]: hides previous definition of \\"A\\", '
    'which may be dropped when using apply"'
)


def ingress(namespace: str, **annotations: str) -> dict[str, Any]:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    rules = [{"host": "a.b", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
    body = thing("networking.k8s.io/v1", "Ingress", "web", namespace, spec={"rules": rules})
    return with_meta(body, annotations=annotations)


def test_an_ingress_with_its_class_in_an_annotation_is_warned_of_once(api: Api, namespace: str) -> None:
    body = ingress(namespace, **{"kubernetes.io/ingress.class": "nginx"})
    path = path_of(body, "ingresses")
    expected = (
        (
            '299 - "annotation \\"kubernetes.io/ingress.class\\" is deprecated, '
            "please use 'spec.ingressClassName' instead\""
        ),
    )
    assert api.apply(path, body, dryRun="All").warnings == expected
    assert api.apply(path, body).warnings == expected
    assert api.apply(path, with_meta(body, labels={"a": "b"})).warnings == ()


def pods(namespace: str, name: str = "web", container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    body = deployment(name, namespace)
    body["spec"]["template"]["spec"]["containers"][0] |= container or {}
    body["spec"]["template"]["spec"] |= spec
    return body


def test_a_variable_that_stands_twice_is_warned_of_whenever_the_spec_moves(api: Api, namespace: str) -> None:
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    made = api.send("POST", deployments(namespace), pods(namespace, container={"env": twice}))
    assert (made.status, made.warnings) == (201, (HIDES,))
    path = deployments(namespace, "web")
    assert api.merge(path, {"metadata": {"labels": {"a": "b"}}}).warnings == ()
    assert api.merge(path, {"spec": {"replicas": 5}}).warnings == (HIDES,)


def test_a_variable_that_extends_itself_is_not_warned_of(api: Api, namespace: str) -> None:
    extends = [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]
    assert api.send("POST", deployments(namespace), pods(namespace, container={"env": extends})).warnings == ()


@pytest.mark.parametrize(
    ("spec", "container", "expected"),
    [
        (
            {},
            {"ports": [{"containerPort": 80, "name": "x"}, {"containerPort": 80, "name": "y"}]},
            [
                (
                    "spec.template.spec.containers[0].ports[1]: duplicate port definition with "
                    "spec.template.spec.containers[0].ports[0]"
                )
            ],
        ),
        (
            {},
            {"resources": {"limits": {"memory": "100m"}}},
            [
                (
                    'spec.template.spec.containers[0].resources.limits[memory]: fractional byte value \\"100m\\" is invalid, '
                    "must be an integer"
                )
            ],
        ),
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            {},
            [
                (
                    "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; "
                    'use \\"kubernetes.io/os\\" instead'
                )
            ],
        ),
        (
            {
                "topologySpreadConstraints": [
                    {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
                ],
                "imagePullSecrets": [{"name": "a"}, {"name": "a"}],
                "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a"]}, {"ip": "1.2.3.4", "hostnames": ["b"]}],
            },
            {},
            [
                (
                    "spec.template.spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in "
                    "matching no pod"
                ),
                'spec.template.spec.hostAliases[1].ip: duplicate ip \\"1.2.3.4\\"',
                'spec.template.spec.imagePullSecrets[1].name: duplicate name \\"a\\"',
            ],
        ),
    ],
)
def test_oddities_of_a_pod_are_warned_of(
    api: Api, namespace: str, spec: dict[str, Any], container: dict[str, Any], expected: list[str]
) -> None:
    made = api.send("POST", deployments(namespace), pods(namespace, container=container, **spec))
    assert made.status == 201, made.text
    assert list(made.warnings) == [f'299 - "{text}"' for text in expected]


def test_one_port_name_in_two_containers_is_warned_of(api: Api, namespace: str) -> None:
    body = pods(namespace, container={"ports": [{"containerPort": 80, "name": "x"}]})
    side = {"name": "side", "image": "side:1", "ports": [{"containerPort": 81, "name": "x"}]}
    body["spec"]["template"]["spec"]["containers"].append(side)
    first, second = (f"spec.template.spec.containers[{n}].ports[0]" for n in (0, 1))
    (warning,) = api.apply(path_of(body, "deployments"), body).warnings
    assert warning == (
        f'299 - "{second}: duplicate port name \\"x\\" with {first}, services and probes that select ports by name '
        f'will use {first}"'
    )


def test_a_workload_with_dots_in_its_name_is_warned_of(api: Api, namespace: str) -> None:
    body = deployment("a.b", namespace)
    path = path_of(body, "deployments")
    expected = (
        '299 - "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; '
        'a DNS label is recommended: [must not contain dots]"'
    )
    assert api.apply(path, body).warnings == (expected,)
    assert api.merge(path, {"spec": {"replicas": 5}}).warnings == ()


@pytest.mark.parametrize(
    ("spec", "annotations", "expected"),
    [
        (
            {"externalIPs": ["1.2.3.4"]},
            {},
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
        ),
        (
            {"clusterIP": "None", "sessionAffinity": "ClientIP"},
            {},
            "spec.SessionAffinity is ignored for headless services",
        ),
        (
            {},
            {"service.kubernetes.io/topology-aware-hints": "auto"},
            (
                "annotation service.kubernetes.io/topology-aware-hints is deprecated, "
                "please use service.kubernetes.io/topology-mode instead"
            ),
        ),
    ],
)
def test_a_service_is_warned_of_at_every_write(
    api: Api, namespace: str, spec: dict[str, Any], annotations: dict[str, str], expected: str
) -> None:
    body = thing("v1", "Service", "a", namespace, spec={"ports": [{"port": 80}], **spec})
    body = with_meta(body, annotations=annotations)
    for _ in range(2):
        assert api.apply(path_of(body, "services"), body).warnings == (f'299 - "{expected}"',)


def test_a_field_that_the_kind_does_not_have_is_left_out_and_warned_of(api: Api, namespace: str) -> None:
    warning = ('299 - "unknown field \\"frob\\""',)
    odd = {**config_map("a", namespace, {"k": "1"}), "frob": 1}
    made = api.send("POST", maps(namespace), odd)
    assert (made.status, made.warnings, "frob" in made.json) == (201, warning, False)
    assert api.merge(maps(namespace, "a"), {"frob": 1}).warnings == warning
    assert api.send("PUT", maps(namespace, "a"), odd, fieldValidation="Ignore").warnings == ()
    refused = api.send("PUT", maps(namespace, "a"), odd, fieldValidation="Strict")
    assert (refused.status, refused.json["message"]) == (
        400,
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "frob"',
    )
    patched = api.merge(maps(namespace, "a"), {"frob": 1}, fieldValidation="Strict")
    assert patched.status == 422
    assert patched.json["message"].endswith('strict decoding error: unknown field "frob"')


def test_ordinary_writes_carry_no_warning(api: Api, namespace: str) -> None:
    assert api.apply(maps(namespace, "a"), config_map("a", namespace, {"k": "1"})).warnings == ()
    assert api.apply(deployments(namespace, "web"), deployment("web", namespace)).warnings == ()
