"""LIST: picked by label, in pages, in full or as metadata only. Called by the server."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from fleetbeat.simulator import selectors, statuses
from fleetbeat.simulator.fields import Body
from fleetbeat.simulator.kinds import Kind
from fleetbeat.simulator.statuses import StatusError
from fleetbeat.simulator.storage import Storage, Stored

_METADATA = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
UNREAD_LISTS = 64
"""So many lists of a cluster may be half read; the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for; `limit` 0 is everything, `token` goes on where a page ended."""

    picks: selectors.Selector
    selected: bool
    limit: int
    token: str
    metadata_only: bool


def wanted(query: Mapping[str, str], accept: str) -> Wanted:
    """Read the query and the Accept header.

    Raises:
        StatusError: 400, the selector, the limit or the token is none.
    """
    selector, limit = query.get("labelSelector", ""), query.get("limit") or "0"
    try:
        count = int(limit)
    except ValueError:
        raise statuses.bad_request(f'strconv.ParseInt: parsing "{limit}": invalid syntax') from None
    metadata_only = _METADATA in accept.replace(" ", "")
    return Wanted(selectors.parse(selector), bool(selector), max(count, 0), query.get("continue", ""), metadata_only)


def page(storage: Storage, kind: Kind, namespace: str, wants: Wanted) -> Body:
    """One page. All pages of a list are of the version of the first one, whatever is written between them.

    Raises:
        StatusError: 400, the token is none; 410, its list is forgotten.
    """
    if wants.token:
        version, found = _rest(storage, wants.token)
    else:
        version = str(storage.version)
        found = [
            item
            for item in storage.list(kind, namespace)
            if not wants.selected or wants.picks(item.body["metadata"].get("labels") or {})
        ]
    items = found[: wants.limit] if wants.limit else found
    meta: Body = {"resourceVersion": version}
    if len(items) < len(found):
        meta["continue"] = _kept(storage, version, found[len(items) :])
        if not wants.selected:
            meta["remainingItemCount"] = len(found) - len(items)
    if wants.metadata_only:
        rows = [item.metadata_row() for item in items]
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return {**head, "metadata": meta, "items": rows or None}
    head = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version}
    return {**head, "metadata": meta, "items": [item.row(kind) for item in items]}


def _kept(storage: Storage, version: str, rest: list[Stored]) -> str:
    number = next(storage.numbers)
    storage.unread[number] = rest
    storage.unread.pop(number - UNREAD_LISTS, None)
    return urlsafe_b64encode(orjson.dumps([version, number])).decode()


def _rest(storage: Storage, token: str) -> tuple[str, list[Stored]]:
    try:
        version, number = orjson.loads(urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        raise statuses.bad_request("continue key is not valid") from None
    if number not in storage.unread:
        raise StatusError(
            410, "Expired", "The provided continue parameter is too old to display a consistent list result."
        )
    return version, storage.unread[number]
