"""One rendered object and where it was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Manifest:
    """`origin` is `path:line`. The body has apiVersion, kind and metadata.name; readers do not change it."""

    body: dict[str, Any]
    origin: str

    @property
    def api_version(self) -> str:
        return str(self.body.get("apiVersion", ""))

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    @property
    def kind(self) -> str:
        return str(self.body.get("kind", ""))

    @property
    def namespace(self) -> str | None:
        return self.body["metadata"].get("namespace") or None

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.group, self.kind, self.namespace or "", self.name

    @property
    def subject(self) -> str:
        """`Kind/namespace/name`, or `Kind/name`."""
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)
