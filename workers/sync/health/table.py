"""When is which kind ready: the data. To teach a kind, add a row here; `docs/health.md` is generated from it.

The general checks are kstatus' (sigs.k8s.io/cli-utils). The rows follow what Argo CD and Flux judge, see each.
"""

from __future__ import annotations

from shared.state.receipts import Health
from workers.sync.health.predicates import (
    ALWAYS,
    Check,
    Differs,
    Either,
    Equals,
    Every,
    Is,
    Less,
    Matches,
    Not,
    Predicate,
    Present,
    Row,
    Some,
)

WHY = "{reason}: {message}"
"""What a condition says of itself."""

FIRST = (
    Check("progressing", Present("metadata.deletionTimestamp"), "is being deleted"),
    Check(
        "progressing",
        Differs("status.observedGeneration", "metadata.generation"),
        "its controller has not seen the newest change yet",
    ),
    Check("degraded", Is("Stalled"), WHY),
    Check("progressing", Is("Reconciling"), WHY),
)
"""Asked of every object before its row."""

UNTAUGHT = (Check("progressing", Is("Ready", ("False", "Unknown")), WHY),)
"""Asked of kinds that have no row; an object without conditions is ready by being there."""

KUBERNETES_GROUPS = frozenset(
    {
        "", "apps", "batch", "autoscaling", "policy", "extensions", "admissionregistration.k8s.io", "apiextensions.k8s.io",
        "apiregistration.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "certificates.k8s.io", "coordination.k8s.io",
        "discovery.k8s.io", "events.k8s.io", "flowcontrol.apiserver.k8s.io", "internal.apiserver.k8s.io", "networking.k8s.io",
        "node.k8s.io", "rbac.authorization.k8s.io", "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io", "storagemigration.k8s.io",
    }
)  # fmt: skip
"""Groups of Kubernetes itself; every other one, like gateway.networking.k8s.io, is somebody's custom resources."""


def _wait(when: Predicate, message: str = WHY) -> Check:
    return Check("progressing", when, message)


def _fail(when: Predicate, message: str = WHY) -> Check:
    return Check("degraded", when, message)


def _short(have: str, want: str, words: str, health: Health = "progressing") -> Check:
    """Fewer than wanted: `2 of 3 replicas available`."""
    return Check(health, Less(have, want), f"{{{have}}} of {{{want}}} {words}")


REPLICAS = "spec.replicas|1"
OBSERVED = _wait(Not(Present("status.observedGeneration")), "its controller has not looked at it yet")
SURPLUS = _wait(
    Less(REPLICAS, "status.replicas|0"), f"{{status.replicas}} replicas are there, {{{REPLICAS}}} are wanted"
)
NO_REPLICA = Is("ReplicaFailure")
ON_DELETE = Equals("spec.updateStrategy.type", ("OnDelete",))
PARTITION = "spec.updateStrategy.rollingUpdate.partition|0"

