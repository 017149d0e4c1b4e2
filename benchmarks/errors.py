"""What can keep a benchmark from being run, each with what to do about it."""

from __future__ import annotations

from shared.errors import FleetbeatError


class MissingError(FleetbeatError):
    """A program that is measured, or measured against, is not there; the message says how to get it."""


class WrongError(FleetbeatError):
    """A subject did not do the work, so its figures would mean nothing."""
