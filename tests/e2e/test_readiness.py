"""Readiness for real: controllers, a scheduler and a node that runs Pods, through the real processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support.api import Api
from tests.support.controlplane import ControlPlane
from tests.support.fleet import Product, cluster, source, sync
from tests.support.git import GitRepo

NAMESPACE = "shop"
GOOD, BAD = "registry.example.org/web:1", "registry.example.org/web:typo"
BAD_IMAGE = f"""\
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata:
  name: pod-image-pull-back-off
spec:
  resourceRef: {{apiGroup: v1, kind: Pod}}
  selector:
    matchExpressions:
    - {{key: .metadata.deletionTimestamp, operator: DoesNotExist}}
    - {{key: ".spec.containers.[].image", operator: In, values: ["{BAD}"]}}
  # The stage that makes Pods ready matches too; it weighs nothing.
  weight: 1
  next:
    statusTemplate: |
      phase: Pending
      conditions:
      - {{type: Ready, status: "False", reason: ContainersNotReady, lastTransitionTime: {{{{ .metadata.creationTimestamp | Quote }}}}}}
      containerStatuses:
      {{{{ range .spec.containers }}}}
      - name: {{{{ .name | Quote }}}}
        image: {{{{ .image | Quote }}}}
        ready: false
        restartCount: 0
        state:
          waiting:
            reason: ImagePullBackOff
            message: {{{{ printf "Back-off pulling image \\"%s\\"" .image | Quote }}}}
      {{{{ end }}}}
"""


def workload(kind: str, name: str, image: str = GOOD, group: str = "apps", **spec: Any) -> str:
    labels = {"app": name}
    once = {"restartPolicy": "Never"} if group == "batch" else {}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}], **once}}
    chosen = {"selector": {"matchLabels": labels}} if group == "apps" else {}
    meta = {"name": name, "namespace": NAMESPACE}
    body = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": meta, "spec": {**chosen, "template": pods, **spec}}
    return yaml.safe_dump(body)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("plane-with-node"), nodes=True, stages=BAD_IMAGE) as running:
        namespace = yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        assert running.request("POST", "/api/v1/namespaces", namespace.encode(), "application/yaml")[0] == 201
        yield running


@pytest.fixture
def documents(product: Product, repo: GitRepo, plane: ControlPlane) -> list[dict[str, Any]]:
    where = cluster("east", plane.kubeconfig(product.fleet / "east.kubeconfig"))
    return [source("platform", f"file://{repo.path}"), where]


def test_workloads_that_a_node_runs_make_their_sync_healthy(
    product: Product, repo: GitRepo, plane: ControlPlane, documents: list[dict[str, Any]]
) -> None:
    repo.commit(
        {
            "ready/deployment.yaml": workload("Deployment", "front", replicas=3),
            "ready/stateful.yaml": workload("StatefulSet", "store", replicas=2, serviceName="store"),
            "ready/daemon.yaml": workload("DaemonSet", "agent"),
            "ready/job.yaml": workload("Job", "migrate", group="batch", completions=2),
        }
    )
    product.write(*documents, sync("ready", "platform", "./ready", timeout="60s"))
    (state,) = product.once()["clusters"][0]["syncs"]
    assert (state["state"], state["health"], state["objects"], state["error"]) == ("applied", "healthy", 4, None)
    api = Api.of_plane(plane)
    apps = f"/apis/apps/v1/namespaces/{NAMESPACE}"
    # It said so only after it was so: nobody changes these once they are reached.
    assert api.get(f"{apps}/deployments/front")["status"]["availableReplicas"] == 3
    assert api.get(f"{apps}/statefulsets/store")["status"]["readyReplicas"] == 2
    assert api.get(f"{apps}/daemonsets/agent")["status"]["numberAvailable"] == 1
    assert api.get(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/migrate")["status"]["succeeded"] == 2


def test_a_bad_image_fails_its_sync_by_name_and_holds_up_its_dependent_until_a_commit_mends_it(
    product: Product, repo: GitRepo, plane: ControlPlane, documents: list[dict[str, Any]]
) -> None:
    meta = {"name": "after", "namespace": NAMESPACE}
    after = yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    repo.commit({"web/web.yaml": workload("Deployment", "web", BAD, replicas=2), "after/map.yaml": after})
    product.write(
        *documents,
        sync("web", "platform", "./web", timeout="8s"),
        sync("after", "platform", "./after", dependsOn=[{"name": "web"}]),
    )
    cause = f'ImagePullBackOff: Back-off pulling image "{BAD}"'
    api = Api.of_plane(plane)
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/after"
    with product.up():
        product.until("the Sync waits for its Pods", lambda: product.state("east", "web")["health"] == "progressing")
        product.until("the other waits for it", lambda: product.state("east", "after")["state"] == "waiting")
        assert product.state("east", "after")["error"] == "Sync web is progressing"
        product.until("the Sync has failed", lambda: product.state("east", "web")["state"] == "failed")
        web = product.state("east", "web")
        assert "not ready after 8s" in web["error"]
        assert f"Deployment/{NAMESPACE}/web: 0 of 2 replicas available; Pod web-" in web["error"]
        assert cause in web["error"]
        product.until("the other still waits", lambda: product.state("east", "after")["state"] == "waiting")
        assert api.send("GET", path).status == 404
        (failed,) = product.json("audit", "log", "--type", "sync.failed", "--cluster", "east")
        assert (failed["sync"], cause in failed["message"]) == ("web", True)

        commit = repo.commit({"web/web.yaml": workload("Deployment", "web", GOOD, replicas=2)}, "Mend the image")
        product.until(
            "both are healthy at the mended commit",
            lambda: all(
                (row["state"], row["health"], row["commit"]) == ("applied", "healthy", commit)
                for row in (product.state("east", "web"), product.state("east", "after"))
            ),
        )
        assert product.state("east", "web")["error"] is None
        assert api.send("GET", path).status == 200


def test_syncs_that_wait_for_each_other_are_refused_by_validate(product: Product) -> None:
    product.write(
        source("platform", "https://example.org/platform.git"),
        sync("a", "platform", "./a", dependsOn=[{"name": "b"}]),
        sync("b", "platform", "./b", dependsOn=[{"name": "a"}]),
    )
    refused = product.run("validate", str(product.fleet))
    assert refused.returncode == 1
    assert "syncs wait for each other: a → b → a; remove one of these dependsOn" in refused.stdout + refused.stderr
