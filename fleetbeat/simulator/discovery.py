"""Aggregated discovery (KEP-3352) of one simulated cluster, with an ETag. Called by the server for /api and /apis."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import groupby
from typing import Any

import orjson

from fleetbeat.simulator.kinds import VERBS, Kind
from fleetbeat.simulator.registry import Registry

CONTENT_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def document(registry: Registry, *, core: bool) -> tuple[str, bytes]:
    """(ETag, body). Clusters that serve the same kinds share them."""
    return _document(tuple(registry.served()), frozenset(registry.stale()), core)


@lru_cache(maxsize=64)
def _document(served: tuple[Kind, ...], stale: frozenset[tuple[str, str]], core: bool) -> tuple[str, bytes]:
    kinds = [kind for kind in served if (kind.group == "") is core]
    groups: dict[str, list[dict[str, Any]]] = {}
    ordered = sorted(kinds, key=lambda kind: (kind.group, kind.version, kind.plural))
    for (group, version), rows in groupby(ordered, key=lambda kind: (kind.group, kind.version)):
        entry = {"version": version, "freshness": "Stale" if (group, version) in stale else "Current"}
        groups.setdefault(group, []).append({**entry, "resources": [_resource(kind) for kind in rows]})
    for group, version in sorted(stale):
        if not core and not any(row["version"] == version for row in groups.get(group, [])):
            groups.setdefault(group, []).append({"version": version, "freshness": "Stale"})
    items = [{"metadata": {"name": group} if group else {}, "versions": versions} for group, versions in groups.items()]
    body = orjson.dumps(
        {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
    )
    return f'"{hashlib.sha512(body).hexdigest()}"', body


def _resource(kind: Kind) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": "", "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular or kind.kind.lower(),
        "verbs": list(VERBS),
    }
    if kind.short_names:
        shown["shortNames"] = list(kind.short_names)
    if kind.status:
        response = {"group": kind.group, "version": "", "kind": kind.kind}
        shown["subresources"] = [
            {"subresource": "status", "responseKind": response, "verbs": ["get", "patch", "update"]}
        ]
    return shown
