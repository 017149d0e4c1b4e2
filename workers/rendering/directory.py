"""A folder of plain YAML and JSON, by Flux's rules: recursive, `.sourceignore`, Lists expanded, everything an object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pathspec import GitIgnoreSpec

from shared.settings import Settings
from workers.rendering.errors import RenderError
from workers.rendering.manifest import Manifest
from workers.rendering.yaml import documents
from workers.sources.errors import TreeError
from workers.sources.tree import SUBMODULE, SYMLINK, Entry, Tree

EXTENSIONS = (".yaml", ".yml", ".json")
KUSTOMIZATION = ("kustomization.yaml", "kustomization.yml", "Kustomization")
DEFAULT_IGNORE = (
    ".git/",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    ".goreleaser.yml",
    ".sops.yaml",
    ".flux.yaml",
)


def ignored(tree: Tree, extra: str | None) -> GitIgnoreSpec:
    """What `.sourceignore` at the root and the source's own rules leave out."""
    lines = list(DEFAULT_IGNORE)
    entry = tree.entry(".sourceignore")
    if entry is not None:
        lines += tree.read(entry).decode(errors="replace").splitlines()
    return GitIgnoreSpec.from_lines([*lines, *(extra or "").splitlines()])


def files(tree: Tree, folder: Entry, skip: GitIgnoreSpec) -> Iterator[Entry]:
    """Every manifest file below a folder; a sub-folder with a kustomization is yielded itself instead of its files."""
    inside = tree.children(folder)
    for entry in inside:
        if skip.match_file(entry.path + ("/" if entry.is_folder else "")):
            continue
        if not entry.is_folder:
            if entry.mode in {SUBMODULE, SYMLINK} or entry.path.endswith(EXTENSIONS):
                tree.check(entry)
                yield entry
        elif any(child.path.rpartition("/")[2] in KUSTOMIZATION for child in tree.children(entry)):
            yield entry
        else:
            yield from files(tree, entry, skip)


def read(text: bytes, path: str, settings: Settings) -> list[Manifest]:
    """The objects of one file, Lists expanded.

    Raises:
        RenderError: Every document of it that is no Kubernetes object.
    """
    found: list[Manifest] = []
    problems: list[str] = []
    for line, value in documents(text, path, settings.max_yaml_nodes):
        for body in _expanded(value):
            problem = _problem(body)
            if problem:
                problems.append(f"{path}:{line}: {problem}")
            else:
                found.append(Manifest(body, f"{path}:{line}"))
    if problems:
        raise RenderError(problems)
    return found


def _expanded(value: Any) -> Iterator[Any]:
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or not kind.endswith("List") or not isinstance(value.get("items"), list):
        yield value
        return
    for item in value["items"]:
        if kind != "List" and isinstance(item, dict):
            yield {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List"), **item}
        else:
            yield from _expanded(item)


def _problem(body: Any) -> str | None:
    if not isinstance(body, dict):
        return (
            f"is no Kubernetes object but a {type(body).__name__}; leave the file out with .sourceignore if it is none"
        )
    missing = [name for name in ("apiVersion", "kind") if not isinstance(body.get(name), str) or not body[name]]
    if missing:
        return f"has no {' and no '.join(missing)}; every document must be a Kubernetes object"
    meta = body.get("metadata")
    if not isinstance(meta, dict) or not meta.get("name"):
        wanted = (
            "generateName is not supported, give it a name"
            if isinstance(meta, dict) and meta.get("generateName")
            else "add metadata.name"
        )
        return f"{body['kind']} has no name; {wanted}"
    if not isinstance(meta["name"], str):
        return f"{body['kind']}: metadata.name must be a text; put it in quotes"
    for field in ("labels", "annotations"):
        if meta.get(field) is not None and not isinstance(meta[field], dict):
            return f"{body['kind']}/{meta['name']}: metadata.{field} must be a mapping"
    if isinstance(body.get("sops"), dict):
        return f"{body['kind']}/{meta['name']} is encrypted with SOPS, which is not supported yet"
    return None


def render_folder(
    tree: Tree, folder: Entry, skip: GitIgnoreSpec, settings: Settings
) -> tuple[list[Manifest], list[Entry]]:
    """All objects of a folder, and its sub-folders that are to be built with kustomize.

    Raises:
        RenderError: Every problem of every file.
    """
    found: list[Manifest] = []
    bases: list[Entry] = []
    problems: list[str] = []
    for count, entry in enumerate(files(tree, folder, skip), 1):
        if count > settings.max_tree_files:
            raise RenderError([f"{folder.path or '.'} has more than {settings.max_tree_files} files; narrow the path"])
        if entry.is_folder:
            bases.append(entry)
            continue
        try:
            found += read(tree.read(entry), entry.path, settings)
        except RenderError as error:
            problems += error.problems
        except TreeError as error:
            problems.append(str(error))
    if problems:
        raise RenderError(problems)
    return found, bases
