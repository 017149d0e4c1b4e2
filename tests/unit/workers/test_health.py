"""When an object counts as healthy, kind by kind, and what is said when it does not."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from workers.sync.health import Verdict, judge, may_be_unready, page
from workers.sync.health.predicates import ALWAYS, Check, Is, Row
from workers.sync.health.reasons import LONGEST
from workers.sync.health.table import ROWS

ROOT = Path(__file__).parents[3]
CASES = ROOT.parent / "shared" / "realworld" / "gitops-engine-health.expected.tsv"
ARCHIVE = CASES.with_name("gitops-engine-health.tar.gz")
Body = dict[str, Any]


def body(kind: str, spec: Body | None = None, status: Body | None = None, **meta: Any) -> Body:
    """A live object of `kind`, written `Kind` or `group/Kind`."""
    group, _, kind = kind.rpartition("/")
    version = f"{group}/v1" if group else "v1"
    meta = {"name": "x", "generation": 2, **meta}
    return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec or {}, "status": status or {}}


def condition(kind: str, status: str = "True", reason: str = "", message: str = "") -> Body:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def conditions(*found: Body, **status: Any) -> Body:
    return {"conditions": list(found), **status}


def container(state: Body, last: Body | None = None, name: str = "app") -> Body:
    return {"containerStatuses": [{"name": name, "state": state, "lastState": last or {}}]}


def notes(**pairs: str) -> dict[str, str]:
    return {f"argocd.argoproj.io/{name.replace('_', '-')}": value for name, value in pairs.items()}


SEEN = {"observedGeneration": 2}
THREE = {**SEEN, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
REVISIONS = {"currentRevision": "a", "updateRevision": "b"}
NODES = {**SEEN, "desiredNumberScheduled": 4, "updatedNumberScheduled": 4, "numberAvailable": 4}
PULL = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "web:9"'}}
CRASHED = {"terminated": {"reason": "Error", "exitCode": 3, "message": "password=hunter-two"}}
HPA = "autoscaling/HorizontalPodAutoscaler"
CRD = "apiextensions.k8s.io/CustomResourceDefinition"
CLUSTER_ROWS: list[tuple[Body, str, str]] = [
    (body("ConfigMap"), "healthy", ""),
    (body("ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z"), "progressing", "is being deleted"),
    (body("Namespace", {}, {"phase": "Active"}), "healthy", ""),
    (body("Namespace"), "healthy", ""),
    (body("Namespace", {}, {"phase": "Terminating"}), "progressing", "the Namespace is Terminating"),
    (body(CRD, {}, conditions(condition("Established"), condition("NamesAccepted"))), "healthy", ""),
    (body(CRD), "progressing", "the definition is not established yet"),
    (body(CRD, {}, {"conditions": None}), "progressing", "the definition is not established yet"),
    (body(CRD, {}, conditions(condition("Established", "False", "Installing", "soon"))), "progressing", "Installing: soon"),
    (body(CRD, {}, conditions(condition("Established", "False", "NotAccepted", "not all names"))), "degraded", "NotAccepted: not all names"),
    (
        body(CRD, {}, conditions(condition("NamesAccepted", "False", "PluralConflict", '"widgets" is taken'))),
        "degraded",
        'PluralConflict: "widgets" is taken',
    ),
    (body("apiregistration.k8s.io/APIService", {}, conditions(condition("Available"))), "healthy", ""),
    (body("apiregistration.k8s.io/APIService"), "progressing", "nobody has looked at it yet"),
    (
        body("apiregistration.k8s.io/APIService", {}, conditions(condition("Available", "False", "ServiceNotFound", "no metrics"))),
        "progressing",
        "ServiceNotFound: no metrics",
    ),
]  # fmt: skip
WORKLOADS: list[tuple[Body, str, str]] = [
    (body("apps/Deployment", {"replicas": 3}, THREE), "healthy", ""),
    (body("apps/Deployment", {"replicas": 0}, SEEN), "healthy", ""),
    (body("apps/Deployment", {"replicas": 3}), "progressing", "its controller has not looked at it yet"),
    (
        body("apps/Deployment", {"replicas": 3}, {**THREE, "observedGeneration": 1}),
        "progressing",
        "its controller has not seen the newest change yet",
    ),
    (body("apps/Deployment", {"replicas": 3}, {**THREE, "updatedReplicas": 1}), "progressing", "1 of 3 replicas updated"),
    (body("apps/Deployment", {"replicas": 5}, {**THREE, "updatedReplicas": 5}), "progressing", "3 of 5 replicas available"),
    (body("apps/Deployment", {}, {**SEEN, "updatedReplicas": 1}), "progressing", "0 of 1 replicas available"),
    (body("apps/Deployment", {"replicas": 2}, THREE), "progressing", "3 replicas are there, 2 are wanted"),
    (
        body("apps/Deployment", {"replicas": 3}, {**THREE, "replicas": 4}),
        "progressing",
        "4 replicas are there, 3 of them updated: old ones are still to go",
    ),
    (
        body("apps/Deployment", {"replicas": 3}, conditions(condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota"), **SEEN)),
        "progressing",
        "FailedCreate: exceeded quota",
    ),
    (body("apps/Deployment", {"replicas": 3}, conditions(condition("ReplicaFailure"), **THREE)), "healthy", ""),
    (
        body("apps/Deployment", {"replicas": 3}, conditions(condition("Progressing", "False", "ProgressDeadlineExceeded", "timed out"), **THREE)),
        "degraded",
        "ProgressDeadlineExceeded: timed out",
    ),
    (body("apps/Deployment", {"replicas": 3, "paused": True}, SEEN), "suspended", "the Deployment is paused"),
    (body("apps/StatefulSet", {"replicas": 3}, THREE), "healthy", ""),
    (body("apps/StatefulSet", {"replicas": 3}), "progressing", "its controller has not looked at it yet"),
    (body("apps/StatefulSet", {"replicas": 3}, {**THREE, "readyReplicas": 2}), "progressing", "2 of 3 replicas ready"),
    (body("apps/StatefulSet", {"replicas": 3, "minReadySeconds": 0}, {**THREE, "availableReplicas": 2}), "healthy", ""),
    (
        body("apps/StatefulSet", {"replicas": 3, "minReadySeconds": 9}, {**THREE, "availableReplicas": 2}),
        "progressing",
        "2 of 3 replicas available",
    ),
    (body("apps/StatefulSet", {"replicas": 2}, THREE), "progressing", "3 replicas are there, 2 are wanted"),
    (
        body("apps/StatefulSet", {"replicas": 3}, {**THREE, **REVISIONS, "updatedReplicas": 1}),
        "progressing",
        "1 of 3 replicas updated",
    ),
    (
        body("apps/StatefulSet", {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 1}}}, {**THREE, **REVISIONS, "updatedReplicas": 1}),
        "progressing",
        "1 of 3 replicas updated, 1 are kept back by the partition",
    ),
    (
        body("apps/StatefulSet", {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 1}}}, {**THREE, **REVISIONS, "updatedReplicas": 2}),
        "healthy",
        "",
    ),
    (
        body("apps/StatefulSet", {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 5}}}, {**THREE, **REVISIONS, "updatedReplicas": 0}),
        "healthy",
        "",
    ),
    (body("apps/StatefulSet", {"replicas": 3, "updateStrategy": {"type": "OnDelete"}}, {**THREE, **REVISIONS}), "healthy", ""),
    (
        body("apps/StatefulSet", {"replicas": 3, "updateStrategy": {"type": "OnDelete"}}, {**THREE, "readyReplicas": 1}),
        "progressing",
        "1 of 3 replicas ready",
    ),
    (body("apps/DaemonSet", {}, NODES), "healthy", ""),
    (body("apps/DaemonSet"), "progressing", "its controller has not looked at it yet"),
    (body("apps/DaemonSet", {}, {**SEEN, "desiredNumberScheduled": 0}), "healthy", ""),
    (body("apps/DaemonSet", {}, {**NODES, "updatedNumberScheduled": 1}), "progressing", "1 of 4 Pods updated"),
    (body("apps/DaemonSet", {}, {**NODES, "numberAvailable": 3}), "progressing", "3 of 4 Pods available"),
    (body("apps/DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, {**NODES, "updatedNumberScheduled": 1}), "healthy", ""),
    (
        body("apps/DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, {**NODES, "numberAvailable": 1}),
        "progressing",
        "1 of 4 Pods available",
    ),
    (body("apps/ReplicaSet", {"replicas": 3}, THREE), "healthy", ""),
    (body("apps/ReplicaSet", {"replicas": 3}), "progressing", "its controller has not looked at it yet"),
    (body("apps/ReplicaSet", {"replicas": 3}, {**THREE, "availableReplicas": 2}), "progressing", "2 of 3 replicas available"),
    (body("apps/ReplicaSet", {"replicas": 1}, THREE), "progressing", "3 replicas are there, 1 are wanted"),
    (
        body("apps/ReplicaSet", {"replicas": 3}, conditions(condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota"), **SEEN)),
        "degraded",
        "FailedCreate: exceeded quota",
    ),
    (body("batch/Job", {}, conditions(condition("Complete"))), "healthy", ""),
    (body("batch/Job", {"suspend": True}, conditions(condition("Complete"))), "healthy", ""),
    (
        body("batch/Job", {"completions": 5}, {"active": 2, "succeeded": 3, "failed": 1}),
        "progressing",
        "3 of 5 completions; Pods: 2 running, 1 failed",
    ),
    (body("batch/Job", {"parallelism": 3}, {"active": 3}), "progressing", "Pods: 0 succeeded, 3 running, 0 failed"),
    (
        body("batch/Job", {}, conditions(condition("FailureTarget", "True", "PodFailurePolicy", "exit code 42"))),
        "progressing",
        "is about to fail: PodFailurePolicy: exit code 42",
    ),
    (
        body("batch/Job", {}, conditions(condition("Failed", "True", "BackoffLimitExceeded", "too often"))),
        "degraded",
        "BackoffLimitExceeded: too often",
    ),
    (body("batch/Job", {"suspend": True}), "suspended", "the Job is suspended"),
    (body("batch/Job", {}, conditions(condition("Suspended"))), "suspended", "the Job is suspended"),
    (body("batch/CronJob"), "healthy", ""),
    (body("batch/CronJob", {}, {"lastScheduleTime": "2026-01-02T03:00:00Z", "lastSuccessfulTime": "2026-01-02T03:00:09Z"}), "healthy", ""),
    (
        body("batch/CronJob", {}, {"lastScheduleTime": "2026-01-03T03:00:00Z", "lastSuccessfulTime": "2026-01-02T03:00:09Z"}),
        "degraded",
        "the run of 2026-01-03T03:00:00Z did not succeed; the last that did ended 2026-01-02T03:00:09Z",
    ),
    (
        body("batch/CronJob", {}, {"lastScheduleTime": "2026-01-03T03:00:00Z"}),
        "degraded",
        "the run of 2026-01-03T03:00:00Z did not succeed; the last that did ended never",
    ),
    (body("batch/CronJob", {}, {"lastScheduleTime": "2026-01-03T03:00:00Z", "active": [{"name": "x"}]}), "healthy", ""),
    (body("batch/CronJob", {"suspend": True}, {"lastScheduleTime": "2026-01-03T03:00:00Z"}), "healthy", ""),
]  # fmt: skip
PODS: list[tuple[Body, str, str]] = [
    (body("Pod", {}, conditions(condition("Ready"), phase="Running")), "healthy", ""),
    (body("Pod", {"restartPolicy": "Never"}, {"phase": "Succeeded"}), "healthy", ""),
    (body("Pod"), "progressing", "the Pod is new"),
    (body("Pod", {}, {"phase": "Unknown"}), "progressing", "the Pod is Unknown"),
    (
        body("Pod", {}, conditions(condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available"), phase="Pending")),
        "progressing",
        "Unschedulable: 0/3 nodes are available",
    ),
    (body("Pod", {}, {"phase": "Pending", **container({"waiting": {"reason": "ContainerCreating"}})}), "progressing", "container app: ContainerCreating"),
    (
        body("Pod", {}, conditions(condition("Ready", "False", "ContainersNotReady", "[app]"), phase="Running", **container({"running": {}}))),
        "progressing",
        "is not ready: ContainersNotReady: [app]",
    ),
    (body("Pod", {"restartPolicy": "Never"}, conditions(condition("Ready"), phase="Running")), "progressing", "it is still running"),
    (body("Pod", {}, {"phase": "Pending", **container(PULL)}), "degraded", 'container app: ImagePullBackOff: Back-off pulling image "web:9"'),
    (
        body("Pod", {}, {"phase": "Pending", "initContainerStatuses": [{"name": "migrate", "state": PULL}]}),
        "degraded",
        'container migrate: ImagePullBackOff: Back-off pulling image "web:9"',
    ),
    (
        body("Pod", {"restartPolicy": "Never"}, {"phase": "Pending", **container(PULL)}),
        "progressing",
        'container app: ImagePullBackOff: Back-off pulling image "web:9"',
    ),
    (
        body("Pod", {"restartPolicy": "OnFailure"}, {"phase": "Running", **container({"waiting": {"reason": "CrashLoopBackOff"}})}),
        "progressing",
        "container app: CrashLoopBackOff",
    ),
    (
        body("Pod", {"restartPolicy": "Never"}, {"phase": "Pending", **container(PULL)}, annotations=notes(ignore_restart_policy="true")),
        "degraded",
        'container app: ImagePullBackOff: Back-off pulling image "web:9"',
    ),
    (
        body("Pod", {"restartPolicy": "Never"}, conditions(condition("Ready"), phase="Running"), annotations=notes(ignore_restart_policy="true", hook="Sync")),
        "progressing",
        "it is still running",
    ),
    (
        body("Pod", {}, conditions(condition("Ready", "False"), phase="Running", **container({"running": {}}, CRASHED))),
        "degraded",
        "container app: it ended and was restarted: Error: exit code 3",
    ),
    (body("Pod", {}, conditions(condition("Ready"), phase="Running", **container({"running": {}}, CRASHED))), "healthy", ""),
    (body("Pod", {}, {"phase": "Failed", **container(CRASHED)}), "degraded", "container app: Error: exit code 3"),
    (body("Pod", {}, {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}), "degraded", "Evicted: The node was low on memory."),
    (body("Pod", {}, {"phase": "Failed"}), "degraded", "the Pod failed"),
    (body("PersistentVolumeClaim", {}, {"phase": "Bound"}), "healthy", ""),
    (body("PersistentVolumeClaim", {}, {"phase": "Pending"}), "progressing", "the claim is Pending, no volume is bound to it yet"),
    (body("PersistentVolumeClaim"), "progressing", "the claim is new, no volume is bound to it yet"),
    (body("PersistentVolumeClaim", {"volumeName": "pv-7"}, {"phase": "Lost"}), "degraded", "its volume pv-7 is lost"),
]  # fmt: skip
NO_ADDRESS = "has no address yet; does the cluster have a controller that gives one?"
NETWORK: list[tuple[Body, str, str]] = [
    (body("Service", {"type": "ClusterIP"}), "healthy", ""),
    (body("Service", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}), "healthy", ""),
    (body("Service", {"type": "LoadBalancer"}, {"loadBalancer": {}}), "progressing", NO_ADDRESS),
    (body("networking.k8s.io/Ingress", {}, {"loadBalancer": {"ingress": [{"hostname": "lb.example.org"}]}}), "healthy", ""),
    (body("networking.k8s.io/Ingress"), "progressing", NO_ADDRESS),
    (body(HPA, {}, conditions(condition("AbleToScale"), condition("ScalingActive", "False", "ScalingDisabled"))), "healthy", ""),
    (body(HPA, {}, conditions(condition("ScalingLimited"))), "healthy", ""),
    (body(HPA), "progressing", "waits for its first autoscaling"),
    (body(HPA, {}, conditions(condition("AbleToScale", "False", "BackoffBoth", "too soon"))), "progressing", "BackoffBoth: too soon"),
    (
        body(HPA, {}, conditions(condition("AbleToScale"), condition("ScalingActive", "False", "FailedGetResourceMetric", "no metrics"))),
        "degraded",
        "FailedGetResourceMetric: no metrics",
    ),
    (body(HPA, annotations={"autoscaling.alpha.kubernetes.io/conditions": '[{"type":"AbleToScale","status":"True"}]'}), "healthy", ""),
    (body(HPA, annotations={"autoscaling.alpha.kubernetes.io/conditions": "not json"}), "progressing", "waits for its first autoscaling"),
    (body("policy/PodDisruptionBudget", {}, conditions(condition("DisruptionAllowed", "False", "InsufficientPods"), **SEEN)), "healthy", ""),
    (body("policy/PodDisruptionBudget"), "progressing", "its controller has not looked at it yet"),
    (
        body("policy/PodDisruptionBudget", {}, conditions(condition("DisruptionAllowed", "False", "SyncFailed", "no scale"), **SEEN)),
        "degraded",
        "SyncFailed: no scale",
    ),
]  # fmt: skip
WIDGET = "example.com/Widget"
CUSTOM: list[tuple[Body, str, str]] = [
    (body(WIDGET), "healthy", ""),
    (body(WIDGET, {}, conditions(condition("Ready"))), "healthy", ""),
    (body(WIDGET, {}, conditions(condition("Synced", "False"))), "healthy", ""),
    (
        body(WIDGET, {}, conditions(condition("Ready", "False", "Waiting", "for rain"))),
        "progressing",
        "Waiting: for rain",
    ),
    (body(WIDGET, {}, conditions(condition("Ready", "Unknown"))), "progressing", "Ready"),
    (
        body(WIDGET, {}, conditions(condition("Reconciling", message="step 2"), condition("Ready"))),
        "progressing",
        "step 2",
    ),
    (
        body(WIDGET, {}, conditions(condition("Ready", "False"), condition("Stalled", "True", "Broken"))),
        "degraded",
        "Broken",
    ),
    (body(WIDGET, {}, {"observedGeneration": 1}), "progressing", "its controller has not seen the newest change yet"),
    (body(WIDGET, {}, {"observedGeneration": "2"}), "healthy", ""),
    (body(WIDGET, {}, {"conditions": {"Ready": "False"}}), "healthy", ""),
    (body(WIDGET, {}, {"conditions": ["Ready"]}), "healthy", ""),
    ({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "x"}, "status": "fine"}, "healthy", ""),
    # The name of a kind says nothing without its group.
    (body("serving.knative.dev/Service", {"type": "LoadBalancer"}), "healthy", ""),
    (body("example.com/Deployment", {"replicas": 3}), "healthy", ""),
]
OWN = [*CLUSTER_ROWS, *WORKLOADS, *PODS, *NETWORK, *CUSTOM]


@cache
def theirs() -> dict[str, Body]:
    with tarfile.open(ARCHIVE) as archive:
        members = [member for member in archive.getmembers() if member.name.endswith(".yaml")]
        return {Path(member.name).name: yaml.safe_load(archive.extractfile(member) or b"") for member in members}


def expected() -> list[tuple[str, str]]:
    if not CASES.exists():
        return [("", "")]
    rows = (line.split("\t") for line in CASES.read_text().splitlines())
    return [(name, verdict.lower()) for name, verdict in rows]


@pytest.mark.parametrize(("name", "verdict"), expected())
def test_argo_cds_own_cases_get_the_health_that_argo_cd_gives_them(name: str, verdict: str) -> None:
    if not name or not ARCHIVE.exists():
        pytest.skip(f"the cases are not there: {CASES}")
    found = judge(theirs()[name])
    assert found.health == verdict
    assert bool(found.reason) == (verdict != "healthy")


@pytest.mark.parametrize(
    ("live", "health", "reason"), OWN, ids=[f"{live['kind']}-{health}-{reason[:40]}" for live, health, reason in OWN]
)
def test_the_health_of_an_object_and_why(live: Body, health: str, reason: str) -> None:
    assert judge(live) == (health, reason)


def test_every_row_has_cases_for_each_verdict_that_it_can_give() -> None:
    seen: dict[tuple[str, str], set[str]] = {}
    for live, health, _ in OWN:
        seen.setdefault((live["apiVersion"].rpartition("/")[0], live["kind"]), set()).add(health)
    for key, row in ROWS.items():
        assert seen[key] >= {"healthy", *(check.health for check in row.checks)}, key


def test_no_check_of_a_row_could_be_taken_out_unnoticed() -> None:
    for key, row in ROWS.items():
        for number, check in enumerate(row.checks):
            less = replace(row, checks=row.checks[:number] + row.checks[number + 1 :])
            assert any(judge(live, ROWS | {key: less}) != (health, reason) for live, health, reason in OWN), check


def test_a_reason_is_one_short_line_that_no_terminal_obeys() -> None:
    message = "line one\nline two \x1b[31mred\x1b[0m " + "x" * 1000
    reason = judge(body(WIDGET, {}, conditions(condition("Ready", "False", "Bad", message)))).reason
    assert reason.startswith("Bad: line one line two [31mred[0m xxx")
    assert reason.isprintable()
    assert len(reason) == LONGEST


def test_what_a_container_printed_at_its_end_is_not_repeated() -> None:
    for status in ({"phase": "Failed", **container(CRASHED)}, {"phase": "Running", **container(CRASHED, CRASHED)}):
        assert "hunter-two" not in judge(body("Pod", {}, status)).reason


def test_kinds_that_are_ready_by_existing_are_told_from_those_that_are_not() -> None:
    for group, kind in (("", "ConfigMap"), ("rbac.authorization.k8s.io", "Role"), ("apps", "ControllerRevision")):
        assert not may_be_unready(group, kind)
    for group, kind in (("apps", "Deployment"), ("", "Service"), ("example.com", "Widget"), ("gateway.networking.k8s.io", "Gateway")):  # fmt: skip
        assert may_be_unready(group, kind)


def test_another_rule_can_be_given_for_a_kind() -> None:
    rows = ROWS | {("example.com", "Widget"): Row("example.com", "Widget", "", (Check("degraded", ALWAYS, "no"),))}
    assert judge(body(WIDGET), rows) == Verdict("degraded", "no")
    assert judge(body(WIDGET)) == Verdict("healthy")


def test_the_committed_page_is_the_generated_one_so_run_make_docs() -> None:
    assert (ROOT / "docs" / "health.md").read_text(encoding="utf-8") == page.markdown()
    assert page.described(Is("Ready")) == "condition Ready is True"
