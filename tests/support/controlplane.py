"""A real etcd and kube-apiserver on loopback, found the way envtest does: in the folder KUBEBUILDER_ASSETS.

With `nodes` also the controllers, the scheduler and kwok, which plays the node's part: Deployments really become ready.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import yaml

READY_SECONDS = 90.0
HOW = (
    "no control plane: set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver, "
    "for instance the one that `setup-envtest use -p path` prints"
)
SERVERS = ("etcd", "kube-apiserver")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "kwok", "kwok-stages.yaml")
NODE = "node-a"


def assets(needed: Iterable[str] = SERVERS) -> Path | None:
    """The folder with these files, or None."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    path = Path(folder) if folder else None
    return path if path and all((path / name).is_file() for name in needed) else None


def require_assets(needed: Iterable[str] = SERVERS) -> Path:
    """The folder; without one a skip that says how to get it, and in CI a failure."""
    found = assets(needed)
    if found is None:
        missing = HOW if assets() is None else f"{HOW}; for nodes it also needs {', '.join(CONTROLLERS)}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class ControlPlane:
    """A context manager; `token` belongs to group system:masters. Without a folder it lives in one that `stop` removes.

    Args:
        folder: Where it keeps its files.
        nodes: Run the controllers and one fake node as well.
        stages: More stages for kwok, as YAML documents: how Pods of the test's own fare on the node.
    """

    def __init__(self, folder: Path | None = None, *, nodes: bool = False, stages: str = "") -> None:
        self._own = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="controlplane-"))
        self.token = secrets.token_hex(16)
        self.port = 0
        self._nodes = nodes
        self._stages = stages
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        return self.folder / "apiserver.crt"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start all, wait for /readyz, and for the node."""
        binaries = require_assets((*SERVERS, *(CONTROLLERS if self._nodes else ())))
        self.folder.mkdir(parents=True, exist_ok=True)
        client, peer, self.port = free_ports(3)
        (self.folder / "tokens.csv").write_text(f'{self.token},admin,admin,"system:masters"\n')
        openssl = shutil.which("openssl")
        assert openssl, "openssl makes the service account's key"
        subprocess.run(
            [openssl, "genrsa", "-out", str(self.folder / "sa.key"), "2048"], check=True, capture_output=True
        )
        etcd = f"http://127.0.0.1:{client}"
        self._spawn(
            binaries / "etcd", "--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync", "--listen-client-urls", etcd,
            "--advertise-client-urls", etcd, "--listen-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}",
        )  # fmt: skip
        self._spawn(
            binaries / "kube-apiserver", f"--etcd-servers={etcd}", f"--cert-dir={self.folder}", "--bind-address=127.0.0.1",
            f"--secure-port={self.port}", f"--token-auth-file={self.folder / 'tokens.csv'}", "--authorization-mode=RBAC",
            f"--service-account-key-file={self.folder / 'sa.key'}", f"--service-account-signing-key-file={self.folder / 'sa.key'}",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
            "--disable-admission-plugins=ServiceAccount", "--allow-privileged=true",
        )  # fmt: skip
        self._wait("the control plane", self._answers)
        if self._nodes:
            self._start_controllers(binaries)

    def _start_controllers(self, binaries: Path) -> None:
        stages = self.folder / "stages.yaml"
        stages.write_text(f"{(binaries / 'kwok-stages.yaml').read_text()}\n---\n{self._stages}")
        config = f"--kubeconfig={self.kubeconfig(self.folder / 'controllers.yaml')}"
        loopback = ("--leader-elect=false", "--bind-address=127.0.0.1")
        (kwok, scheduler) = free_ports(2)
        self._spawn(
            binaries / "kube-controller-manager", config, *loopback, "--secure-port=0",
            f"--service-account-private-key-file={self.folder / 'sa.key'}",
        )  # fmt: skip
        self._spawn(binaries / "kube-scheduler", config, *loopback, f"--secure-port={scheduler}")
        self._spawn(
            binaries / "kwok", config, "--manage-all-nodes=true", "--config", stages, f"--server-address=127.0.0.1:{kwok}"
        )  # fmt: skip
        room = {"cpu": "64", "memory": "256Gi", "pods": "500"}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": NODE, "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "status": {"allocatable": room, "capacity": room},
        }
        assert self.request("POST", "/api/v1/nodes", json.dumps(node).encode())[0] == 201
        self._wait("its node", self._has_node)

    def stop(self) -> None:
        # One after the other: an API server that lost its etcd waits for it half a minute before it ends.
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kubeconfig(self, path: Path | None = None, token: str | None = None) -> Path:
        """Write a kubeconfig with its certificate authority and a token, by default into the server's own folder."""
        path = path or self.folder / "kubeconfig.yaml"
        authority = base64.b64encode(self.ca_file.read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
            "users": [{"name": "test", "user": {"token": token or self.token}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def request(
        self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """One plain request as admin; (status, body)."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(
                request, timeout=20, context=ssl.create_default_context(cafile=str(self.ca_file))
            ) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def _spawn(self, *command: object) -> None:
        with (self.folder / "log").open("ab") as log:
            self._processes.append(subprocess.Popen([str(part) for part in command], stdout=log, stderr=log))

    def _answers(self) -> bool:
        return self.ca_file.exists() and self.request("GET", "/readyz")[0] == 200

    def _has_node(self) -> bool:
        """True when Pods can be scheduled on it: it is Ready and the taint that every new node has is gone."""
        node = json.loads(self.request("GET", f"/api/v1/nodes/{NODE}")[1])
        ready = {"type": "Ready", "status": "True"}
        conditions = [{name: row[name] for name in ready} for row in node["status"].get("conditions") or []]
        return ready in conditions and not node["spec"].get("taints")

    def _wait(self, what: str, true: Callable[[], bool]) -> None:
        pause = threading.Event()
        for _ in range(int(READY_SECONDS / 0.1)):
            if any(process.poll() is not None for process in self._processes):
                break
            try:
                if true():
                    return
            except OSError:
                pass
            pause.wait(0.1)
        tail = (self.folder / "log").read_text(errors="replace").splitlines()[-5:]
        self.stop()
        pytest.fail(f"{what} did not come up: " + " | ".join(tail))
