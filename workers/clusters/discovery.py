"""Which kinds a cluster serves, and where: aggregated discovery (KEP-3352), two requests that are answered 304 when nothing moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from workers.clusters.errors import KindUnavailableError, UnknownKindError

ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def base(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def collection(self, namespace: str | None = None) -> str:
        """The path of all objects, or of those in one namespace."""
        inside = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        return f"{self.base}{inside}/{self.plural}"

    def path(self, namespace: str | None, name: str) -> str:
        """The path of one object."""
        return f"{self.collection(namespace)}/{quote(name, safe='')}"


@dataclass(frozen=True, slots=True)
class Kinds:
    """All kinds of a cluster. `stale` are group-versions whose APIService does not answer."""

    resources: Mapping[tuple[str, str, str], Resource] = field(default_factory=dict)
    preferred: Mapping[tuple[str, str], Resource] = field(default_factory=dict)
    stale: frozenset[tuple[str, str]] = frozenset()

    def exact(self, cluster: str, group: str, version: str, kind: str) -> Resource:
        """The resource of exactly this version.

        Raises:
            KindUnavailableError: Its APIService does not answer.
            UnknownKindError: The cluster has no such kind; other versions of it are named.
        """
        found = self.resources.get((group, version, kind))
        if found:
            return found
        name = f"{group}/{version}" if group else version
        if (group, version) in self.stale:
            raise KindUnavailableError(
                f"cluster {cluster}: the API service of {name} does not answer, {kind} cannot be looked at"
            )
        others = sorted(v for g, v, k in self.resources if g == group and k == kind)
        hint = (
            f"it serves {kind} in {', '.join(others)}"
            if others
            else "install its CustomResourceDefinition first, or mend apiVersion and kind"
        )
        raise UnknownKindError(f"cluster {cluster} knows no kind {kind} in {name}: {hint}")

    def any_version(self, group: str, kind: str) -> Resource | None:
        """The preferred version of a kind, or None."""
        return self.preferred.get((group, kind))

    def group_is_stale(self, group: str) -> bool:
        """True when a part of the group cannot be looked at now."""
        return any(stale == group for stale, _ in self.stale)


def parse(documents: list[dict[str, Any]]) -> Kinds:
    """`Kinds` from the answers to GET /api and GET /apis; the first version of a group is the preferred one."""
    resources: dict[tuple[str, str, str], Resource] = {}
    preferred: dict[tuple[str, str], Resource] = {}
    stale: set[tuple[str, str]] = set()
    for document in documents:
        for item in document.get("items") or []:
            group = (item.get("metadata") or {}).get("name") or ""
            for row in item.get("versions") or []:
                if row.get("freshness") == "Stale":
                    stale.add((group, row["version"]))
                for entry in row.get("resources") or []:
                    found = _resource(group, row["version"], entry)
                    resources[found.group, found.version, found.kind] = found
                    preferred.setdefault((found.group, found.kind), found)
    return Kinds(resources, preferred, frozenset(stale))


def _resource(group: str, version: str, entry: Mapping[str, Any]) -> Resource:
    return Resource(
        group=group,
        version=version,
        kind=(entry.get("responseKind") or {}).get("kind") or "",
        plural=entry["resource"],
        namespaced=entry.get("scope") == "Namespaced",
        verbs=frozenset(entry.get("verbs") or ()),
    )
