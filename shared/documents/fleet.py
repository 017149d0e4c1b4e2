"""A fleet that passed every check: an immutable snapshot, named by the digest of its documents.

The loader makes it, the scheduler publishes its JSON, workers read it back. It holds references to secrets, never secrets.
"""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson
from pydantic import ValidationError

from shared.documents.cluster import Cluster
from shared.documents.document import Document
from shared.documents.git_repository import GitRepository
from shared.documents.kinds import KINDS, AnyDocument
from shared.documents.problems import InvalidFleetError, Problem
from shared.documents.sync import Sync


@dataclass(frozen=True, slots=True)
class Fleet:
    """Documents by name.

    Args:
        digest: SHA-256 of the canonical JSON of the documents, in hexadecimal; warnings do not count.
        sources: Sorted by name.
        clusters: Sorted by name.
        syncs: In dependency order; by name where dependencies leave it open.
        warnings: What is odd but usable, one line each.
    """

    digest: str
    sources: Mapping[str, GitRepository]
    clusters: Mapping[str, Cluster]
    syncs: Mapping[str, Sync]
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, documents: Iterable[AnyDocument], warnings: Iterable[str] = ()) -> Fleet:
        """Put documents together. `loader.load` has checked what people write; here only cycles are found.

        Raises:
            InvalidFleetError: The syncs depend on each other in a circle.
        """
        content = [_plain(document) for document in sorted(documents, key=lambda item: (item.kind, item.name))]
        return _from_content(content, tuple(warnings))

    def syncs_of(self, cluster_name: str) -> tuple[Sync, ...]:
        """The syncs that select the cluster, in dependency order.

        Raises:
            KeyError: The fleet has no such cluster.
        """
        labels = self.clusters[cluster_name].metadata.labels
        return tuple(sync for sync in self.syncs.values() if sync.spec.cluster_selector.matches(labels))

    def clusters_of(self, sync_name: str) -> tuple[Cluster, ...]:
        """The clusters that the sync selects, by name.

        Raises:
            KeyError: The fleet has no such sync.
        """
        selector = self.syncs[sync_name].spec.cluster_selector
        return tuple(cluster for cluster in self.clusters.values() if selector.matches(cluster.metadata.labels))

    def variables_of(self, cluster_name: str) -> dict[str, str]:
        """The cluster's own variables and the built in ones, by name.

        Of two labels whose keys become the same variable neither is there: a guess would be wrong in silence.

        Raises:
            KeyError: The fleet has no such cluster.
        """
        cluster = self.clusters[cluster_name]
        labels = cluster.metadata.labels
        names = [label_variable(key) for key in labels]
        built_in = {name: labels[key] for key, name in zip(labels, names, strict=True) if names.count(name) == 1}
        return dict(sorted({**cluster.spec.variables, **built_in, "CLUSTER_NAME": cluster.name}.items()))

    def to_json(self) -> bytes:
        """The snapshot, canonical: equal fleets give equal bytes."""
        documents = [
            *self.clusters.values(),
            *self.sources.values(),
            *sorted(self.syncs.values(), key=lambda s: s.name),
        ]
        content = [_plain(document) for document in documents]
        return _canonical({"digest": self.digest, "documents": content, "warnings": list(self.warnings)})

    @classmethod
    def from_json(cls, snapshot: bytes) -> Fleet:
        """Read what `to_json` wrote.

        Raises:
            InvalidFleetError: It is something else, or was changed since.
        """
        try:
            raw = orjson.loads(snapshot)
            fleet = _from_content(raw["documents"], tuple(raw["warnings"]))
            digest = raw["digest"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{error.error_count()} fields do not fit" if isinstance(error, ValidationError) else repr(error)
            message = f"the stored fleet cannot be read ({reason}); publish the fleet again"
            raise InvalidFleetError([Problem("", 0, "", message)]) from error
        if digest != fleet.digest:
            message = f"the stored fleet is damaged: it says {digest} and has {fleet.digest}; publish the fleet again"
            raise InvalidFleetError([Problem("", 0, "", message)])
        return fleet


def label_variable(key: str) -> str:
    """The built in variable for a cluster's label: `example.com/tier` is `CLUSTER_LABEL_EXAMPLE_COM_TIER`."""
    return "CLUSTER_LABEL_" + re.sub(r"[^A-Z0-9]", "_", key.upper())


def dependency_order(needs: Mapping[str, Iterable[str]]) -> tuple[list[str], list[str]]:
    """Names so that each comes after what it needs, alphabetical where that leaves a choice; and what is stuck in circles.

    What a name needs beyond the mapping's keys is passed over.
    """
    waiting = {name: {need for need in need_names if need in needs} for name, need_names in needs.items()}
    wanted_by: dict[str, list[str]] = {name: [] for name in needs}
    for name, need_names in waiting.items():
        for need in need_names:
            wanted_by[need].append(name)
    ready = [name for name, need_names in waiting.items() if not need_names]
    heapq.heapify(ready)
    order = []
    while ready:
        name = heapq.heappop(ready)
        order.append(name)
        for other in wanted_by[name]:
            waiting[other].discard(name)
            if not waiting[other]:
                heapq.heappush(ready, other)
    return order, sorted(set(needs) - set(order))


def _from_content(content: list[dict[str, Any]], warnings: tuple[str, ...]) -> Fleet:
    by_kind: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    for item in content:
        document = KINDS[item["kind"]].model_validate(item, by_alias=True, by_name=False)
        by_kind[document.kind][document.name] = document
    syncs = by_kind["Sync"]
    order, stuck = dependency_order(
        {name: [need.name for need in sync.spec.depends_on] for name, sync in sorted(syncs.items())}
    )
    if stuck:
        message = f"these syncs depend on each other in a circle: {', '.join(stuck)}"
        raise InvalidFleetError([Problem("", 0, "spec.dependsOn", message)])
    return Fleet(
        # The bytes as they are stored are hashed, so that a later version with more fields keeps the digest.
        digest=hashlib.sha256(_canonical(content)).hexdigest(),
        sources=MappingProxyType(dict(sorted(by_kind["GitRepository"].items()))),
        clusters=MappingProxyType(dict(sorted(by_kind["Cluster"].items()))),
        syncs=MappingProxyType({name: syncs[name] for name in order}),
        warnings=warnings,
    )


def _plain(document: Document) -> dict[str, Any]:
    return document.model_dump(mode="json", by_alias=True, exclude_none=True)


def _canonical(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
