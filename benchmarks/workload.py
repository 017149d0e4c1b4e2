"""What every subject brings to every cluster: the same objects of 11 kinds, as plain YAML in one folder of one Git repository.

No object names a namespace; each subject sets the cluster's own (`targetNamespace`, `kubectl -n`). So one folder serves all clusters
without substitution, which is the cheapest way there is for each of them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dulwich import porcelain
from dulwich.repo import Repo

Body = dict[str, Any]
REVISION = "bench.example.com/revision"
"""Annotation by which a subject's work is checked: the number of the change that an object was last part of."""
FOLDER = "app"
AUTHOR = b"Ada Lovelace <ada@example.org>"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind; `body` gives all but metadata, and differs for each revision."""

    kind: str
    api_version: str
    plural: str
    body: Callable[[str, int], Body]

    @property
    def root(self) -> str:
        """The path below which its API lives."""
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"

    def collection(self, namespace: str) -> str:
        return f"{self.root}/namespaces/{namespace}/{self.plural}"


def _pods(name: str, revision: int) -> Body:
    container = {
        "name": "app",
        "image": f"ghcr.io/example/app:1.0.{revision}",
        "ports": [{"containerPort": 8080, "name": "http"}],
        "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "GREETING", "value": f"hello from {name}"}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 10},
    }
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}


def _config_map(name: str, revision: int) -> Body:
    text = "".join(f"setting.{number}=value of {name} number {number}\n" for number in range(8))
    return {"data": {"application.properties": text, "revision": str(revision)}}


def _secret(name: str, revision: int) -> Body:
    value = base64.b64encode(f"not a secret: {name} at {revision}".encode()).decode()
    return {"type": "Opaque", "data": {"password": value}}


def _service(name: str, revision: int) -> Body:
    return {"spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80 + revision, "targetPort": 8080}]}}


def _account(_name: str, _revision: int) -> Body:
    return {"automountServiceAccountToken": False}


def _deployment(name: str, revision: int) -> Body:
    selector = {"matchLabels": {"app": name}}
    return {"spec": {"replicas": 2, "selector": selector, "template": _pods(name, revision)}}


def _stateful_set(name: str, revision: int) -> Body:
    selector = {"matchLabels": {"app": name}}
    return {"spec": {"replicas": 1, "serviceName": name, "selector": selector, "template": _pods(name, revision)}}


def _role(name: str, revision: int) -> Body:
    names = [f"{name}-{number}" for number in range(revision + 1)]
    return {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": names}]}


def _role_binding(_name: str, revision: int) -> Body:
    return {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "role-000"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": f"team-{revision}"}],
    }


def _network_policy(name: str, revision: int) -> Body:
    ports = [{"protocol": "TCP", "port": 8080 + revision}]
    pods = {"matchLabels": {"app": name}}
    return {"spec": {"podSelector": pods, "policyTypes": ["Ingress"], "ingress": [{"ports": ports}]}}


def _disruption_budget(name: str, revision: int) -> Body:
    return {"spec": {"minAvailable": 1 + revision, "selector": {"matchLabels": {"app": name}}}}


def _autoscaler(name: str, revision: int) -> Body:
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    metrics = [{"type": "Resource", "resource": cpu}]
    return {"spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 10 + revision, "metrics": metrics}}


KINDS = (
    Kind("ConfigMap", "v1", "configmaps", _config_map),
    Kind("Secret", "v1", "secrets", _secret),
    Kind("Service", "v1", "services", _service),
    Kind("ServiceAccount", "v1", "serviceaccounts", _account),
    Kind("Deployment", "apps/v1", "deployments", _deployment),
    Kind("StatefulSet", "apps/v1", "statefulsets", _stateful_set),
    Kind("Role", "rbac.authorization.k8s.io/v1", "roles", _role),
    Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings", _role_binding),
    Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", _network_policy),
    Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets", _disruption_budget),
    Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers", _autoscaler),
)


@dataclass(frozen=True, slots=True)
class Item:
    """One object and its kind."""

    kind: Kind
    body: Body

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    def path(self, namespace: str) -> str:
        return f"{self.kind.collection(namespace)}/{self.name}"


@dataclass(frozen=True, slots=True)
class Workload:
    """How much: clusters, objects on each, and how many of those a change touches."""

    clusters: int = 20
    objects: int = 101
    touched: int = 20

    def names(self, prefix: str) -> list[str]:
        """The clusters' names, which are their namespaces' too."""
        return [f"{prefix}-{number:03d}" for number in range(1, self.clusters + 1)]

    def items(self, revision: int = 0) -> list[Item]:
        """The objects at a revision, kinds taking turns. From revision 1 on the first `touched` ones differ from those before."""
        found = []
        for number in range(self.objects):
            kind = KINDS[number % len(KINDS)]
            name = f"{kind.kind.lower()}-{number // len(KINDS):03d}"
            at = revision if number < self.touched else 0
            meta = {"name": name, "labels": {"app": name}, "annotations": {REVISION: str(at)}}
            body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **kind.body(name, at)}
            found.append(Item(kind, body))
        return found

    def files(self, revision: int = 0) -> Mapping[str, str]:
        """The folder in Git: one file for each kind."""
        by_kind: dict[str, list[Body]] = {}
        for item in self.items(revision):
            by_kind.setdefault(item.kind.plural, []).append(item.body)
        return {
            f"{FOLDER}/{plural}.yaml": yaml.dump_all(bodies, Dumper=yaml.CSafeDumper)
            for plural, bodies in by_kind.items()
        }


class Repository:
    """A Git repository with a workload in it, made without a git binary."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        Repo.init(str(path), default_branch=b"main").close()

    def commit(self, files: Mapping[str, str], message: str) -> str:
        """Write files and commit them; the commit's id."""
        for name, content in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
        porcelain.add(str(self.path), [str(self.path / name) for name in files])
        commit = porcelain.commit(str(self.path), message=message.encode(), author=AUTHOR, committer=AUTHOR)
        return commit.decode()
