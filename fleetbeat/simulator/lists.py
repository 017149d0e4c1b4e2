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
from fleetbeat.simulator.storage import Storage

_METADATA = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for; `limit` 0 is everything, `after` the last (namespace, name) of the page before."""

    picks: selectors.Selector
    selected: bool
    limit: int
    after: tuple[str, str] | None
    version: str
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
    token = query.get("continue")
    version, after = _opened(token) if token else ("", None)
    metadata_only = _METADATA in accept.replace(" ", "")
    return Wanted(selectors.parse(selector), bool(selector), max(count, 0), after, version, metadata_only)


def page(storage: Storage, kind: Kind, namespace: str, wants: Wanted) -> Body:
    """One page. Its resourceVersion is the cluster's newest, and that of the first page on every later one."""
    found = [
        item
        for item in storage.list(kind, namespace, after=wants.after)
        if wants.picks(item["metadata"].get("labels") or {})
    ]
    items = found[: wants.limit] if wants.limit else found
    meta: Body = {"resourceVersion": wants.version or str(storage.version)}
    if len(items) < len(found):
        meta["continue"] = _closed(meta["resourceVersion"], items[-1]["metadata"])
        if not wants.selected:
            meta["remainingItemCount"] = len(found) - len(items)
    if wants.metadata_only:
        head = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        shown = [head | {"metadata": item["metadata"]} for item in items]
        return head | {"kind": "PartialObjectMetadataList", "metadata": meta, "items": shown or None}
    if not kind.custom:
        items = [{key: value for key, value in item.items() if key not in {"kind", "apiVersion"}} for item in items]
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta, "items": items}


def _closed(version: str, last: Body) -> str:
    return urlsafe_b64encode(orjson.dumps([version, last.get("namespace", ""), last["name"]])).decode()


def _opened(token: str) -> tuple[str, tuple[str, str]]:
    try:
        version, namespace, name = orjson.loads(urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        raise statuses.bad_request("continue key is not valid") from None
    return version, (namespace, name)
