"""From a kubeconfig to what a connection needs. What could run code or skip TLS is refused before anything reads it."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from workers.clusters.errors import KubeconfigError

LARGEST_KUBECONFIG = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach one API server. `token_file` is read again for every connection, so that rotated tokens work."""

    server: str
    tls: ssl.SSLContext | None
    server_name: str | None = None
    token: str | None = field(default=None, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    token_file: Path | None = None

    def authorization(self) -> str | None:
        """The Authorization header, or None when the client certificate does it."""
        if self.token_file:
            return f"Bearer {self.token_file.read_text(encoding='utf-8').strip()}"
        if self.token:
            return f"Bearer {self.token}"
        if self.basic:
            return "Basic " + base64.b64encode(":".join(self.basic).encode()).decode()
        return None


def load(cluster: str, text: bytes, context: str | None, base: Path) -> Credentials:
    """Read a kubeconfig.

    Args:
        cluster: Named in errors.
        text: The YAML.
        context: The context to use; None is the current one.
        base: Folder that relative file names start from.

    Raises:
        KubeconfigError: Says which entry cannot be used and why. Never contains a credential.
    """
    if len(text) > LARGEST_KUBECONFIG:
        raise KubeconfigError(
            f"cluster {cluster}: the kubeconfig has {len(text)} bytes, more than {LARGEST_KUBECONFIG}"
        )
    try:
        config = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise KubeconfigError(f"cluster {cluster}: the kubeconfig is no valid YAML{line}") from None
    if not isinstance(config, dict):
        raise KubeconfigError(f"cluster {cluster}: the kubeconfig is no mapping with clusters, users and contexts")
    name = context or config.get("current-context")
    if not name:
        raise KubeconfigError(f"cluster {cluster}: the kubeconfig has no current-context; set spec.kubeconfig.context")
    chosen = _named(cluster, config, "contexts", "context", str(name))
    server = _named(cluster, config, "clusters", "cluster", str(chosen.get("cluster")))
    user = _named(cluster, config, "users", "user", str(chosen.get("user"))) if chosen.get("user") else {}
    _refuse_unsafe(cluster, user, server)
    url = str(server.get("server") or "")
    if urlsplit(url).scheme not in {"https", "http"}:
        raise KubeconfigError(f"cluster {cluster}: the kubeconfig's server {url!r} is no http(s) URL")
    token_file = user.get("tokenFile")
    basic = (str(user["username"]), str(user.get("password", ""))) if user.get("username") else None
    return Credentials(
        server=url.rstrip("/"),
        tls=_tls(cluster, server, user, base) if url.startswith("https") else None,
        server_name=server.get("tls-server-name"),
        token=str(user["token"]) if user.get("token") else None,
        basic=basic,
        token_file=base / token_file if token_file else None,
    )


def _named(cluster: str, config: Mapping[str, Any], table: str, key: str, name: str) -> dict[str, Any]:
    rows = config.get(table) or []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and row.get("name") == name and isinstance(row.get(key), dict):
            found: dict[str, Any] = row[key]
            return found
    raise KubeconfigError(f"cluster {cluster}: the kubeconfig has no entry {name!r} under {table}")


def _refuse_unsafe(cluster: str, user: Mapping[str, Any], server: Mapping[str, Any]) -> None:
    if "exec" in user:
        command = (user["exec"] or {}).get("command") if isinstance(user["exec"], dict) else None
        raise KubeconfigError(
            f"cluster {cluster}: the kubeconfig runs the exec plugin {command!r}, which is not supported: "
            "use a token, a tokenFile or a client certificate"
        )
    if "auth-provider" in user:
        raise KubeconfigError(
            f"cluster {cluster}: the kubeconfig uses an auth-provider, which is not supported: use a token"
        )
    if server.get("insecure-skip-tls-verify"):
        raise KubeconfigError(
            f"cluster {cluster}: the kubeconfig sets insecure-skip-tls-verify; give certificate-authority-data instead"
        )
    if server.get("proxy-url"):
        raise KubeconfigError(f"cluster {cluster}: the kubeconfig sets proxy-url, which is not supported yet")


def _tls(cluster: str, server: Mapping[str, Any], user: Mapping[str, Any], base: Path) -> ssl.SSLContext:
    try:
        authority = _data(server, "certificate-authority", base)
        tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
        certificate, key = _data(user, "client-certificate", base), _data(user, "client-key", base)
        if certificate and key:
            # The ssl module reads a client certificate from a file only; it exists for as long as this call.
            handle, name = tempfile.mkstemp(prefix="fleetbeat-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(certificate + b"\n" + key)
                tls.load_cert_chain(name)
            finally:
                Path(name).unlink()
    except (OSError, ValueError) as error:
        raise KubeconfigError(f"cluster {cluster}: the kubeconfig's certificates cannot be read: {error}") from None
    return tls


def _data(entry: Mapping[str, Any], name: str, base: Path) -> bytes | None:
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"])
    return (base / str(entry[name])).read_bytes() if entry.get(name) else None
