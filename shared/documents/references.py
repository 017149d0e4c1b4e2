"""What only the documents together show: names used twice, references to nothing, circles, selectors that select nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.documents.cluster import Cluster
from shared.documents.explain import Loc, dotted
from shared.documents.fleet import dependency_order, label_variable
from shared.documents.kinds import AnyDocument
from shared.documents.problems import Problem, did_you_mean
from shared.documents.sync import Sync
from shared.documents.yaml_nodes import Node


@dataclass(frozen=True, slots=True)
class Placed:
    """A document and where it was read.

    Args:
        file: Relative to the fleet's folder.
        root: Its nodes, for lines.
        kind: As written; known.
        name: As written, None when there is none that could be read.
        document: None when fields have problems.
    """

    file: str
    root: Node
    kind: str
    name: str | None
    document: AnyDocument | None

    def problem(self, loc: Loc, message: str) -> Problem:
        return Problem(self.file, self.root.line_of(loc), dotted(loc), message)


def errors(documents: Sequence[Placed], *, complete: bool) -> Iterator[Problem]:
    """What makes the fleet unusable. Documents with problems of their own still count as there.

    Args:
        documents: All that could be read.
        complete: False when a file could not be read whole: what seems missing may be there.
    """
    names = {
        kind: {item.name for item in documents if item.kind == kind and item.name} for kind in ("GitRepository", "Sync")
    }
    yield from _duplicates(documents)
    for item in documents:
        for loc, kind, name in _references(item) if complete else ():
            if name not in names[kind]:
                near = did_you_mean(name, names[kind] - ({item.name} if kind == "Sync" else set()))
                yield item.problem(loc, f"no {kind} {name} in this fleet; {near}")
    yield from _circles(_syncs(documents))


def _references(item: Placed) -> Iterator[tuple[Loc, str, str]]:
    """(where, kind, name) of what a Sync refers to, also of one that has problems elsewhere: all of them are told at once."""
    if item.kind != "Sync":
        return
    spec = item.root.plain().get("spec")
    if not isinstance(spec, dict):
        return
    source = spec.get("sourceRef")
    if isinstance(source, dict) and isinstance(source.get("name"), str):
        yield ("spec", "sourceRef", "name"), "GitRepository", source["name"]
    needs = spec.get("dependsOn")
    for index, need in enumerate(needs if isinstance(needs, list) else ()):
        if isinstance(need, dict) and isinstance(need.get("name"), str):
            yield ("spec", "dependsOn", index, "name"), "Sync", need["name"]


def warnings(documents: Sequence[Placed]) -> Iterator[Problem]:
    """What is odd but usable, in documents that have no errors."""
    clusters = [item for item in documents if isinstance(item.document, Cluster)]
    selected: dict[str, set[str]] = {}
    for name, (item, sync) in _syncs(documents).items():
        selected[name] = {
            str(cluster.name)
            for cluster in clusters
            if cluster.document and sync.spec.cluster_selector.matches(cluster.document.metadata.labels)
        }
        if not selected[name]:
            message = f"no cluster matches, so the sync does nothing (the fleet has {len(clusters)} clusters)"
            yield item.problem(("spec", "clusterSelector"), message)
    for name, (item, sync) in _syncs(documents).items():
        for index, need in enumerate(sync.spec.depends_on):
            if lacking := sorted(selected[name] - selected[need.name]):
                message = (
                    f"{need.name} is not selected on {len(lacking)} clusters where {name} is: {', '.join(lacking[:5])}"
                )
                yield item.problem(("spec", "dependsOn", index, "name"), message)
    for item in clusters:
        yield from _ambiguous_labels(item)
    yield from _same_cluster_twice(clusters)


def _duplicates(documents: Sequence[Placed]) -> Iterator[Problem]:
    first: dict[tuple[str, str], Placed] = {}
    for item in documents:
        if not item.name:
            continue
        other = first.setdefault((item.kind, item.name), item)
        if other is not item:
            where = f"{other.file}:{other.root.line_of(('metadata', 'name'))}"
            message = f"{item.kind} {item.name} is already defined in {where}; rename or remove one"
            yield item.problem(("metadata", "name"), message)


def _syncs(documents: Sequence[Placed]) -> dict[str, tuple[Placed, Sync]]:
    return {item.document.name: (item, item.document) for item in documents if isinstance(item.document, Sync)}


def _circles(syncs: Mapping[str, tuple[Placed, Sync]]) -> Iterator[Problem]:
    """Every circle once, reported where its first sync by name closes it."""
    needs = {
        name: [need.name for need in sync.spec.depends_on if need.name in syncs] for name, (_, sync) in syncs.items()
    }
    _, stuck = dependency_order(needs)
    left = set(stuck)
    for start in stuck:
        if start not in left:
            continue
        trail: list[str] = []
        name = start
        while name not in trail:
            trail.append(name)
            name = min(need for need in needs[name] if need in stuck)
        circle = trail[trail.index(name) :]
        if not left.issuperset(circle):
            left.discard(start)
            continue
        left -= {*trail}
        turned = circle[circle.index(min(circle)) :] + circle[: circle.index(min(circle))]
        item, sync = syncs[turned[0]]
        index = [need.name for need in sync.spec.depends_on].index((turned[1:] + turned[:1])[0])
        message = f"syncs wait for each other: {' → '.join([*turned, turned[0]])}; remove one of these dependsOn"
        yield item.problem(("spec", "dependsOn", index, "name"), message)


def _ambiguous_labels(item: Placed) -> Iterator[Problem]:
    by_variable: dict[str, list[str]] = {}
    for key in item.document.metadata.labels if item.document else ():
        by_variable.setdefault(label_variable(key), []).append(key)
    for variable, keys in by_variable.items():
        if len(keys) > 1:
            message = f"{' and '.join(keys)} would both be {variable}, so neither is; rename one to use it"
            yield item.problem(("metadata", "labels", keys[1]), message)


def _same_cluster_twice(clusters: Sequence[Placed]) -> Iterator[Problem]:
    """Only a worker can see for sure; but the same kubeconfig and context are hardly two clusters."""
    first: dict[tuple[object, ...], Placed] = {}
    for item in clusters:
        spec = item.document.spec if isinstance(item.document, Cluster) else None
        if spec is None or spec.kubeconfig.file is None:
            continue
        other = first.setdefault((spec.kubeconfig.file, spec.kubeconfig.context, spec.system_namespace), item)
        if other is not item:
            message = (
                f"{item.name} and {other.name} name the same kubeconfig and context, so they are one cluster, and a worker will "
                "refuse the second; correct one, or give it a systemNamespace of its own"
            )
            yield item.problem(("spec", "kubeconfig", "file"), message)