WORKLOADS = (
    Row(
        "apps",
        "Deployment",
        "every replica is updated and available, and none of an older revision is left",
        (
            _fail(Is("Progressing", (), ("ProgressDeadlineExceeded",))),
            Check("suspended", Equals("spec.paused", (True,)), "the Deployment is paused"),
            OBSERVED,
            _wait(Every((Less("status.availableReplicas|0", REPLICAS), NO_REPLICA))),
            _short("status.updatedReplicas|0", REPLICAS, "replicas updated"),
            _short("status.availableReplicas|0", REPLICAS, "replicas available"),
            _wait(
                Less("status.updatedReplicas|0", "status.replicas|0"),
                "{status.replicas} replicas are there, {status.updatedReplicas|0} of them updated: old ones are still to go",
            ),
            SURPLUS,
        ),
    ),
    Row(
        "apps",
        "StatefulSet",
        "every replica is ready (with `minReadySeconds`: available) and of the newest revision, except those that a partition keeps back; "
        "with `OnDelete` of any revision",
        (
            OBSERVED,
            _short("status.readyReplicas|0", REPLICAS, "replicas ready"),
            _wait(
                Every((Present("spec.minReadySeconds"), Less("status.availableReplicas|0", REPLICAS))),
                f"{{status.availableReplicas|0}} of {{{REPLICAS}}} replicas available",
            ),
            SURPLUS,
            Check("healthy", ON_DELETE),
            _wait(
                Every((Present(PARTITION), Less("status.updatedReplicas|0", REPLICAS, PARTITION))),
                f"{{status.updatedReplicas|0}} of {{{REPLICAS}}} replicas updated, {{{PARTITION}}} are kept back by the partition",
            ),
            _wait(
                Every((Not(Present(PARTITION)), Differs("status.currentRevision", "status.updateRevision"))),
                f"{{status.updatedReplicas|0}} of {{{REPLICAS}}} replicas updated",
            ),
        ),
    ),
    Row(
        "apps",
        "DaemonSet",
        "on every node that should run it a Pod is updated and available; with `OnDelete` of any revision",
        (
            OBSERVED,
            _wait(
                Every((Not(ON_DELETE), Less("status.updatedNumberScheduled|0", "status.desiredNumberScheduled|0"))),
                "{status.updatedNumberScheduled|0} of {status.desiredNumberScheduled} Pods updated",
            ),
            _short("status.numberAvailable|0", "status.desiredNumberScheduled|0", "Pods available"),
        ),
    ),
    Row(
        "apps",
        "ReplicaSet",
        "every replica is available, and no more are there",
        (
            _fail(NO_REPLICA),
            OBSERVED,
            _short("status.availableReplicas|0", REPLICAS, "replicas available"),
            SURPLUS,
        ),
    ),
    Row(
        "batch",
        "Job",
        "it is complete; one that is gone again (`ttlSecondsAfterFinished`) was",
        (
            _fail(Is("Failed")),
            Check("healthy", Is("Complete")),
            Check(
                "suspended", Either((Is("Suspended"), Equals("spec.suspend", (True,)))), "the Job is suspended"
            ),
            _wait(Is("FailureTarget"), f"is about to fail: {WHY}"),
            _wait(
                Present("spec.completions"),
                "{status.succeeded|0} of {spec.completions} completions; Pods: {status.active|0} running, {status.failed|0} failed",
            ),
            _wait(ALWAYS, "Pods: {status.succeeded|0} succeeded, {status.active|0} running, {status.failed|0} failed"),
        ),
    ),
    Row(
        "batch",
        "CronJob",
        "its last run was a success, is running, or has not been; also while it is suspended",
        (
            Check("healthy", Equals("spec.suspend", (True,))),
            Check("healthy", Present("status.active")),
            _fail(
                Either(
                    (
                        Less("status.lastSuccessfulTime", "status.lastScheduleTime"),
                        Every((Present("status.lastScheduleTime"), Not(Present("status.lastSuccessfulTime")))),
                    )
                ),
                "the run of {status.lastScheduleTime} did not succeed; the last that did ended {status.lastSuccessfulTime|never}",
            ),
        ),
        degraded="its last run did not succeed: `status.lastSuccessfulTime` is missing or before `status.lastScheduleTime`",
    ),
)  # fmt: skip

CONTAINERS = ("status.initContainerStatuses", "status.containerStatuses")
STUCK = Some(CONTAINERS, Matches("state.waiting.reason", "^Err|Error$|BackOff$|^Invalid"))
STUCK_WHY = "container {name}: {state.waiting.reason}: {state.waiting.message}"
HOOK = Either((Present("metadata.annotations[argocd.argoproj.io/hook]"), Present("metadata.annotations[helm.sh/hook]")))
STAYS = Either(
    (
        Equals("spec.restartPolicy|Always", ("Always",)),
        Every((Equals("metadata.annotations[argocd.argoproj.io/ignore-restart-policy]", ("true",)), Not(HOOK))),
    )
)
"""A Pod that is meant to run on, not to come to an end."""
FAILED = Equals("status.phase", ("Failed",))
RUNNING = Equals("status.phase", ("Running",))

