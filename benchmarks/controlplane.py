"""One etcd and one kube-apiserver on loopback that stand for many clusters: one namespace, one user and one kubeconfig each.

The binaries are looked for where envtest looks: in the folder that KUBEBUILDER_ASSETS names.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from benchmarks.errors import MissingError

READY_SECONDS = 60.0
STOP_SECONDS = 20.0
HOW = "set KUBEBUILDER_ASSETS to a folder that holds it, for instance the one that `setup-envtest use -p path` prints"


class ControlPlane:
    """A context manager. Every user is in system:masters: what is compared is engines, not authorizers."""

    def __init__(self, folder: Path, binaries: Path, users: int) -> None:
        self.folder, self.binaries = folder, binaries
        self.tokens = [secrets.token_hex(16) for _ in range(users + 1)]
        self.port = 0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """The administrator's, which no cluster uses."""
        return self.tokens[0]

    @property
    def authority(self) -> Path:
        """The certificate to trust."""
        return self.folder / "apiserver.crt"

    @property
    def pids(self) -> dict[str, int]:
        """`etcd` and `apiserver`."""
        return {name: process.pid for name, process in self._processes.items()}

    def tls(self) -> ssl.SSLContext:
        """A context that trusts this server alone."""
        return ssl.create_default_context(cafile=str(self.authority))

    def __enter__(self) -> Self:
        for name in ("etcd", "kube-apiserver"):
            if not (self.binaries / name).is_file():
                raise MissingError(f"there is no {name} in {self.binaries}: {HOW}")
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End both, the API server first. Idempotent."""
        for process in reversed(self._processes.values()):
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def kubeconfig(self, path: Path, user: int = 0) -> Path:
        """Write the kubeconfig of the nth user; 0 is the administrator."""
        authority = base64.b64encode(self.authority.read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bench",
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
            "clusters": [{"name": "bench", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
            "users": [{"name": "bench", "user": {"token": self.tokens[user]}}],
        }
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        path.chmod(0o600)
        return path

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        client, peer, self.port = free_ports(3)
        rows = [f'{token},bench-{number},bench-{number},"system:masters"' for number, token in enumerate(self.tokens)]
        (self.folder / "tokens.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        openssl = shutil.which("openssl")
        if not openssl:
            raise MissingError("there is no openssl on PATH: it makes the key of the service accounts")
        key = self.folder / "sa.key"
        subprocess.run([openssl, "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        etcd = f"http://127.0.0.1:{client}"
        peers = f"http://127.0.0.1:{peer}"
        self._spawn(
            "etcd", self.binaries / "etcd", "--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync",
            "--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", peers,
            "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}",
        )  # fmt: skip
        self._spawn(
            "apiserver", self.binaries / "kube-apiserver", f"--etcd-servers={etcd}", f"--cert-dir={self.folder}",
            "--bind-address=127.0.0.1", f"--secure-port={self.port}", f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC", f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
            "--disable-admission-plugins=ServiceAccount", "--allow-privileged=true",
        )  # fmt: skip
        self._wait()

    def _spawn(self, name: str, *command: object) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [str(part) for part in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def _wait(self) -> None:
        pause = threading.Event()
        for _ in range(int(READY_SECONDS / 0.1)):
            dead = next((name for name, process in self._processes.items() if process.poll() is not None), None)
            if dead:
                last = (self.folder / f"{dead}.log").read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
                raise MissingError(f"{dead} ended while it started: {''.join(last)}")
            with contextlib.suppress(OSError):
                if self._ready():
                    return
            pause.wait(0.1)
        raise MissingError(f"the control plane was not ready within {READY_SECONDS:.0f} s: see {self.folder}/*.log")

    def _ready(self) -> bool:
        if not self.authority.exists():
            return False
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=5, context=self.tls()) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return False


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
