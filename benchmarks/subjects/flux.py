"""Flux's kustomize-controller, outside a cluster, with one Kustomization for each cluster. The benchmark plays source-controller.

A loopback server hands out the folder as a tar.gz, and the GitRepository's status says where. A reconcile is asked for with the
annotation `reconcile.fluxcd.io/requestedAt`; it has ended when the status shows it. A watch gives the moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import subprocess
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmarks import processes
from benchmarks.admin import APPLY, MERGE
from benchmarks.controlplane import free_ports
from benchmarks.errors import MissingError, WrongError
from benchmarks.measure import Pass
from benchmarks.subjects.subject import PASS_SECONDS, Room
from benchmarks.workload import FOLDER

SYSTEM = "flux-system"
READY_SECONDS = 60.0
SOURCES = f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{SYSTEM}/gitrepositories"
SYNCS = f"/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{SYSTEM}/kustomizations"
HOW = (
    "build the Go module github.com/fluxcd/kustomize-controller (v1.7.3) into the folder KUBEBUILDER_ASSETS names, "
    "and put its CRDs and source-controller's into flux-crds/ there"
)


class Flux:
    """One controller with its default concurrency."""

    name = "flux"
    version = "kustomize-controller 1.7.3"

    def __init__(self, room: Room) -> None:
        self.room = room
        self._binary = room.plane.binaries / "kustomize-controller"
        self._crds = room.plane.binaries / "flux-crds"
        if not self._binary.is_file() or not self._crds.is_dir():
            raise MissingError(f"there is no kustomize-controller with flux-crds/ in {room.plane.binaries}: {HOW}")
        self._process: subprocess.Popen[bytes] | None = None
        self._artifacts = _Artifacts()
        self._states = _States(room)
        self._asked = 0

    def start(self, commit: str) -> None:
        self._define()
        self._artifacts.start()
        self._publish(commit)
        metrics, health = free_ports(2)
        environment = {
            "KUBECONFIG": str(self.room.plane.kubeconfig(self.room.folder / "kubeconfig")),
            "RUNTIME_NAMESPACE": SYSTEM,
            "HOME": str(self.room.folder),
            "TMPDIR": str(self.room.folder),
            "PATH": "",
        }
        with (self.room.folder / "controller.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(self._binary), "--concurrent=4", f"--metrics-addr=127.0.0.1:{metrics}",
                    f"--health-addr=127.0.0.1:{health}", "--enable-leader-election=false", "--kube-api-qps=-1",
                ],
                env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.room.folder,
            )  # fmt: skip
        self._wait(f"http://127.0.0.1:{health}/readyz")
        self._states.start()

    def first(self, commit: str) -> Pass:
        started = time.monotonic()
        for name in self.room.names:
            spec = {
                "interval": "1h",
                "path": f"./{FOLDER}",
                "prune": True,
                "wait": False,
                "sourceRef": {"kind": "GitRepository", "name": "platform"},
                "targetNamespace": name,
            }
            self.room.admin.must("POST", SYNCS, _body("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, spec))
        return Pass(self._until_applied(commit) - started, len(self.room.names))

    def steady(self, _commit: str) -> Pass:
        self._asked += 1
        token = f"pass-{self._asked}"
        patch = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}}
        started = time.monotonic()
        for name in self.room.names:
            self.room.admin.must("PATCH", f"{SYNCS}/{name}", patch, MERGE)
        ended = self._states.until(lambda status: status.get("lastHandledReconcileAt") == token and _ready(status))
        return Pass(ended - started, len(self.room.names))

    def changed(self, commit: str) -> Pass:
        started = time.monotonic()
        self._publish(commit)
        return Pass(self._until_applied(commit) - started, 1)

    def cpu(self) -> float:
        return processes.cpu(self.pids())

    def pids(self) -> list[int]:
        return processes.tree(self._process.pid) if self._process else []

    def stop(self) -> None:
        self._states.stop()
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
            self._forget()
        self._artifacts.stop()

    def _until_applied(self, commit: str) -> float:
        return self._states.until(
            lambda status: str(status.get("lastAppliedRevision", "")).endswith(commit) and _ready(status)
        )

    def _define(self) -> None:
        """The kinds, the namespace and one source without an artifact."""
        admin = self.room.admin
        for file in sorted(self._crds.glob("*.yaml")):
            for crd in yaml.safe_load_all(file.read_text(encoding="utf-8")):
                if crd:
                    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}"
                    admin.must("PATCH", f"{path}?fieldManager=bench&force=true", crd, APPLY)
        admin.create_namespaces([SYSTEM])
        spec = {"interval": "1h", "url": "https://git.example.com/platform.git"}
        source = _body("source.toolkit.fluxcd.io/v1", "GitRepository", "platform", spec)
        pause, deadline = threading.Event(), time.monotonic() + READY_SECONDS
        while admin.send("PATCH", f"{SOURCES}/platform?fieldManager=bench&force=true", source, APPLY)[0] >= 300:
            if time.monotonic() > deadline:
                raise WrongError("Flux's kinds are not served")
            pause.wait(0.1)

    def _publish(self, commit: str) -> None:
        """What source-controller does when it has fetched a commit."""
        content = self._artifacts.pack(self.room.repository.path / FOLDER)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        revision = f"main@sha1:{commit}"
        artifact = {
            "path": f"gitrepository/{SYSTEM}/platform/{commit}.tar.gz",
            "url": f"{self._artifacts.url}/{commit}.tar.gz",
            "revision": revision,
            "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
            "size": len(content),
            "lastUpdateTime": now,
        }
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "Succeeded",
            "message": "stored",
            "lastTransitionTime": now,
        }
        status = {"artifact": artifact, "conditions": [ready], "observedGeneration": 1}
        self.room.admin.must("PATCH", f"{SOURCES}/platform/status", {"status": status}, MERGE)

    def _forget(self) -> None:
        """Take the Kustomizations away without their controller: finalizers off, then deleted."""
        for name in self.room.names:
            self.room.admin.send("PATCH", f"{SYNCS}/{name}", {"metadata": {"finalizers": None}}, MERGE)
            self.room.admin.send("DELETE", f"{SYNCS}/{name}")

    def _wait(self, url: str) -> None:
        pause, deadline = threading.Event(), time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
            pause.wait(0.1)
        last = (self.room.folder / "controller.log").read_text(encoding="utf-8", errors="replace")[-400:]
        raise WrongError(f"kustomize-controller did not become ready: {last}")


def _body(api_version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": SYSTEM}, "spec": spec}


def _ready(status: dict[str, Any]) -> bool:
    return any(row.get("type") == "Ready" and row.get("status") == "True" for row in status.get("conditions") or [])


class _Artifacts:
    """Serves the newest artifact under any path."""

    def __init__(self) -> None:
        self._content = b""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(outer._content)))
                self.end_headers()
                self.wfile.write(outer._content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def pack(self, folder: Path) -> bytes:
        """Make the folder the newest artifact; its bytes."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            archive.add(folder, arcname=folder.name)
        self._content = buffer.getvalue()
        return self._content


