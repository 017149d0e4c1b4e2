"""What keeps a Sync from being ready: the worst verdict, a line for each object, and the cause that its Pods show."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import pytest

from workers.clusters.client import ClusterClient, Listing
from workers.clusters.discovery import Kinds, Resource
from workers.clusters.errors import ClusterUnreachableError, ForbiddenError, ServerError
from workers.sync.changes import ChangeSet
from workers.sync.health.reasons import LONGEST
from workers.sync.plan import Body, Key
from workers.sync.readiness import MOST_EXPLAINED, PODS_LOOKED_AT, assess, pod_selector

POD = Resource("", "v1", "Pod", "pods", True, frozenset({"list"}))
KINDS = Kinds(preferred={("", "Pod"): POD})
PULL = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "web:9"'}}
DEADLINE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}


class Pods:
    """Stands for a cluster's API where only Pods are listed."""

    def __init__(self, *pods: Body, error: Exception | None = None) -> None:
        self.pods, self.error = pods, error
        self.asked: list[tuple[str, str | None, int | None]] = []

    async def list_full(
        self, resource: Resource, selector: str, namespaces: Sequence[str] = (), *, most: int | None = None
    ) -> Listing:
        assert resource is POD
        (namespace,) = namespaces
        self.asked.append((selector, namespace, most))
        if self.error:
            raise self.error
        return Listing(list(self.pods), 1)


def pod(name: str, state: Body, created: str = "2026-01-01T00:00:00Z", **meta: Any) -> Body:
    status = {"phase": "Pending", "containerStatuses": [{"name": "app", "state": state}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "creationTimestamp": created, **meta},
        "status": status,
    }


def workload(name: str, kind: str = "Deployment", group: str = "apps", *, ready: int = 0, **status: Any) -> Body:
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}}
    counts = {"observedGeneration": 1, "updatedReplicas": 2, "replicas": 2, "availableReplicas": ready}
    meta = {"name": name, "namespace": "web", "generation": 1}
    return {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": meta,
        "spec": spec,
        "status": {**counts, "readyReplicas": ready, **status},
    }


def key(body: Body) -> Key:
    return body["apiVersion"].rpartition("/")[0], body["kind"], body["metadata"]["namespace"], body["metadata"]["name"]


def assessed(
    client: Pods, *live: Body, wanted: Collection[Key] | None = None, kinds: Kinds = KINDS
) -> tuple[str, list[str]]:
    bodies: Mapping[Key, Body] = {key(body): body for body in live}
    done = ChangeSet("web", not_ready=["from the run before"])
    asyncio.run(assess(cast("ClusterClient", client), kinds, wanted or list(bodies), bodies, done))
    return done.health, done.not_ready


def test_a_sync_whose_objects_are_ready_is_healthy_and_asks_for_no_pods() -> None:
    client = Pods()
    assert assessed(client, workload("a", ready=2), workload("b", ready=2)) == ("healthy", [])
    assert client.asked == []


def test_the_worst_object_gives_the_health_and_is_named_first() -> None:
    paused, slow, dead = workload("a", ready=2), workload("b", ready=1), workload("c", conditions=[DEADLINE])
    paused["spec"]["paused"] = True
    assert assessed(Pods(), workload("d", ready=2), paused)[0] == "suspended"
    assert assessed(Pods(), paused, slow)[0] == "progressing"
    assert assessed(Pods(), paused, slow, dead) == (
        "degraded",
        [
            "Deployment/web/c: ProgressDeadlineExceeded: timed out",
            "Deployment/web/b: 1 of 2 replicas available",
            "Deployment/web/a: the Deployment is paused",
        ],
    )


def test_a_workload_names_what_its_pods_say_and_keeps_its_own_verdict() -> None:
    client = Pods(pod("web-1", {"running": {}}), pod("web-2", PULL))
    assert assessed(client, workload("web")) == (
        "progressing",
        [
            'Deployment/web/web: 0 of 2 replicas available; Pod web-2: container app: ImagePullBackOff: Back-off pulling image "web:9"'
        ],
    )
    assert client.asked == [("app=web", "web", PODS_LOOKED_AT)]


