"""The one place that reads the wall clock, so that everything else can be given another one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], float]
"""Seconds since the epoch."""


def now() -> float:
    """Seconds since the epoch on this machine; decisions between processes use Redis time instead."""
    return time.time()


def rfc3339(seconds: float) -> str:
    """`2026-11-24T08:00:00.123Z`, UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNIT = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_duration(text: str) -> timedelta:
    """Read a duration the way Flux and Go write it: `1h`, `1m30s`, `500ms`.

    Raises:
        ValueError: The text is no such duration; the message says what one looks like.
    """
    end = 0
    seconds = 0.0
    for part in _PART.finditer(text):
        if part.start() != end:
            break
        seconds += float(part[1]) * _UNIT[part[2]]
        end = part.end()
    if not text or end != len(text):
        raise ValueError(f"{text!r} is not a duration; write it like 30s, 5m or 1h30m")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The shortest Go-style text that `parse_duration` reads back."""
    millis = round(value.total_seconds() * 1000)
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, millis = divmod(millis, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def age(seconds: float) -> str:
    """A length of time for people, in at most two units: `3s`, `2m5s`, `4h12m`, `3d4h`."""
    total = max(0, int(seconds))
    for big, small, unit in ((86400, 3600, "dh"), (3600, 60, "hm"), (60, 1, "ms")):
        if total >= big:
            rest = total % big // small
            return f"{total // big}{unit[0]}" + (f"{rest}{unit[1]}" if rest else "")
    return f"{total}s"
