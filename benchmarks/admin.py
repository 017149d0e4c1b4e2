"""Plain requests as administrator: namespaces before, checks after, removal at the end. Never part of what is measured."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

from benchmarks.controlplane import ControlPlane
from benchmarks.errors import WrongError
from benchmarks.workload import KINDS, REVISION, Workload

METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
TIMEOUT = 60.0


class Admin:
    """One kept connection; not thread-safe."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._connection = self._connect(TIMEOUT)

    def close(self) -> None:
        self._connection.close()

    def send(
        self, method: str, path: str, body: Any = None, content: str = "application/json", accept: str = "*/*"
    ) -> tuple[int, bytes]:
        """One request; (status, body)."""
        data = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self._plane.token}", "Content-Type": content, "Accept": accept}
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def must(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        """One request that has to succeed; its JSON.

        Raises:
            WrongError: It did not.
        """
        status, answer = self.send(method, path, body, content)
        if status >= 300:
            raise WrongError(f"{method} {path}: {status}: {answer[:300].decode(errors='replace')}")
        return json.loads(answer)

    def metrics(self) -> str:
        """The API server's own metrics."""
        _, body = self.send("GET", "/metrics")
        return body.decode()

    def create_namespaces(self, names: list[str]) -> None:
        for name in names:
            meta = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self.must("PATCH", f"/api/v1/namespaces/{name}?fieldManager=bench&force=true", meta, APPLY)

    def empty(self, names: list[str]) -> None:
        """Delete every object of the workload's kinds in these namespaces."""
        for name in names:
            for kind in KINDS:
                self.must("DELETE", kind.collection(name))

    def check(self, names: list[str], workload: Workload, revision: int) -> None:
        """Every cluster has every object, at the right revision.

        Raises:
            WrongError: Says what is missing where.
        """
        wanted = sorted(
            (item.kind.plural, item.name, item.body["metadata"]["annotations"][REVISION])
            for item in workload.items(revision)
        )
        for name in names:
            found = sorted(self._found(name))
            if found != wanted:
                missing = [row for row in wanted if row not in found]
                surplus = [row for row in found if row not in wanted]
                raise WrongError(
                    f"cluster {name} is not at revision {revision}: missing {missing[:3]}, surplus {surplus[:3]} "
                    f"({len(found)} objects of {len(wanted)})"
                )

    def _found(self, namespace: str) -> Iterator[tuple[str, str, str]]:
        for kind in KINDS:
            _, body = self.send("GET", kind.collection(namespace), accept=METADATA)
            for item in json.loads(body).get("items") or []:
                revision = (item["metadata"].get("annotations") or {}).get(REVISION)
                if revision is not None:
                    yield kind.plural, item["metadata"]["name"], revision

    @contextlib.contextmanager
    def watch(self, path: str) -> Iterator[http.client.HTTPResponse]:
        """The lines of a watch, on a connection of its own that is cut when the block ends."""
        connection = self._connect(None)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._plane.token}"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise WrongError(f"GET {path}: {answer.status}: {answer.read(300)!r}")
            yield answer
        finally:
            # Closing alone would wait for whoever reads; after this the reader sees the end of the stream.
            if connection.sock:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def _connect(self, timeout: float | None) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self._plane.port, context=self._plane.tls(), timeout=timeout)
