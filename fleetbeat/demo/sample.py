"""What the demo works on: a Git repository with a small shop, and the fleet folder that points at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dulwich import porcelain
from dulwich.repo import Repo

from fleetbeat.simulator import Simulator

ADA = b"Ada Lovelace <ada@example.org>"
GRACE = b"Grace Hopper <grace@example.org>"
CLUSTERS: Mapping[str, Mapping[str, str]] = {
    "staging-eu": {"env": "staging", "region": "eu"},
    "prod-eu-1": {"env": "prod", "region": "eu"},
    "prod-eu-2": {"env": "prod", "region": "eu"},
    "prod-us-1": {"env": "prod", "region": "us"},
    "prod-us-2": {"env": "prod", "region": "us"},
    "prod-ap-1": {"env": "prod", "region": "ap"},
}
DEPLOYMENT = "apps/shop/deployment.yaml"


def deployment(image: str, replicas: int) -> str:
    """The shop's Deployment as it stands in Git."""
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: frontend
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{app: frontend}}
  template:
    metadata:
      labels: {{app: frontend}}
    spec:
      serviceAccountName: frontend
      containers:
        - name: frontend
          image: {image}
          ports: [{{containerPort: 8080, name: http}}]
          env:
            - {{name: REGION, value: "${{REGION}}"}}
            - {{name: CLUSTER, value: "${{CLUSTER_NAME}}"}}
"""


_FILES = {
    "infra/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n",
    "infra/priority.yaml": (
        "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata:\n  name: customers-first\nvalue: 1000\n"
    ),
    DEPLOYMENT: deployment("ghcr.io/example/frontend:1.4.2", 3),
    "apps/shop/service.yaml": """\
apiVersion: v1
kind: Service
metadata:
  name: frontend
spec:
  selector: {app: frontend}
  ports: [{port: 80, targetPort: http}]
""",
    "apps/shop/account.yaml": """\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: frontend
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: banner
data:
  text: Welcome to the shop in ${REGION}
""",
}


@dataclass(frozen=True, slots=True)
class Repository:
    """The sample repository; made without a git binary."""

    path: Path

    def create(self) -> None:
        """Initialise it with a first commit by Ada."""
        self.path.mkdir(parents=True)
        Repo.init(str(self.path), default_branch=b"main").close()
        self.commit(_FILES, "The shop, version 1.4.2", ADA)

    def commit(self, files: Mapping[str, str], message: str, author: bytes) -> str:
        """Write files and commit them; the commit's id."""
        for name, content in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
        porcelain.add(str(self.path), [str(self.path / name) for name in files])
        commit = porcelain.commit(str(self.path), message=message.encode(), author=author, committer=author)
        return commit.decode()


def write_fleet(folder: Path, repository: Repository, simulator: Simulator) -> None:
    """The documents of the fleet, with a kubeconfig for each simulated cluster."""
    folder.mkdir(parents=True)
    documents: list[dict[str, Any]] = [
        _document("GitRepository", "platform", {"url": f"file://{repository.path}", "interval": "1s"}),
        _document("Sync", "infra", _sync("./infra")),
        _document("Sync", "shop", _sync("./apps/shop", dependsOn=[{"name": "infra"}], targetNamespace="shop")),
    ]
    for name, labels in CLUSTERS.items():
        simulator.add(name, latency=0.005)
        kubeconfig = simulator.kubeconfig(name, folder / f"{name}.kubeconfig")
        spec = {"kubeconfig": {"file": kubeconfig.name}, "variables": {"REGION": labels["region"]}}
        documents.append(_document("Cluster", name, spec, dict(labels)))
    (folder / "fleet.yaml").write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")


def _document(kind: str, name: str, spec: dict[str, Any], labels: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": name} | ({"labels": labels} if labels else {})
    return {"apiVersion": "fleetbeat/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _sync(path: str, **more: Any) -> dict[str, Any]:
    return {"sourceRef": {"name": "platform"}, "path": path, "interval": "10s", "wait": True, **more}
