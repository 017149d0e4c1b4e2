"""Celery beat with the due set as its schedule: a tick costs what is due, not the size of the fleet.

Several beats may run; the one that holds the lease ticks, and another takes over within the lease's length.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from typing import Any

from celery.beat import Scheduler
from kombu.exceptions import OperationalError

from shared.queue import POLL_SOURCE, SYNC_CLUSTER
from shared.settings import Settings, from_environment
from shared.state import due
from shared.state.store import Errors, Store

log = logging.getLogger("fleetbeat.beat")
LONGEST_WAIT = 1.0
"""Seconds between two ticks at most: a member marked due now is sent within this time."""
SHORTEST_WAIT = 0.02
RECONCILE_EVERY = 60.0


class DueSetScheduler(Scheduler):  # type: ignore[misc]
    """The scheduler of `celery -A scheduler.main beat`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.settings: Settings = from_environment()
        self.owner = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self.store = Store.open(self.settings)
        self.ticks = 0
        self.reconciled = 0.0
        self.leading = False
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Nothing is installed: the due set in Redis is the schedule."""

    def tick(self, *_args: Any, **_kwargs: Any) -> float:
        """Claim what is due and send it; returns seconds until the next tick."""
        try:
            claim = self._claim()
            if not claim.leader:
                return LONGEST_WAIT
            if claim.dispatches:
                self._send(claim.dispatches)
        except (*Errors, OperationalError) as error:
            log.warning("Redis does not answer, trying again in %s s: %s", LONGEST_WAIT, error)
            return LONGEST_WAIT
        return min(LONGEST_WAIT, max(SHORTEST_WAIT, claim.wait if claim.wait is not None else LONGEST_WAIT))

    def _claim(self) -> due.Claim:
        self.ticks += 1
        claim = due.claim(
            self.store,
            self.owner,
            f"{uuid.uuid4().hex[:12]}-{self.ticks}",
            lease=self.settings.beat_lease_seconds,
            queued=self.settings.queued_seconds,
        )
        if claim.leader != self.leading:
            self.leading = claim.leader
            log.info("this beat %s", "leads" if claim.leader else "stands by")
        now = self.store.time() if claim.leader else 0.0
        if claim.leader and now - self.reconciled > RECONCILE_EVERY:
            self.reconciled = now
            healed = due.reconcile(self.store)
            if healed:
                log.info("%s entries were missing from the due set and are back", healed)
        return claim

    def _send(self, dispatches: tuple[due.Dispatch, ...]) -> None:
        producer = self.producer
        with producer.batch(1000):
            for item in dispatches:
                name = POLL_SOURCE if item.is_source else SYNC_CLUSTER
                kwargs = {"source": item.name} if item.is_source else {"cluster": item.name, "intent": item.intent}
                self.app.send_task(name, kwargs=kwargs, queue=item.queue, producer=producer, retry=False)

    def close(self) -> None:
        """Give the lease back, so that another beat takes over at once."""
        try:
            due.release(self.store, self.owner)
        except Errors as error:
            log.warning("the lease of this beat runs out by itself: %s", error)
        finally:
            self.store.close()
            super().close()

    @property
    def info(self) -> str:
        return "    . due set in Redis"
