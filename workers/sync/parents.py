"""The inventories on a cluster: reading them, widening one before its Sync's first write, narrowing it after, and removing it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from workers.clusters.client import ClusterClient
from workers.clusters.discovery import Kinds, Resource
from workers.clusters.errors import ForbiddenError
from workers.sync import inventory
from workers.sync.apply import Gate
from workers.sync.inventory import GroupKind, Inventory
from workers.sync.plan import Key, Wanted


@dataclass(frozen=True, slots=True)
class Found:
    """What a cluster has: inventories of any fleet by Sync, and the version of its store."""

    by_sync: Mapping[str, Inventory]
    version: int


@dataclass(frozen=True, slots=True)
class Parents:
    """The parent ConfigMaps in one cluster's system namespace. They are written as the kubeconfig's own user."""

    client: ClusterClient
    kinds: Kinds
    namespace: str
    gate: Gate

    @property
    def _resource(self) -> Resource:
        return self.kinds.exact(self.client.name, "", "v1", "ConfigMap")

    async def read(self) -> Found:
        """All of them, with one list."""
        listing = await self.client.list_metadata(self._resource, inventory.ID, (self.namespace,))
        found = (inventory.read_parent(row["metadata"]) for row in listing.items)
        return Found({item.sync: item for item in found if item}, listing.version)

    async def put(self, wanted: Inventory, data: Mapping[str, str], *, existed: bool) -> None:
        """Write one. Idempotent."""
        await self.gate.open(wanted.sync, ())
        if not existed:
            await self._ensure_namespace()
        await self.client.apply(self._resource, wanted.manifest(data))

    async def remove(self, sync: str) -> None:
        """Delete one whose last member is gone. Idempotent."""
        parent = await self.client.get(self._resource, self.namespace, inventory.parent_name(sync))
        if parent:
            await self.gate.open(sync, ())
            await self.client.delete(self._resource, parent["metadata"])

    async def _ensure_namespace(self) -> None:
        """Create the system namespace when it is missing; credentials that may not even look are believed to have one."""
        resource = self.kinds.exact(self.client.name, "", "v1", "Namespace")
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        try:
            if await self.client.get(resource, None, self.namespace) is None:
                await self.client.apply(resource, body)
        except ForbiddenError:
            return


def narrowed(
    before: Inventory, wanted: Iterable[Wanted], left: Iterable[Key], listed: Collection[GroupKind], render: str
) -> Inventory:
    """Kinds and namespaces of what is wanted, of members that are still there, and of all that could not be looked at."""
    keys = [want.key for want in wanted if want.policy.applied] + list(left)
    unseen = before.group_kinds - set(listed)
    places = {key[2] for key in keys if key[2]} | (before.namespaces if unseen else frozenset())
    return replace(
        before,
        group_kinds=frozenset({key[:2] for key in keys} | unseen),
        namespaces=frozenset(places),
        render=render,
    )
