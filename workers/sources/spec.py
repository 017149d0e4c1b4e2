"""What is needed to talk to a repository; references to secrets are resolved here and nowhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from shared.documents.git_repository import GitRepository
from workers.sources.errors import AuthenticationError


@dataclass(frozen=True, slots=True)
class Credentials:
    """Basic or bearer; never shown."""

    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    bearer: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """`kind` is one of commit, name, tag, branch; `timeout` is seconds for a whole operation."""

    name: str
    url: str
    kind: str
    value: str
    timeout: float = 60.0
    credentials: Credentials = field(default=Credentials(), repr=False)

    @classmethod
    def of(cls, source: GitRepository) -> SourceSpec:
        """From the document.

        Raises:
            AuthenticationError: The secret that it refers to cannot be read here.
        """
        kind, value = source.spec.ref.selected
        return cls(source.name, source.spec.url, kind, value, source.spec.timeout.total_seconds(), _credentials(source))


def _credentials(source: GitRepository) -> Credentials:
    where = source.spec.secret_ref
    if where is None:
        return Credentials()
    try:
        text = os.environ[where.env] if where.env else Path(str(where.file)).read_text(encoding="utf-8")  # noqa: TID251 (the document names the variable)
        values = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 (texts alone: a password of digits is no number)
    except (KeyError, OSError, UnicodeDecodeError, yaml.YAMLError):
        place = f"the variable {where.env}" if where.env else f"the file {where.file}"
        raise AuthenticationError(
            f"source {source.name}: {place} with its credentials cannot be read on this worker"
        ) from None
    if not isinstance(values, dict) or not {"username", "password", "bearerToken"} & set(values):
        raise AuthenticationError(
            f"source {source.name}: its credentials must have username and password, or bearerToken"
        )
    text_of = {name: str(value) for name, value in values.items() if value is not None}
    return Credentials(text_of.get("username"), text_of.get("password"), text_of.get("bearerToken"))
