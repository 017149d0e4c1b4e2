"""Two digests decide whether an object has to be looked at: what was desired, and how it looked after it was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from shared import redaction

_SORTED = orjson.OPT_SORT_KEYS


def desired(body: Mapping[str, Any], key: bytes) -> str:
    """Digest of a desired object; under the installation's key, since it may hold a secret."""
    return redaction.digest(key, orjson.dumps(body, option=_SORTED))[:32]


def fingerprint(meta: Mapping[str, Any]) -> str:
    """Digest of what changes in an object's metadata whenever anybody but its status writer changes the object.

    The generation alone will not do: many kinds have none, and PriorityClass has one that does not move. The entries of
    managedFields that are not for the subresource `status` move with every write that changes something.
    """
    entries = [entry for entry in meta.get("managedFields") or [] if entry.get("subresource") != "status"]
    seen = (
        meta.get("uid"),
        meta.get("generation"),
        meta.get("deletionTimestamp"),
        meta.get("labels"),
        meta.get("annotations"),
        meta.get("finalizers"),
        meta.get("ownerReferences"),
        entries,
    )
    return hashlib.sha256(orjson.dumps(seen, option=_SORTED)).hexdigest()[:32]
