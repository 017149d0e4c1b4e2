"""When an object counts as healthy, by kind."""

from __future__ import annotations

from typing import Any

import pytest

from workers.sync.health import judge


def body(
    kind: str, spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **meta: Any
) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"generation": 2, **meta}, "spec": spec or {}, "status": status or {}}


def condition(kind: str, status: str, reason: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason}]}


READY = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "observedGeneration": 2}
CASES = [
    (body("ConfigMap"), "healthy"),
    (body("ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z"), "progressing"),
    (body("Deployment", {"replicas": 3}, READY), "healthy"),
    (body("Deployment", {"replicas": 3}, {**READY, "observedGeneration": 1}), "progressing"),
    (body("Deployment", {"replicas": 3}, {**READY, "availableReplicas": 2}), "progressing"),
    (body("Deployment", {"replicas": 3}), "progressing"),
    (
        body("Deployment", {"replicas": 3}, {**READY, **condition("Progressing", "False", "ProgressDeadlineExceeded")}),
        "degraded",
    ),
    (body("StatefulSet", {"replicas": 3}, {"observedGeneration": 2, "readyReplicas": 1, "replicas": 3}), "progressing"),
    (body("Job", {}, condition("Complete", "True")), "healthy"),
    (body("Job", {}, condition("Failed", "True", "BackoffLimitExceeded")), "degraded"),
    (body("Job", {"suspend": True}), "suspended"),
    (body("CustomResourceDefinition", {}, condition("Established", "True")), "healthy"),
    (body("CustomResourceDefinition", {}), "progressing"),
    (body("APIService", {}, condition("Available", "False", "ServiceNotFound")), "progressing"),
    (body("PersistentVolumeClaim", {}, {"phase": "Bound"}), "healthy"),
    (body("PersistentVolumeClaim", {}, {"phase": "Pending"}), "progressing"),
    (body("Widget", {}, condition("Ready", "True")), "healthy"),
    (body("Widget", {}, condition("Ready", "False", "Waiting")), "progressing"),
    (body("Widget", {}, condition("Stalled", "True", "Broken")), "degraded"),
]


@pytest.mark.parametrize(
    ("live", "verdict"), CASES, ids=lambda value: value if isinstance(value, str) else value["kind"]
)
def test_the_health_of_an_object(live: dict[str, Any], verdict: str) -> None:
    found, why = judge(live)
    assert found == verdict
    assert found == "healthy" or why
