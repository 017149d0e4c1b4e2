"""Is a Sync ready, and what keeps it? Judges the live objects that a run has listed and asks for the Pods of those that are not."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from shared.errors import PermanentError
from shared.state.receipts import Health
from workers.clusters.client import ClusterClient
from workers.clusters.discovery import Kinds
from workers.clusters.errors import ServerError
from workers.sync.changes import ChangeSet
from workers.sync.health import Verdict, judge, may_be_unready
from workers.sync.health.reasons import one_line
from workers.sync.plan import Body, Key, subject

RANK: tuple[Health, ...] = ("healthy", "suspended", "progressing", "degraded")
"""From best to worst."""
WORKLOADS = frozenset(
    {("apps", kind) for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")} | {("batch", "Job")}
)
"""Kinds whose cause stands in their Pods."""
JOB = ("batch", "Job")
MOST_EXPLAINED = 10
"""Workloads of one Sync whose Pods are asked for in one run, so that a bad day costs a bounded number of requests."""
PODS_LOOKED_AT = 50


async def assess(
    client: ClusterClient, kinds: Kinds, wanted: Collection[Key], live: Mapping[Key, Body], done: ChangeSet
) -> None:
    """Set `done.health` to the worst verdict and `done.not_ready` to one line for each object that is not ready, worst first.

    A workload's line names the cause that its Pods show; the verdict stays the workload's own, because a rollout can recover.

    Args:
        client: For the Pods alone.
        kinds: The cluster's kinds.
        wanted: All objects of the Sync.
        live: Those of them that may be unready, whole, as just listed.
        done: What is filled.
    """
    verdicts = {key: _verdict(key, live) for key in wanted if may_be_unready(key[0], key[1])}
    unready = sorted(
        (key for key, verdict in verdicts.items() if verdict.health != "healthy"),
        key=lambda key: (-RANK.index(verdicts[key].health), subject(key)),
    )
    asked = [key for key in unready if _has_pods_to_ask(key, verdicts[key], live)][:MOST_EXPLAINED]
    causes = dict(zip(asked, await asyncio.gather(*(_cause(client, kinds, live[key]) for key in asked)), strict=True))
    done.health = verdicts[unready[0]].health if unready else "healthy"
    done.not_ready[:] = [_line(key, verdicts[key], causes.get(key, "")) for key in unready]


def _verdict(key: Key, live: Mapping[Key, Body]) -> Verdict:
    if key in live:
        return judge(live[key])
    # A Job that has finished may be gone already: ttlSecondsAfterFinished.
    return Verdict("healthy") if key[:2] == JOB else Verdict("progressing", "is not there")


def _has_pods_to_ask(key: Key, verdict: Verdict, live: Mapping[Key, Body]) -> bool:
    return key[:2] in WORKLOADS and key in live and verdict.health != "suspended"


def _line(key: Key, verdict: Verdict, cause: str) -> str:
    return f"{subject(key)}: " + one_line("; ".join(part for part in (verdict.reason, cause) if part))


async def _cause(client: ClusterClient, kinds: Kinds, workload: Body) -> str:
    """What the worst of a workload's Pods says, `Pod web-1: container app: ImagePullBackOff: …`; empty when nobody can tell."""
    resource, query = kinds.any_version("", "Pod"), pod_selector(workload)
    if resource is None or not query:
        return ""
    try:
        found = await client.list_full(resource, query, [workload["metadata"]["namespace"]], most=PODS_LOOKED_AT)
    except (PermanentError, ServerError):
        # The cause is a courtesy: credentials that may not list Pods still get the workload's own verdict.
        return ""
    return worst_of(found.items)


def worst_of(pods: Collection[Body]) -> str:
    """The cause that the worst Pod shows, the newest of several; those on their way out show nothing."""
    seen = [(judge(pod), pod["metadata"]) for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    bad = [(verdict, meta) for verdict, meta in seen if verdict.health != "healthy"]
    if not bad:
        return ""
    verdict, meta = max(bad, key=lambda row: (RANK.index(row[0].health), row[1].get("creationTimestamp") or ""))
    return f"Pod {meta['name']}: {verdict.reason}"


def pod_selector(workload: Mapping[str, Any]) -> str:
    """A workload's `spec.selector` as a query says it; empty when it has none."""
    found = (workload.get("spec") or {}).get("selector") or {}
    terms = [f"{key}={value}" for key, value in sorted((found.get("matchLabels") or {}).items())]
    return ",".join(terms + [_term(item) for item in found.get("matchExpressions") or []])


def _term(item: Mapping[str, Any]) -> str:
    key, among = item["key"], f"({','.join(item.get('values') or ())})"
    match item["operator"]:
        case "In":
            return f"{key} in {among}"
        case "NotIn":
            return f"{key} notin {among}"
        case "DoesNotExist":
            return f"!{key}"
        case _:
            return str(key)
