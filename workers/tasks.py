"""The tasks, as thin as a message: they read their arguments and call the room that does the work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery import Celery

from shared.errors import FleetbeatError
from shared.queue import POLL_SOURCE, PREVIEW_CLUSTER, SYNC_CLUSTER
from shared.state.store import Errors
from workers import polling, syncing
from workers.app import runtime

log = logging.getLogger("fleetbeat.worker")


def sync_cluster(cluster: str, intent: str) -> None:
    """Run all Syncs of one cluster, if `intent` is still the pending one. A surplus message does nothing."""
    _guarded(f"cluster {cluster}", lambda: syncing.sync(runtime(), cluster, intent))


def poll_source(source: str) -> None:
    """Resolve a source's ref; a new commit marks due the clusters it concerns. Idempotent."""
    _guarded(f"source {source}", lambda: polling.poll(runtime(), source))


def preview_cluster(cluster: str, request: str) -> None:
    """Leave what a sync would change under `request`. Writes nothing to the cluster."""
    _guarded(f"cluster {cluster}", lambda: syncing.preview(runtime(), cluster, request))


def register(app: Celery) -> None:
    """Put the tasks on an app under their stable names."""
    for name, function in (
        (SYNC_CLUSTER, sync_cluster),
        (POLL_SOURCE, poll_source),
        (PREVIEW_CLUSTER, preview_cluster),
    ):
        app.task(function, name=name, shared=False)


def _guarded(about: str, work: Callable[[], Any]) -> None:
    """Nothing is raised to Celery: what went wrong is in a receipt, or the due set brings the work back."""
    try:
        work()
    except FleetbeatError as error:
        log.warning("%s: %s", about, error)
    except Errors as error:
        log.warning("%s: Redis does not answer, the work comes back by itself: %s", about, error)
