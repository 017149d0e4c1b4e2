"""Remote-control commands: `celery -A workers.main inspect holds` and a heartbeat that says which workers live."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import asdict
from typing import Any

from celery import Celery
from celery.signals import worker_ready, worker_shutdown
from celery.worker.control import inspect_command

from shared.state import holds, keys
from shared.state.store import Errors
from workers.app import runtime

HEARTBEAT_SECONDS = 5.0
_stop = threading.Event()


@inspect_command(name="holds")  # type: ignore[untyped-decorator]
def inspect_holds(_state: Any) -> dict[str, Any]:
    """The holds in force, as this worker sees them."""
    return {scope: asdict(hold) for scope, hold in holds.every(runtime().store).items()}


def install(_app: Celery) -> None:
    """Start and end the heartbeat with the worker."""
    worker_ready.connect(_start, weak=False, dispatch_uid="fleetbeat-heartbeat")
    worker_shutdown.connect(_end, weak=False, dispatch_uid="fleetbeat-heartbeat")


def _start(**_: Any) -> None:
    _stop.clear()
    threading.Thread(target=_beat, name="fleetbeat-heartbeat", daemon=True).start()


def _end(**_: Any) -> None:
    _stop.set()
    mine = runtime()
    try:
        mine.store.redis.zrem(keys.WORKERS, mine.name)
    except Errors:
        return
    finally:
        mine.close()


def _beat() -> None:
    mine = runtime()
    while True:
        with contextlib.suppress(*Errors):
            mine.store.redis.zadd(keys.WORKERS, {mine.name: mine.store.time()})
        if _stop.wait(HEARTBEAT_SECONDS):
            return
