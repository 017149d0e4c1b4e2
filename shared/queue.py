"""The configured Celery app, task names and routing: the one place in shared that knows Celery."""

from __future__ import annotations

from celery import Celery
from kombu.entity import Exchange, Queue

from shared.settings import Settings

SYNC_CLUSTER = "fleetbeat.sync_cluster"
POLL_SOURCE = "fleetbeat.poll_source"
PREVIEW_CLUSTER = "fleetbeat.preview_cluster"
DEFAULT_QUEUE = "default"
SOURCES_QUEUE = "sources"
SCHEDULER = "scheduler.beat:DueSetScheduler"


def queue(name: str) -> Queue:
    """A queue with its own exchange and routing key; without them Celery binds it to those of the default queue."""
    exchange = Exchange(name, type="direct")  # type: ignore[no-untyped-call]
    return Queue(name, exchange, routing_key=name)  # type: ignore[no-untyped-call]


def build(settings: Settings) -> Celery:
    """A new app for these settings. It connects to nothing until it is used.

    Messages are acknowledged early and no result is kept: intents, leases and receipts in Redis are the truth, and the
    due set sends again what got lost.
    """
    app = Celery("fleetbeat", autofinalize=False, set_as_current=False, include=["workers.main"])
    app.conf.update(
        broker_url=settings.broker_url,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": 3600,
            "health_check_interval": 10,
            "socket_connect_timeout": settings.connect_timeout,
            "socket_keepalive": not settings.broker_url.startswith("redis+socket"),
            "max_connections": 4 * settings.threads + 20,
        },
        task_queues=[queue(DEFAULT_QUEUE), queue(SOURCES_QUEUE)],
        task_default_queue=DEFAULT_QUEUE,
        task_create_missing_queues=True,
        task_acks_late=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        event_serializer="json",
        worker_pool="threads",
        worker_concurrency=settings.threads,
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        beat_scheduler=SCHEDULER,
        beat_max_loop_interval=1,
    )
    return app
