"""`GitRepository`: where desired objects come from. Fields are those of Flux's source.toolkit.fluxcd.io/v1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from shared.documents.document import Document
from shared.documents.fields import (
    CommitId,
    Duration,
    FilePath,
    Flag,
    FullRefName,
    GitName,
    Model,
    VariableName,
)

RefKind = Literal["commit", "name", "tag", "branch"]
_SCP_LIKE = re.compile(r"[^/]+@[^/:]+:.*")


def check_url(url: str) -> str:
    """Refuse what cannot be fetched; no message repeats the URL, which may hold a password."""
    if any(char.isspace() or not char.isprintable() for char in url):
        raise ValueError("the URL holds spaces or control characters")
    if url.startswith(("ssh://", "git+ssh://")) or ("://" not in url and _SCP_LIKE.fullmatch(url)):
        raise ValueError("ssh:// is not supported yet; use the https:// address and secretRef")
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise ValueError("the URL's host or port cannot be read; write it like https://host/path.git") from None
    if parts.scheme not in {"https", "http", "file"}:
        raise ValueError("the URL must start with https://, http:// or file:///")
    if "@" in parts.netloc:
        raise ValueError("the URL holds credentials; move them to a file or variable and name it in secretRef")
    if parts.query or parts.fragment:
        raise ValueError("the URL holds a query or fragment; put the ref in spec.ref and credentials in secretRef")
    if parts.scheme == "file" and (host or not parts.path.startswith("/")):
        raise ValueError("a file URL names an absolute path; write it like file:///srv/git/fleet.git")
    if parts.scheme != "file" and not host:
        raise ValueError("the URL names no host; write it like https://host/path.git")
    return url


class GitRef(Model):
    """Which revision to follow. Flux's precedence: commit, name, tag, branch."""

    REFUSED: ClassVar[Mapping[str, str]] = {
        "semver": "not supported yet; use tag or branch",
    }

    branch: Annotated[
        GitName,
        Field(description="Branch to follow when nothing else is given. Flux's default is `master`, ours `main`."),
    ] = "main"
    tag: Annotated[GitName | None, Field(description="Tag to use; takes precedence over `branch`.")] = None
    name: Annotated[
        FullRefName | None,
        Field(description="Full ref to follow, such as `refs/pull/1/head`; takes precedence over `tag`."),
    ] = None
    commit: Annotated[
        CommitId | None,
        Field(description="Commit to stay on, 40 hexadecimal digits; takes precedence over all others."),
    ] = None

    @property
    def selected(self) -> tuple[RefKind, str]:
        """The one that counts, and its value."""
        if self.commit:
            return "commit", self.commit
        if self.name:
            return "name", self.name
        if self.tag:
            return "tag", self.tag
        return "branch", self.branch


class GitSecretRef(Model):
    """Where the worker finds the credentials; they are never read into the fleet."""

    REFUSED: ClassVar[Mapping[str, str]] = {
        "name": "Kubernetes Secrets are not supported yet; use file or env",
    }

    file: Annotated[
        FilePath | None,
        Field(
            description="YAML or JSON file on the worker with `username` and `password`, or `bearerToken`. "
            "A relative path starts at the document's folder."
        ),
    ] = None
    env: Annotated[
        VariableName | None,
        Field(description="Environment variable of the worker that holds the same as YAML or JSON."),
    ] = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("give exactly one of file and env")
        return self


class GitRepositorySpec(Model):
    REFUSED: ClassVar[Mapping[str, str]] = {
        "verify": "not supported yet; remove it, or signatures would seem to be checked",
        "recurseSubmodules": "not supported yet; remove it",
    }

    url: Annotated[
        str,
        AfterValidator(check_url),
        WithJsonSchema({"type": "string", "pattern": "^(https?://[^/@?#]+|file://)/[^?#]*$|^https?://[^/@?#]+$"}),
        Field(
            description="`https://`, `http://` or `file:///` address, without credentials. `ssh://` is not supported yet."
        ),
    ]
    ref: GitRef = Field(default_factory=GitRef, description="The revision to follow.")
    interval: Annotated[Duration, Field(description="How often to look for a new revision.")] = timedelta(minutes=1)
    timeout: Annotated[Duration, Field(description="How long one fetch may take.")] = timedelta(seconds=60)
    secret_ref: Annotated[
        GitSecretRef | None, Field(description="Credentials for the server. Unset: none are sent.")
    ] = None
    ignore: Annotated[
        str | None,
        Field(
            description="Files to leave out, in the syntax of `.sourceignore`; added to the repository's own `.sourceignore`."
        ),
    ] = None
    suspend: Annotated[Flag, Field(description="True: look for no new revisions.")] = False


class GitRepository(Document):
    kind: Annotated[Literal["GitRepository"], Field(description="Always `GitRepository`.")] = "GitRepository"
    spec: Annotated[GitRepositorySpec, Field(description="Where the repository is and what to follow.")]
