"""The main job on real input: kube-prometheus from Git over HTTP onto two real API servers, through the real processes."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from tests.support.controlplane import ControlPlane
from tests.support.fleet import Product, cluster, source, sync
from tests.support.git import GitHttpServer, GitRepo

ARCHIVE = Path(__file__).parents[3] / "shared" / "realworld" / "kube-prometheus.tar.gz"
GRAFANA = "/apis/apps/v1/namespaces/monitoring/deployments/grafana"
EXPORTER = "/apis/apps/v1/namespaces/monitoring/deployments/blackbox-exporter"


@pytest.fixture
def monitored(
    product: Product,
    repo: GitRepo,
    git_server: GitHttpServer,
    control_plane: ControlPlane,
    second_control_plane: ControlPlane,
) -> Product:
    if not ARCHIVE.exists():
        pytest.skip(f"the real manifests are not there: {ARCHIVE}")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(repo.path, filter="data")
    repo.commit_all("Add kube-prometheus", author="Grace Hopper <grace@example.org>")
    planes = {"east": control_plane, "west": second_control_plane}
    clusters = [cluster(name, plane.kubeconfig(product.fleet / f"{name}.kubeconfig")) for name, plane in planes.items()]
    # Nothing runs Pods here, so readiness is not waited for.
    product.write(
        source("platform", git_server.url("platform/.git")),
        *clusters,
        sync("monitoring", "platform", "./manifests", wait=False),
    )
    return product


def test_everything_arrives_once_and_stays_as_git_wants_it(
    monitored: Product, control_plane: ControlPlane, second_control_plane: ControlPlane
) -> None:
    first = monitored.once()
    for row in first["clusters"]:
        assert [(s["state"], s["objects"], s["created"]) for s in row["syncs"]] == [("applied", 131, 131)]
    written = [_versions(plane) for plane in (control_plane, second_control_plane)]

    second = monitored.once()
    for row in second["clusters"]:
        (state,) = row["syncs"]
        assert (state["unchanged"], state["created"], state["configured"], state["deleted"]) == (131, 0, 0, 0)
        assert state["requests"] <= 30
    assert [_versions(plane) for plane in (control_plane, second_control_plane)] == written

    patch = json.dumps({"spec": {"replicas": 5}}).encode()
    assert (
        control_plane.request("PATCH", f"{GRAFANA}?fieldManager=kubectl-scale", patch, "application/merge-patch+json")[
            0
        ]
        == 200
    )
    assert second_control_plane.request("DELETE", EXPORTER)[0] == 200
    third = monitored.once()
    east, west = (row["syncs"][0] for row in third["clusters"])
    assert (east["configured"], east["drifted"]) == (1, 1)
    assert (west["created"], west["drifted"]) == (1, 1)
    assert json.loads(control_plane.request("GET", GRAFANA)[1])["spec"]["replicas"] == 1
    assert second_control_plane.request("GET", EXPORTER)[0] == 200

    with monitored.up():
        drift = monitored.json("audit", "log", "--type", "object.drifted", "--cluster", "east")
        assert [event["object"]["name"] for event in drift] == ["grafana"]
        assert "kubectl-scale" in drift[0]["message"]
        assert {"path": "spec.replicas", "from": 5, "to": 1} in drift[0]["diff"]
        created = monitored.json("audit", "log", "--type", "object.created", "--author", "grace")
        assert len(created) == 2 * 131 + 1
        assert {event["commit"]["author"] for event in created} == {"Grace Hopper <grace@example.org>"}


def _versions(plane: ControlPlane) -> dict[str, str]:
    """The resourceVersion of what a pass could have touched: parents, the namespaces and every Deployment."""
    found = {}
    for path in (
        "/api/v1/namespaces/fleetbeat-system/configmaps",
        "/api/v1/namespaces",
        "/apis/apps/v1/deployments",
        "/api/v1/configmaps",
    ):
        for item in json.loads(plane.request("GET", path)[1])["items"]:
            meta = item["metadata"]
            found[f"{path}/{meta.get('namespace')}/{meta['name']}"] = meta["resourceVersion"]
    return found
