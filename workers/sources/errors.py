"""What can go wrong with a source; each message names the source and its URL without credentials."""

from __future__ import annotations

from shared.errors import PermanentError, TransientError


class RefNotFoundError(PermanentError):
    """The repository has no such ref."""


class CommitNotFoundError(PermanentError):
    """The repository has no such commit, or does not hand it out."""


class AuthenticationError(PermanentError):
    """The repository refuses the credentials, or asks for some."""


class RepositoryUnreachableError(TransientError):
    """The repository does not answer in time."""


class TreeError(PermanentError):
    """Something in the repository cannot be read: missing, too large, or of a kind that is refused."""
