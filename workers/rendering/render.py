"""One render: the objects of a path at a commit for one set of variables, kept by the content it depends on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from shared.settings import Settings
from workers.rendering import directory, kustomize
from workers.rendering.errors import RenderError
from workers.rendering.manifest import Manifest
from workers.rendering.substitute import substitute
from workers.sources.errors import TreeError
from workers.sources.tree import Entry, Tree, normal

VERSION = 1
"""Part of every cache key: a release that renders differently raises it."""
CLUSTER_SCOPED = frozenset(
    [
        "Namespace",
        "Node",
        "PersistentVolume",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "APIService",
        "StorageClass",
        "PriorityClass",
        "IngressClass",
        "RuntimeClass",
        "CSIDriver",
        "VolumeAttachment",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "CertificateSigningRequest",
        "FlowSchema",
        "PriorityLevelConfiguration",
    ]
)
LookedAt = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """`variables` is None where no postBuild stands: then nothing is substituted."""

    path: str
    variables: Mapping[str, str] | None = None
    target_namespace: str | None = None
    common_labels: Mapping[str, str] = field(default_factory=dict)
    common_annotations: Mapping[str, str] = field(default_factory=dict)
    ignore: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """`looked_at` are the paths, with their Git ids or None, that the result depends on."""

    objects: tuple[Manifest, ...]
    digest: str
    looked_at: LookedAt


def render(tree: Tree, request: RenderRequest, settings: Settings, cache: Path) -> Rendered:
    """Render, or read what an equal request on equal files gave before.

    Raises:
        RenderError: With every problem, each with file and line.
    """
    try:
        folder = _folder(tree, request.path)
        looked = _looked_at(tree, folder)
        key = hashlib.sha256(orjson.dumps([VERSION, asdict(request), looked, settings.max_yaml_nodes])).hexdigest()
        kept = cache / key[:2] / f"{key}.json"
        known = _kept(kept)
        if known is None:
            objects = _render(tree, folder, request, settings)
            _keep(kept, objects)
        else:
            objects = known
    except TreeError as error:
        raise RenderError([str(error)]) from None
    return Rendered(tuple(objects), key, looked)


def _folder(tree: Tree, path: str) -> Entry:
    entry = tree.entry(path)
    if entry is not None and entry.is_folder:
        return entry
    if entry is not None:
        raise RenderError([f"the path {path} is a file at commit {tree.commit[:12]}; name its folder"])
    parts = normal(path)
    while parts and tree.entry("/".join(parts)) is None:
        parts.pop()
    raise RenderError(
        [f"the path {path} is not there at commit {tree.commit[:12]}; the nearest folder is ./{'/'.join(parts)}"]
    )


def _looked_at(tree: Tree, folder: Entry) -> LookedAt:
    """The folder and the ignore file; a kustomization may build on anything in the repository, so the whole tree counts there."""
    ignore = tree.entry(".sourceignore")
    rows = [(folder.path, folder.id), (".sourceignore", ignore.id if ignore else None)]
    if _has_kustomization(tree, folder):
        root = tree.entry("")
        rows.append(("", root.id if root else None))
    return tuple(rows)


def _has_kustomization(tree: Tree, folder: Entry) -> bool:
    for entry in tree.children(folder):
        if entry.path.rpartition("/")[2] in directory.KUSTOMIZATION or (
            entry.is_folder and _has_kustomization(tree, entry)
        ):
            return True
    return False


def _render(tree: Tree, folder: Entry, request: RenderRequest, settings: Settings) -> list[Manifest]:
    if any(entry.path.rpartition("/")[2] in directory.KUSTOMIZATION for entry in tree.children(folder)):
        objects = kustomize.build(tree, folder, settings)
    else:
        objects, bases = directory.render_folder(tree, folder, directory.ignored(tree, request.ignore), settings)
        for base in bases:
            objects += kustomize.build(tree, base, settings)
    problems: list[str] = []
    finished: dict[Any, Manifest] = {}
    for item in objects:
        try:
            done = _finished(item, request)
        except RenderError as error:
            problems += error.problems
            continue
        twin = finished.setdefault(done.key, done)
        if twin is not done:
            problems.append(f"{done.origin}: {done.subject} is there twice, also in {twin.origin}; remove one")
    if problems:
        raise RenderError(problems)
    return list(finished.values())


def _finished(item: Manifest, request: RenderRequest) -> Manifest:
    if request.variables is not None:
        item = substitute(item, request.variables)
    meta = dict(item.body["metadata"])
    if request.target_namespace and item.kind not in CLUSTER_SCOPED:
        meta["namespace"] = request.target_namespace
    if request.common_labels:
        meta["labels"] = {**(meta.get("labels") or {}), **request.common_labels}
    if request.common_annotations:
        meta["annotations"] = {**(meta.get("annotations") or {}), **request.common_annotations}
    return Manifest({**item.body, "metadata": meta}, item.origin)


def _kept(path: Path) -> list[Manifest] | None:
    try:
        return [Manifest(body, origin) for body, origin in orjson.loads(path.read_bytes())]
    except (FileNotFoundError, orjson.JSONDecodeError, ValueError):
        return None


def _keep(path: Path, objects: list[Manifest]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".{os.getpid()}.{id(objects)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(orjson.dumps([(item.body, item.origin) for item in objects]))
    fresh.replace(path)
