"""What a worker process has: settings, state, mirrors, one loop thread, one client per cluster. Made on first use, in the process that uses it."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from pathlib import Path

import orjson

from shared.documents.cluster import Cluster
from shared.settings import Settings, from_environment
from shared.state import sources
from shared.state.store import Store
from workers.clusters import credentials
from workers.clusters.client import ClusterClient
from workers.clusters.errors import KubeconfigError
from workers.clusters.loop import LoopThread
from workers.rendering.memory import RenderMemory
from workers.rendering.render import Rendered
from workers.sources.commit import Commit
from workers.sources.mirror import Mirrors
from workers.sources.spec import SourceSpec

MOST_COMMITS, MOST_TOLD = 1000, 100_000
LOOKED_AT_EVERY = 3600.0
"""Seconds after which what a render depends on is written to Redis again, in case that lost it."""


class Runtime:
    """Thread-safe. One per process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = f"{socket.gethostname()}/{os.getpid()}"
        self.store = Store.open(settings)
        self.mirrors = Mirrors(settings.data_dir / "mirrors", settings)
        self.cache = settings.data_dir / "renders"
        self.renders = RenderMemory()
        self.commits: dict[tuple[str, str], Commit] = {}
        self._told: dict[str, float] = {}
        self.loop = LoopThread()
        self._clients: dict[str, tuple[bytes, ClusterClient]] = {}
        self._lock = threading.Lock()

    def key(self) -> bytes:
        """The key under which digests of secret values are made."""
        return self.store.installation_key(secrets.token_bytes(32))

    def client(self, cluster: Cluster) -> ClusterClient:
        """The client of a cluster, kept as long as its document and its kubeconfig stay the same.

        Raises:
            KubeconfigError: It cannot be read or used.
        """
        text, base = self._kubeconfig(cluster)
        kept_by = orjson.dumps(cluster.model_dump(mode="json")) + text
        with self._lock:
            known = self._clients.get(cluster.name)
            if known and known[0] == kept_by:
                return known[1]
            client = ClusterClient(
                cluster.name,
                credentials.load(cluster.name, text, cluster.spec.kubeconfig.context, base),
                concurrency=self.settings.cluster_concurrency,
                connect=self.settings.connect_timeout,
                timeout=self.settings.request_timeout,
            )
            self._clients[cluster.name] = (kept_by, client)
        if known:
            self.loop.run(known[1].close(), 5)
        return client

    def commit(self, spec: SourceSpec, commit: str) -> Commit:
        """Who wrote a commit; asked of the mirror once."""
        where = spec.url, commit
        found = self.commits.get(where)
        if found is None:
            found = self.mirrors.commit_info(spec, commit)
            if len(self.commits) >= MOST_COMMITS:
                self.commits.clear()
            self.commits[where] = found
        return found

    def remember_looked_at(self, rendered: Rendered) -> None:
        """Tell the polls what a render depends on; once an hour is enough for as long as it is in use."""
        now = time.monotonic()
        if now - self._told.get(rendered.digest, -LOOKED_AT_EVERY) < LOOKED_AT_EVERY:
            return
        sources.remember_looked_at(self.store, rendered.digest, rendered.looked_at)
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told[rendered.digest] = now

    def close(self) -> None:
        """Close what this process opened."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for _, client in clients:
            self.loop.run(client.close(), 5)
        self.loop.stop()
        self.store.close()

    @staticmethod
    def _kubeconfig(cluster: Cluster) -> tuple[bytes, Path]:
        where = cluster.spec.kubeconfig
        if where.env:
            text = os.environ.get(where.env)  # noqa: TID251 (the document names the variable)
            if not text:
                raise KubeconfigError(
                    f"cluster {cluster.name}: the worker's environment has no {where.env} with a kubeconfig"
                )
            return text.encode(), Path.cwd()
        file = Path(str(where.file))
        try:
            return file.read_bytes(), file.parent
        except OSError as error:
            raise KubeconfigError(
                f"cluster {cluster.name}: the kubeconfig {file} cannot be read: {error.strerror}"
            ) from None


_runtime: Runtime | None = None
_making = threading.Lock()


def runtime() -> Runtime:
    """This process' runtime."""
    global _runtime  # noqa: PLW0603 (one per process, made by whichever task comes first)
    with _making:
        if _runtime is None:
            _runtime = Runtime(from_environment())
        return _runtime