def test_of_several_bad_pods_the_newest_speaks_and_one_that_is_going_does_not() -> None:
    crash = {"waiting": {"reason": "CrashLoopBackOff"}}
    client = Pods(
        pod("old", PULL),
        pod("new", crash, created="2026-02-01T00:00:00Z"),
        pod("going", PULL, created="2026-03-01T00:00:00Z", deletionTimestamp="2026-03-01T00:01:00Z"),
    )
    (line,) = assessed(client, workload("web"))[1]
    assert line.endswith("; Pod new: container app: CrashLoopBackOff")


def test_each_kind_of_workload_asks_for_its_pods_and_nothing_else_does() -> None:
    for kind, group in (("Deployment", "apps"), ("StatefulSet", "apps"), ("ReplicaSet", "apps"), ("Job", "batch")):
        client = Pods(pod("p", PULL))
        (line,) = assessed(client, workload("x", kind, group))[1]
        assert "ImagePullBackOff" in line, kind
    client = Pods(pod("p", PULL))
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "x", "namespace": "web"},
        "spec": {},
    }
    assert assessed(client, claim)[0] == "progressing"
    assert client.asked == []


@pytest.mark.parametrize("error", [ForbiddenError("403"), ServerError("429")])
def test_pods_that_cannot_be_listed_leave_the_workloads_own_reason(error: Exception) -> None:
    assert assessed(Pods(error=error), workload("web"))[1] == ["Deployment/web/web: 0 of 2 replicas available"]


def test_a_cluster_that_is_gone_is_not_taken_for_one_without_a_cause() -> None:
    with pytest.raises(ClusterUnreachableError):
        assessed(Pods(error=ClusterUnreachableError("gone")), workload("web"))


def test_a_cluster_without_the_kind_pod_gives_no_cause() -> None:
    assert assessed(Pods(), workload("web"), kinds=Kinds())[1] == ["Deployment/web/web: 0 of 2 replicas available"]


def test_what_is_not_there_is_not_ready_but_a_job_that_is_gone_was() -> None:
    gone: list[Key] = [("apps", "Deployment", "web", "a"), ("batch", "Job", "web", "b"), ("", "ConfigMap", "web", "c")]
    assert assessed(Pods(), wanted=gone) == ("progressing", ["Deployment/web/a: is not there"])
    assert assessed(Pods(), wanted=gone[1:]) == ("healthy", [])


def test_kinds_that_are_ready_by_existing_are_not_judged() -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "web", "name": "c", "deletionTimestamp": "x"}}  # fmt: skip
    assert assessed(Pods(), body) == ("healthy", [])


def test_many_bad_workloads_cost_a_bounded_number_of_requests() -> None:
    client = Pods(pod("p", PULL))
    lines = assessed(client, *(workload(f"w{number:02}") for number in range(30)))[1]
    assert len(client.asked) == MOST_EXPLAINED
    assert len(lines) == 30
    assert [("ImagePullBackOff" in line) for line in lines] == [True] * MOST_EXPLAINED + [False] * 20


def test_a_line_is_short() -> None:
    state = {"waiting": {"reason": "ErrImagePull", "message": "no\nsuch image " * 100}}
    (line,) = assessed(Pods(pod("p", state)), workload("web"))[1]
    assert len(line) <= LONGEST + len("Deployment/web/web: ")
    assert "\n" not in line


def test_a_selector_is_said_as_the_api_reads_it() -> None:
    terms = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "NotIn", "values": ["yes"]},
        {"key": "x", "operator": "Exists"},
        {"key": "y", "operator": "DoesNotExist"},
    ]
    spec = {"selector": {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": terms}}
    assert pod_selector({"spec": spec}) == "a=1,b=2,tier in (a,b),old notin (yes),x,!y"
    assert pod_selector({"spec": {}}) == ""
