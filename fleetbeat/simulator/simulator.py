"""Many simulated clusters behind one port: `https://127.0.0.1:PORT/clusters/NAME`. Started by the demo, by tests and at scale."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import yaml
from aiohttp import web

from fleetbeat.simulator import certificate
from fleetbeat.simulator.knobs import Knobs, Traffic
from fleetbeat.simulator.server import ClusterServer

T = TypeVar("T")
_PREFIX = "/clusters/"


class Simulator:
    """A context manager with a thread of its own. State lives in memory and ends with it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulator", daemon=True)
        self._clusters: dict[str, ClusterServer] = {}
        self._runner: web.ServerRunner | None = None
        self.port = 0
        self._tls, self.certificate = certificate.make()
        """The certificate to trust, PEM."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            self._call(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def add(self, name: str, **knobs: Any) -> Knobs:
        """A new, empty cluster; `knobs` are attributes of `Knobs`. Returns its knobs, to be turned at any time."""
        return self._call(self._add(name, Knobs(**knobs)))

    def url(self, name: str) -> str:
        return f"https://127.0.0.1:{self.port}{_PREFIX}{name}"

    def token(self, name: str) -> str:
        """The bearer token that this cluster accepts."""
        return self._clusters[name].token

    def traffic(self, name: str) -> Traffic:
        """What was asked of this cluster; counters only grow."""
        return self._clusters[name].traffic

    def kubeconfig(self, name: str, path: Path, token: str | None = None) -> Path:
        """Write the kubeconfig of a cluster, readable by its owner only."""
        authority = base64.b64encode(self.certificate).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [
                {"name": name, "cluster": {"server": self.url(name), "certificate-authority-data": authority}}
            ],
            "users": [{"name": name, "user": {"token": token or self.token(name)}}],
        }
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            yaml.safe_dump(config, file)
        return path

    async def _add(self, name: str, knobs: Knobs) -> Knobs:
        self._clusters[name] = ClusterServer(name, secrets.token_urlsafe(24), knobs)
        return knobs

    async def _listen(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(_PREFIX):
            name, slash, rest = request.path.removeprefix(_PREFIX).partition("/")
            if name in self._clusters:
                return await self._clusters[name].handle(request, slash + rest)
        return web.Response(status=404, text="no such simulated cluster\n")

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
