"""What the environment can set, read once by an entry point and frozen from then on.

Every variable is `FLEETBEAT_` and the field's name in upper case. `docs/configuration.md` is generated from this model.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.errors import PermanentError

PREFIX = "FLEETBEAT_"
SOCKET_PATH_LIMIT = 104
"""Bytes a Unix socket's path may have on every platform (108 on Linux with the closing zero, 104 on macOS)."""


class SettingsError(PermanentError):
    """An environment variable has a value that cannot be used."""


class Settings(BaseModel):
    """Frozen settings of one process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Annotated[
        Path, Field(description="Folder for the embedded Redis, Git mirrors, rendered objects and logs.")
    ] = Path(platformdirs.user_data_dir("fleetbeat"))
    redis_url: Annotated[
        str | None,
        Field(
            description="Redis to use (`redis://`, `rediss://`, `unix://`). Unset: the embedded one of the data folder."
        ),
    ] = None
    actor: Annotated[str, Field(description="Who is named in the audit trail for what is done from this process.")] = ""
    fleet: Annotated[
        str, Field(description="Name of this fleet, written on every inventory; another fleet's inventory is refused.")
    ] = "default"
    workers: Annotated[
        int,
        Field(
            ge=1, le=256, description="Worker processes that `fleetbeat up` starts. Default: one per core, at most 4."
        ),
    ] = min(4, os.cpu_count() or 1)
    threads: Annotated[int, Field(ge=1, le=256, description="Threads (syncs at a time) in each worker process.")] = 8
    cluster_concurrency: Annotated[
        int, Field(ge=1, le=256, description="Requests in flight to one cluster's API server.")
    ] = 8
    request_timeout: Annotated[
        float, Field(gt=0, description="Seconds for one request to a Kubernetes API server.")
    ] = 15.0
    connect_timeout: Annotated[
        float, Field(gt=0, description="Seconds to connect to a Kubernetes API server or a Git server.")
    ] = 3.0
    lease_seconds: Annotated[
        float, Field(gt=0, description="Seconds after which a dead worker's running sync is claimed again.")
    ] = 30.0
    queued_seconds: Annotated[
        float, Field(gt=0, description="Seconds after which a queued sync that nobody started is sent again.")
    ] = 60.0
    beat_lease_seconds: Annotated[
        float, Field(gt=0, description="Seconds after which a standby beat takes over from a dead one.")
    ] = 5.0
    max_blob_bytes: Annotated[int, Field(gt=0, description="Largest file read from Git, in bytes.")] = 10 * 1024 * 1024
    max_tree_files: Annotated[int, Field(gt=0, description="Most files read from Git for one path.")] = 10_000
    max_tree_bytes: Annotated[int, Field(gt=0, description="Most bytes read from Git for one path.")] = (
        100 * 1024 * 1024
    )
    max_yaml_nodes: Annotated[
        int, Field(gt=0, description="Most YAML nodes in one file, aliases counted as often as they are used.")
    ] = 1_000_000
    redis_headroom: Annotated[
        float,
        Field(gt=0, le=1, description="Share of Redis' maxmemory above which no new sync may write."),
    ] = 0.9
    stream_max_events: Annotated[
        int,
        Field(ge=1000, description="Events kept in the audit stream; the oldest go first. There is no archive yet."),
    ] = 200_000

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value and (parts.scheme not in {"redis", "rediss", "unix"} or not (parts.netloc or parts.path)):
            raise ValueError("must be a URL that begins with redis://, rediss:// or unix://")
        return value

    @property
    def socket_path(self) -> Path:
        """Where the embedded Redis listens when its path is short enough for a socket."""
        return self.data_dir / "redis.sock"

    @property
    def redis_address_file(self) -> Path:
        """Holds the URL of an embedded Redis that had to listen on loopback TCP, readable by its owner alone."""
        return self.data_dir / "redis.url"

    @property
    def client_url(self) -> str:
        """The URL for redis-py."""
        if self.redis_url:
            return self.redis_url
        if len(os.fsencode(self.socket_path)) >= SOCKET_PATH_LIMIT and self.redis_address_file.exists():
            return self.redis_address_file.read_text(encoding="utf-8").strip()
        return f"unix://{quote(str(self.socket_path))}?db=0"

    @property
    def broker_url(self) -> str:
        """The URL for kombu, which writes sockets in a way redis-py does not read."""
        url = self.client_url
        if not url.startswith("unix://"):
            return url
        return f"redis+socket://{urlsplit(url).path}?virtual_host=0"


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process; only entry points call this.

    Raises:
        SettingsError: Names every variable that cannot be used, in one line.
    """
    source = os.environ if environ is None else environ  # noqa: TID251 (the one place)
    values: dict[str, Any] = {
        name: source[PREFIX + name.upper()] for name in Settings.model_fields if source.get(PREFIX + name.upper())
    }
    values.setdefault("actor", _whoami())
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
        raise SettingsError(problems) from error


def _whoami() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}@{socket.gethostname()}"