class _States:
    """The newest status of every Kustomization, from a watch, with the moment it was seen."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._seen: dict[str, tuple[float, dict[str, Any]]] = {}
        self._news = threading.Condition()
        self._open = contextlib.ExitStack()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        stream = self._open.enter_context(self._room.admin.watch(f"{SYNCS}?watch=true&timeoutSeconds=7200"))
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._open.close()
        if self._thread:
            self._thread.join(10)

    def until(self, done: Callable[[dict[str, Any]], bool]) -> float:
        """Wait until every Kustomization's status is so; the moment at which the last one became it."""
        names = set(self._room.names)
        deadline = time.monotonic() + PASS_SECONDS
        met: dict[str, float] = {}
        with self._news:
            while True:
                for name, (moment, status) in self._seen.items():
                    if name in names and name not in met and done(status):
                        met[name] = moment
                if len(met) == len(names):
                    return max(met.values())
                if time.monotonic() > deadline:
                    late = sorted(names - set(met))
                    raise WrongError(
                        f"Flux: {len(late)} Kustomizations are not done, {late[0]}: {self._seen.get(late[0])}"
                    )
                self._news.wait(1)

    def _read(self, stream: Any) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for line in stream:
                event, now = json.loads(line), time.monotonic()
                body = event["object"]
                with self._news:
                    self._seen[body["metadata"]["name"]] = (now, body.get("status") or {})
                    self._news.notify_all()
