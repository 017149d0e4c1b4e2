"""The least that anything in Python can do: one process, one session, no queue, no inventory, no Git, no record.

Steady is one metadata LIST for each kind of a cluster; first and changed are one server-side apply for each object that differs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable

import aiohttp
import orjson

from benchmarks.admin import APPLY, METADATA
from benchmarks.errors import WrongError
from benchmarks.measure import Pass
from benchmarks.subjects.subject import Room
from benchmarks.workload import KINDS, Item

IN_FLIGHT = 32


class Floor:
    """Runs in this process; its CPU is this process' own."""

    name = "floor"

    def __init__(self, room: Room) -> None:
        self.room = room
        self.version = f"aiohttp {aiohttp.__version__}"
        self._revision = 0
        self._runner = asyncio.Runner()
        self._session: aiohttp.ClientSession | None = None

    def start(self, _commit: str) -> None:
        self._runner.run(self._open())

    def first(self, _commit: str) -> Pass:
        return self._apply(self.room.workload.items())

    def changed(self, _commit: str) -> Pass:
        self._revision += 1
        return self._apply(self.room.workload.items(self._revision)[: self.room.workload.touched])

    def steady(self, _commit: str) -> Pass:
        paths = [kind.collection(name) for name in self.room.names for kind in KINDS]
        return self._timed(self._request("GET", path, {"Accept": METADATA}, None) for path in paths)

    def cpu(self) -> float:
        return time.process_time()

    def pids(self) -> list[int]:
        return []

    def stop(self) -> None:
        if self._session:
            self._runner.run(self._session.close())
            self._session = None
        self._runner.close()

    def _apply(self, items: list[Item]) -> Pass:
        query = "?fieldManager=floor&force=true"
        bodies = [(item, orjson.dumps(item.body)) for item in items]
        return self._timed(
            self._request("PATCH", item.path(name) + query, {"Content-Type": APPLY}, body)
            for name in self.room.names
            for item, body in bodies
        )

    def _timed(self, requests: Iterable[Coroutine[None, None, None]]) -> Pass:
        async def all_of_them() -> None:
            await asyncio.gather(*requests)

        started = time.monotonic()
        self._runner.run(all_of_them())
        return Pass(time.monotonic() - started)

    async def _open(self) -> None:
        connector = aiohttp.TCPConnector(limit=IN_FLIGHT, ssl=self.room.plane.tls())
        headers = {"Authorization": f"Bearer {self.room.plane.token}"}
        self._session = aiohttp.ClientSession(self.room.plane.url, connector=connector, headers=headers)

    async def _request(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> None:
        assert self._session is not None
        async with self._session.request(method, path, headers=headers, data=body) as answer:
            text = await answer.read()
            if answer.status >= 300:
                raise WrongError(f"{method} {path}: {answer.status}: {text[:300].decode(errors='replace')}")
            if method == "GET":
                orjson.loads(text)
