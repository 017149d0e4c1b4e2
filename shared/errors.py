"""The one family of errors, sorted by what a caller can do about them.

Concrete errors live beside the code that raises them and inherit from one of these. Every message is one line that says
what, where, why and what to do; `workers.retries` alone turns the types into retry policy.
"""

from __future__ import annotations


class FleetbeatError(Exception):
    """Root of everything this project raises on purpose; `str(error)` is fit to be shown to a person."""


class PermanentError(FleetbeatError):
    """Will fail again until a person changes something (Git, the fleet's documents, credentials)."""


class TransientError(FleetbeatError):
    """May succeed on its own.

    Args:
        message: One line for people.
        retry_after: Seconds the other side asked for, or None when the usual retry interval is right.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConflictError(PermanentError):
    """Somebody else owns what was asked for."""


class StaleError(TransientError):
    """What was decided on has changed since it was read; read again and decide anew."""


class LostLeaseError(TransientError):
    """The right to write is gone (lease expired or taken over); nothing more may be written."""
