"""A small fleet on simulated clusters, for promises about the processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from fleetbeat.simulator import Knobs, Simulator
from tests.support.api import Api
from tests.support.fleet import Product, cluster, source, sync
from tests.support.git import GitRepo


class SmallFleet:
    """Clusters `one` and `two`; a Sync `app` for both from ./app, a Sync `extra` for `two` alone from ./extra."""

    def __init__(self, product: Product, simulator: Simulator, repo: GitRepo, folder: Path) -> None:
        self.product, self.simulator, self.repo = product, simulator, repo
        self.knobs: dict[str, Knobs] = {}
        repo.commit({"app/map.yaml": self.config_map("app", "1"), "extra/map.yaml": self.config_map("extra", "1")})
        documents = [
            source("platform", f"file://{repo.path}"),
            sync("app", "platform", "./app"),
            sync("extra", "platform", "./extra", clusterSelector={"matchLabels": {"extra": "yes"}}),
        ]
        for name in ("one", "two"):
            self.knobs[name] = simulator.add(name)
            document = cluster(name, simulator.kubeconfig(name, folder / f"{name}.kubeconfig"))
            document["metadata"]["labels"] = {"extra": "yes" if name == "two" else "no"}
            documents.append(document)
        product.write(*documents)

    @staticmethod
    def config_map(name: str, value: str) -> str:
        meta = {"name": name, "namespace": "default"}
        return yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"value": value}})

    def api(self, name: str) -> Api:
        return Api.of_simulated(self.simulator, name)

    def value(self, cluster_name: str, name: str = "app") -> str | None:
        answer = self.api(cluster_name).send("GET", f"/api/v1/namespaces/default/configmaps/{name}")
        return str(answer.json["data"]["value"]) if answer.status == 200 else None

    def writes(self, name: str) -> int:
        verbs = self.simulator.traffic(name).by_verb
        return sum(verbs[verb] for verb in ("create", "apply", "patch", "update", "delete"))


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def small(product: Product, simulator: Simulator, repo: GitRepo, tmp_path: Path) -> SmallFleet:
    return SmallFleet(product, simulator, repo, tmp_path)
