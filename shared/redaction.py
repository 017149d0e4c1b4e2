"""Keeping secrets out of everything that is kept or shown: diffs, events, errors, URLs."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson

MASK = "***"
LONGEST_VALUE = 512
"""Characters of one value that go into a diff; the rest is cut."""


def mask_url(url: str) -> str:
    """The URL without user name, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def is_secret(manifest: dict[str, Any]) -> bool:
    """True for what may hold a credential in clear: Secrets of the core group."""
    return manifest.get("kind") == "Secret" and manifest.get("apiVersion") == "v1"


def digest(key: bytes, value: bytes) -> str:
    """A digest of a value that cannot be guessed at without the installation's key."""
    return hmac.digest(key, value, "sha256").hex()


def masked(value: Any, key: bytes) -> str:
    """What stands for a secret value: equal values give equal masks, and without the key nobody can test a guess."""
    return f"{MASK}{digest(key, orjson.dumps(value, option=orjson.OPT_SORT_KEYS))[:8]}"


def shortened(value: Any) -> Any:
    """A value short enough for an event; long texts are cut and say so."""
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return f"{value[:LONGEST_VALUE]}… ({len(value)} characters)"
    return value


def without_values(message: str, secret: dict[str, Any]) -> str:
    """A message about a Secret without any of its values, be they quoted as they are or in base64."""
    values = [str(value) for part in ("data", "stringData") for value in (secret.get(part) or {}).values() if value]
    for value in sorted(values, key=len, reverse=True):
        message = message.replace(value, MASK)
    return message
