"""A commit and a revision, as the rest of the project sees them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Revision:
    """A ref and the commit it stood at."""

    ref: str
    commit: str


@dataclass(frozen=True, slots=True)
class Commit:
    """Author and committer are `Name <email>`, times seconds since the epoch."""

    id: str
    author: str
    committer: str
    authored_at: float
    committed_at: float
    subject: str
    trailers: tuple[tuple[str, str], ...] = ()