PODS = (
    Row(
        "",
        "Pod",
        "it is Ready; with restart policy OnFailure or Never, it has succeeded",
        (
            Check("healthy", Equals("status.phase", ("Succeeded",))),
            _fail(Every((FAILED, Present("status.message"))), "{status.reason}: {status.message}"),
            _fail(
                Every((FAILED, Some(CONTAINERS, Present("state.terminated.exitCode")))),
                "container {name}: {state.terminated.reason}: exit code {state.terminated.exitCode}",
            ),
            _fail(FAILED, "the Pod failed: {status.reason}"),
            _fail(Every((STAYS, STUCK)), STUCK_WHY),
            _wait(STUCK, STUCK_WHY),
            Check("healthy", Every((RUNNING, STAYS, Is("Ready")))),
            _fail(
                Every((RUNNING, STAYS, Some(CONTAINERS, Present("lastState.terminated")))),
                "container {name}: it ended and was restarted: {lastState.terminated.reason}: exit code {lastState.terminated.exitCode}",
            ),
            _wait(Every((RUNNING, STAYS, Is("Ready", ()))), f"is not ready: {WHY}"),
            _wait(RUNNING, "it is still running"),
            _wait(Is("PodScheduled", ("False",))),
            _wait(Some(CONTAINERS, Present("state.waiting.reason")), STUCK_WHY),
            _wait(ALWAYS, "the Pod is {status.phase|new}"),
        ),
        degraded="it has failed; with restart policy Always (or `argocd.argoproj.io/ignore-restart-policy: 'true'` on one that is no hook) "
        "also when a container waits for a reason like ErrImagePull, CreateContainerConfigError or CrashLoopBackOff, or is not ready and was restarted",
    ),
    Row(
        "",
        "PersistentVolumeClaim",
        "it is Bound; of a storage class with `WaitForFirstConsumer` only once a Pod uses it",
        (
            Check("healthy", Equals("status.phase", ("Bound",))),
            _fail(Equals("status.phase", ("Lost",)), "its volume {spec.volumeName} is lost"),
            _wait(ALWAYS, "the claim is {status.phase|new}, no volume is bound to it yet"),
        ),
    ),
)

ADDRESS = _wait(
    Not(Present("status.loadBalancer.ingress")),
    "has no address yet; does the cluster have a controller that gives one?",
)

NETWORK = (
    Row(
        "",
        "Service",
        "of type LoadBalancer: it has an address; every other type: it is there",
        (Check("healthy", Not(Equals("spec.type", ("LoadBalancer",)))), ADDRESS),
    ),
    Row("networking.k8s.io", "Ingress", "it has an address", (ADDRESS,)),
)

NO_METRICS = (
    "FailedGetResourceMetric", "FailedGetContainerResourceMetric", "FailedGetObjectMetric", "FailedGetPodsMetric",
    "FailedGetExternalMetric", "FailedComputeMetricsReplicas", "InvalidMetricSourceType", "InvalidSelector",
)  # fmt: skip

POLICIES = (
    Row(
        "autoscaling",
        "HorizontalPodAutoscaler",
        "it can scale its target",
        (
            _fail(
                Either(
                    (
                        Is("AbleToScale", (), ("FailedGetScale", "FailedUpdateScale")),
                        Is("ScalingActive", (), NO_METRICS),
                    )
                )
            ),
            Check("healthy", Either((Is("AbleToScale"), Is("ScalingLimited")))),
            _wait(Is("AbleToScale", ())),
            _wait(ALWAYS, "waits for its first autoscaling"),
        ),
        degraded="it cannot read or write its target's scale (FailedGetScale, FailedUpdateScale) or gets no metrics (FailedGetResourceMetric and its like, "
        "InvalidSelector)",
    ),
    Row(
        "policy",
        "PodDisruptionBudget",
        "its controller has counted its Pods, whether it allows a disruption or not",
        (_fail(Is("DisruptionAllowed", (), ("SyncFailed",))), OBSERVED),
    ),
)

CLUSTER = (
    Row(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "it is established, that is, its objects can be written",
        (
            _fail(Is("NamesAccepted", ("False",))),
            _fail(Every((Not(Is("Established", ("False",), ("Installing",))), Is("Established", ("False",))))),
            Check("healthy", Is("Established")),
            _wait(Is("Established", ())),
            _wait(ALWAYS, "the definition is not established yet"),
        ),
        degraded="its names are not accepted, or it is not established for another reason than Installing",
    ),
    Row(
        "apiregistration.k8s.io",
        "APIService",
        "it is available",
        (
            Check("healthy", Is("Available")),
            _wait(Is("Available", ())),
            _wait(ALWAYS, "nobody has looked at it yet"),
        ),
    ),
    Row(
        "",
        "Namespace",
        "it is Active",
        (_wait(Equals("status.phase", ("Terminating",)), "the Namespace is Terminating"),),
    ),
)

ROWS = {(row.group, row.kind): row for row in (*WORKLOADS, *PODS, *NETWORK, *POLICIES, *CLUSTER)}
"""By (group, kind): a custom resource that is also called Service is not judged as one."""
