"""Real Git repositories and a real HTTP server for them (git http-backend behind a small CGI), with faults on demand."""

from __future__ import annotations

import base64
import http.server
import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self


class GitRepo:
    """A repository that serves shallow fetches of any commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.git("config", "http.receivepack", "false")

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def git(self, *arguments: str, author: str = "Ada Lovelace <ada@example.org>") -> str:
        name, _, mail = author.partition(" <")
        who = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", name), ("EMAIL", mail.rstrip(">")))
        }
        environment = {**os.environ, **who, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        message: str = "A change",
        author: str = "Ada Lovelace <ada@example.org>",
    ) -> str:
        """Write (or with None remove) files and commit them; returns the commit's id."""
        for name, content in files.items():
            target = self.path / name
            if content is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.commit_all(message, author)

    def commit_all(self, message: str = "A change", author: str = "Ada Lovelace <ada@example.org>") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, author=author)
        return self.git("rev-parse", "HEAD")


class GitHttpServer:
    """Serves every repository below a folder. `hang` keeps requests waiting until it is cleared; `secret` asks for
    basic auth, `bearer` for a token; `page` is answered to everything."""

    def __init__(self, root: Path, secret: str | None = None, bearer: str | None = None) -> None:
        self.root = root
        self.authorization = f"Bearer {bearer}" if bearer else None
        if secret:
            self.authorization = "Basic " + base64.b64encode(secret.encode()).decode()
        self.page: bytes | None = None
        self.hang = threading.Event()
        self.released = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self) -> None:
                outer._answer(self, b"")

            def do_POST(self) -> None:
                outer._answer(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(5)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def _answer(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        if self.hang.is_set():
            self.released.wait(60)
            return
        if self.page is not None:
            handler.send_response(200)
            handler.send_header("Content-Type", "text/html")
            handler.end_headers()
            handler.wfile.write(self.page)
            return
        if self.authorization and handler.headers.get("Authorization") != self.authorization:
            handler.send_response(401)
            handler.send_header("WWW-Authenticate", 'Basic realm="git"')
            handler.end_headers()
            return
        path, _, query = handler.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": handler.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        if handler.headers.get("Content-Encoding"):
            environment["HTTP_CONTENT_ENCODING"] = handler.headers["Content-Encoding"]
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.decode().split(": ", 1) for line in head.split(b"\r\n") if b": " in line]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        handler.send_response(status)
        for name, value in headers:
            if name != "Status":
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)
