"""Objects and paths that the contract's tests share."""

from __future__ import annotations

from typing import Any

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


WITH_AND_WITHOUT_EFFECT: tuple[dict[str, Any], ...] = ({}, {"dryRun": "All"})
"""Queries of the same write, once in earnest and once not."""


def config_map(name: str, namespace: str, data: dict[str, str] | None = None, **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **meta},
        **({"data": data} if data is not None else {}),
    }


def deployment(name: str, namespace: str, image: str = "web:1", replicas: int = 2) -> dict[str, Any]:
    pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "web", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def maps(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def deployments(namespace: str, name: str = "") -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments" + (f"/{name}" if name else "")


def entry(body: dict[str, Any], manager: str, operation: str = "Apply") -> dict[str, Any]:
    rows = body["metadata"]["managedFields"]
    return next(row for row in rows if row["manager"] == manager and row["operation"] == operation)


def managers(body: dict[str, Any]) -> set[tuple[str, str]]:
    return {(row["manager"], row["operation"]) for row in body["metadata"]["managedFields"]}


def crd(group: str) -> dict[str, Any]:
    properties = {
        "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "status": {"type": "object"},
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [version],
        },
    }


def thing(api_version: str, kind: str, name: str, namespace: str = "", **content: Any) -> dict[str, Any]:
    """Any object; without a namespace a cluster-wide one."""
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **content}


def path_of(body: dict[str, Any], plural: str) -> str:
    """The URL of an object."""
    version, meta = body["apiVersion"], body["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    home = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    return f"{root}{home}/{plural}/{meta['name']}"


def with_meta(body: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], **meta}}
