"""Everything that has to run, for as long as a command needs it: attached to when it is there, started when it is not."""

from __future__ import annotations

import fcntl
import socket
import threading
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self, cast

import redis

from fleetbeat.stack.processes import Supervisor, inherited
from fleetbeat.stack.redis import Binary, EmbeddedRedis
from shared.documents.fleet import Fleet
from shared.errors import PermanentError
from shared.queue import DEFAULT_QUEUE, SOURCES_QUEUE
from shared.settings import Settings
from shared.state import keys
from shared.state.store import Store

WORKERS_ALIVE_SECONDS = 15.0
READY_SECONDS = 60.0


class AlreadyRunningError(PermanentError):
    """Another `fleetbeat up` has this data folder."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What to start beside Redis."""

    beat: bool = True
    workers: bool = True
    flower: bool = False


class Stack:
    """A context manager: enter starts what is missing and waits for it, exit ends what this one started."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.settings, self.parts = settings, parts
        self.store = Store.open(settings)
        self.binary: Binary | None = None
        self.flower_port: int | None = None
        self._redis: EmbeddedRedis | None = None
        self._lock: IO[str] | None = None
        self.folder = settings.data_dir / "run"
        self._children = Supervisor(inherited(environment(settings)), self.folder)

    def __enter__(self) -> Self:
        self.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.mkdir(exist_ok=True)
        if not self.settings.redis_url and not self._answers():
            self._redis = EmbeddedRedis(self.settings)
            self.binary = self._redis.start()
            self._redis.watch()
            self.store.close()
            self.store = Store.open(self.settings)
        self.store.check(self.settings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._children.stop()
        self.store.close()
        if self._redis:
            self._redis.stop()
        if self._lock:
            self._lock.close()

    def lock(self) -> None:
        """Take the data folder for one `up`.

        Raises:
            AlreadyRunningError: Another one has it.
        """
        self._lock = (self.settings.data_dir / "up.lock").open("w", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunningError(
                f"another fleetbeat up runs on {self.settings.data_dir}: use it, or set FLEETBEAT_DATA_DIR to another folder"
            ) from None

    def run(self, fleet: Fleet) -> None:
        """Start beat, workers and Flower for the queues of a fleet, and wait until a worker is alive."""
        logs = self.settings.data_dir / "logs"
        queues = ",".join(sorted({DEFAULT_QUEUE, SOURCES_QUEUE, *(c.spec.queue for c in fleet.clusters.values())}))
        if self.parts.workers:
            for number in range(self.settings.workers):
                name = f"w{number}@{socket.gethostname()}"
                arguments = ["celery", "-A", "workers.main", "worker", "-Q", queues, "-n", name, "--loglevel", "INFO"]
                self._children.add(
                    name, *arguments, "--without-mingle", "--without-gossip", log=logs / f"worker-{number}.log"
                )
        if self.parts.beat:
            self._children.add(
                "beat", "celery", "-A", "scheduler.main", "beat", "--loglevel", "INFO", log=logs / "beat.log"
            )
        if self.parts.flower:
            self.flower_port = _free_port(5555)
            arguments = ["celery", "-A", "workers.main", "flower", "--address=127.0.0.1", f"--port={self.flower_port}"]
            self._children.add("flower", *arguments, "--read-only", "--max-tasks=10000", log=logs / "flower.log")
        self._children.watch()
        if self.parts.workers:
            self._wait_for_workers()

    def workers_alive(self) -> int:
        """How many worker processes gave a sign of life lately."""
        return alive_workers(self.store)

    def pids(self) -> dict[str, int]:
        """The children by name."""
        return {child.name: child.process.pid for child in self._children.children if child.process}

    def _answers(self) -> bool:
        try:
            return bool(self.store.redis.ping())
        except redis.RedisError:
            return False

    def _wait_for_workers(self) -> None:
        pause, waited = threading.Event(), 0.0
        mine = {str(pid) for pid in self.pids().values()}
        while waited < READY_SECONDS:
            names = cast("list[bytes]", self.store.redis.zrange(keys.WORKERS, 0, -1))
            if any(name.decode().rpartition("/")[2] in mine for name in names):
                return
            pause.wait(0.1)
            waited += 0.1
        raise PermanentError(f"no worker came up within {READY_SECONDS:.0f} s: see {self.settings.data_dir / 'logs'}")


def environment(settings: Settings) -> dict[str, str]:
    """What a child process needs beside the inherited environment to work on the same state."""
    return {
        "FLEETBEAT_DATA_DIR": str(settings.data_dir),
        "FLEETBEAT_REDIS_URL": settings.redis_url or "",
        "FLEETBEAT_ACTOR": settings.actor,
        "PYTHONUNBUFFERED": "1",
    }


def alive_workers(store: Store) -> int:
    """How many worker processes gave a sign of life in the last 15 seconds."""
    return store.redis.zcount(keys.WORKERS, store.time() - WORKERS_ALIVE_SECONDS, "+inf")


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise PermanentError("no free port on loopback")


KNOWN_PARTS: Collection[str] = ("beat", "workers", "flower", "console", "archive")
"""What `--without` takes; console and archive do not exist yet, leaving them out changes nothing."""
