"""What is there: one list for each kind of a cluster, for all its Syncs together; whole objects only where they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.errors import FleetbeatError
from workers.clusters.client import ClusterClient, Listing
from workers.clusters.discovery import Kinds, Resource
from workers.clusters.errors import ClusterUnreachableError, NotFoundError, UnauthorizedError
from workers.sync import inventory
from workers.sync.inventory import GroupKind
from workers.sync.plan import Body, Key, Live, Wanted

SELECTOR_IDS = 200
"""ApplySets named in one selector; a cluster with more of them is listed in several turns."""


@dataclass(frozen=True, slots=True)
class Members:
    """All members of a cluster's ApplySets.

    `listed` are the kinds that were really looked at: of others nobody may conclude that nothing is there. `failed` are those that could
    not be, with the reason.
    """

    live: Mapping[Key, Live] = field(default_factory=dict)
    listed: frozenset[GroupKind] = frozenset()
    failed: Mapping[GroupKind, str] = field(default_factory=dict)

    def of(self, applyset: str) -> list[Live]:
        """The members of one ApplySet."""
        return [
            live for live in self.live.values() if (live.meta.get("labels") or {}).get(inventory.PART_OF) == applyset
        ]


async def members(
    client: ClusterClient,
    kinds: Kinds,
    ids: Collection[str],
    pairs: Iterable[GroupKind],
    whole: Mapping[GroupKind, str],
    namespaces: Sequence[str] = (),
) -> Members:
    """List every kind once.

    Args:
        client: The cluster.
        kinds: What it serves.
        ids: The ApplySets to look for.
        pairs: The kinds that may have members.
        whole: Kinds that are listed whole, with the version to list them in ("" is the preferred one).
        namespaces: All that the credentials reach, or empty for all there are.

    Raises:
        ClusterUnreachableError, UnauthorizedError: Nothing can be said about the cluster.
    """
    resources: dict[GroupKind, Resource] = {}
    failed: dict[GroupKind, str] = {}
    for pair in sorted(set(pairs)):
        found = kinds.resources.get((pair[0], whole.get(pair, ""), pair[1])) or kinds.any_version(*pair)
        if found and "list" in found.verbs:
            resources[pair] = found
        elif found is None and kinds.group_is_stale(pair[0]):
            failed[pair] = f"the API service of group {pair[0]} does not answer"
    answers = await asyncio.gather(
        *(_list(client, resource, sorted(ids), pair in whole, namespaces) for pair, resource in resources.items()),
        return_exceptions=True,
    )
    live: dict[Key, Live] = {}
    listed = set()
    for (pair, resource), answer in zip(resources.items(), answers, strict=True):
        if isinstance(answer, (ClusterUnreachableError, UnauthorizedError)):
            raise answer
        if isinstance(answer, NotFoundError):
            # The kind went away after discovery: its objects are gone with it, or their API service is.
            failed[pair] = f"{resource.kind} is not served any more"
        elif isinstance(answer, FleetbeatError):
            failed[pair] = str(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            listed.add(pair)
            for item in answer:
                meta = item["metadata"]
                key = (resource.group, resource.kind, meta.get("namespace") or "", meta["name"])
                live[key] = Live(key, meta, item if pair in whole else None)
    return Members(live, frozenset(listed), failed)


async def _list(
    client: ClusterClient, resource: Resource, ids: Sequence[str], whole: bool, namespaces: Sequence[str]
) -> list[Body]:
    found: list[Body] = []
    for start in range(0, len(ids), SELECTOR_IDS):
        selector = f"{inventory.PART_OF} in ({','.join(ids[start : start + SELECTOR_IDS])})"
        listing: Listing = await (client.list_full if whole else client.list_metadata)(resource, selector, namespaces)
        found += listing.items
    return found


def version_wanted(wanted: Iterable[Wanted]) -> str:
    """The one version that these objects are written in, or "" when they differ: live objects are compared in that."""
    versions = {want.manifest.version for want in wanted}
    return versions.pop() if len(versions) == 1 else ""
