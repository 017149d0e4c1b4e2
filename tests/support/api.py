"""Plain requests to any API server, with the answer as it came. For the contract suite and for edits by hand in tests."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import Any, Self

from fleetbeat.simulator import Simulator
from tests.support.controlplane import ControlPlane

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: dict[str, str]
    warnings: tuple[str, ...] = ()
    """Every `Warning` header, as it came."""

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def _answer(status: int, body: bytes, headers: Message) -> Answer:
    return Answer(status, body.decode(), _lower(headers), tuple(headers.get_all("Warning") or ()))


@dataclass(frozen=True)
class Api:
    """One API server; `agent` is the User-Agent, which names the manager of plain updates."""

    url: str
    token: str
    authority: str
    agent: str = "contract/1"

    @classmethod
    def of_simulated(cls, simulator: Simulator, name: str) -> Self:
        return cls(simulator.url(name), simulator.token(name), simulator.certificate.decode())

    @classmethod
    def of_plane(cls, plane: ControlPlane) -> Self:
        return cls(plane.url, plane.token, plane.ca_file.read_text())

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        content: str = "application/json",
        accept: str = "",
        **query: str,
    ) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}", "User-Agent": self.agent, "Content-Type": content}
        if accept:
            headers["Accept"] = accept
        return self.raw(method, path, headers, None if body is None else json.dumps(body).encode(), **query)

    def raw(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None, **query: str) -> Answer:
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        request = urllib.request.Request(url, data=body, method=method, headers=headers)
        tls = ssl.create_default_context(cadata=self.authority)
        try:
            with urllib.request.urlopen(request, timeout=20, context=tls) as answer:
                return _answer(answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.read(), error.headers)

    def get(self, path: str) -> Any:
        answer = self.send("GET", path)
        assert answer.status == 200, answer.text
        return answer.json

    def apply(self, path: str, body: Any, manager: str = "contract", *, force: bool = True, **query: str) -> Answer:
        return self.send("PATCH", path, body, APPLY, fieldManager=manager, force=str(force).lower(), **query)

    def merge(self, path: str, body: Any, manager: str = "kubectl-edit", **query: str) -> Answer:
        return self.send("PATCH", path, body, MERGE, fieldManager=manager, **query)

    def json_patch(self, path: str, *operations: dict[str, Any], manager: str = "fleetbeat", **query: str) -> Answer:
        return self.send("PATCH", path, list(operations), JSON_PATCH, fieldManager=manager, **query)

    def delete(self, path: str, **options: Any) -> Answer:
        """DELETE with a body."""
        return self.send("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", **options})

    def until(self, what: str, true: Callable[[], bool], seconds: float = 30) -> None:
        pause, deadline = threading.Event(), time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            pause.wait(0.05)
