"""A folder of documents into a Fleet, or every reason why not at once. The command line and the worker that loads fleets call it."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import orjson
from pydantic import ValidationError

from shared.documents import references
from shared.documents.cluster import Cluster
from shared.documents.document import API_VERSION
from shared.documents.explain import MOST, explain
from shared.documents.fleet import Fleet
from shared.documents.git_repository import GitRepository
from shared.documents.kinds import KINDS, REFUSED_KINDS, AnyDocument
from shared.documents.problems import InvalidFleetError, Problem, did_you_mean, shown
from shared.documents.references import Placed
from shared.documents.yaml_nodes import Node, YamlProblem, documents, said

__all__ = ["MAX_FILE_BYTES", "MAX_NODES", "InvalidFleetError", "Problem", "load"]

_ESCAPE = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\.")
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_NODES = 1_000_000
"""Most YAML values in one file, aliases counted as often as they are used."""


def load(folder: Path) -> Fleet:
    """Read every `.yaml`, `.yml` and `.json` file below the folder, but nothing whose name starts with a dot.

    Documents of other API versions (a kubeconfig, say) are passed over, unless they look like one of ours misspelt.
    Relative paths in documents become absolute, from the folder of their document.

    Raises:
        InvalidFleetError: Nothing was loaded; `problems` holds every error.
    """
    if not folder.is_dir():
        raise InvalidFleetError(
            [Problem(str(folder), 0, "", "is not a folder; name the folder with the fleet's documents")]
        )
    problems: list[Problem] = []
    unread: list[Problem] = []
    placed: list[Placed] = []
    for path in _files(folder, unread):
        file = path.relative_to(folder).as_posix()
        read = (_document(root, file, path.parent.absolute(), problems) for root in _roots(path, file, unread))
        placed.extend(item for item in read if item is not None)
    problems += [*unread, *references.errors(placed, complete=not unread)]
    if not problems and not placed:
        problems.append(
            Problem(str(folder), 0, "", f"holds no document with apiVersion: {API_VERSION}; is it the right folder?")
        )
    if problems:
        raise InvalidFleetError(sorted(problems))
    warnings = [*references.warnings(placed), *_missing_secrets(placed)]
    return Fleet.of((item.document for item in placed if item.document), [str(warning) for warning in sorted(warnings)])


def _files(folder: Path, problems: list[Problem]) -> Iterator[Path]:
    """In the order of their paths. Links to files are followed (a mounted ConfigMap is made of them), links to folders not."""

    def unreadable(error: OSError) -> None:
        problems.append(Problem(str(error.filename), 0, "", f"cannot be listed: {error.strerror}"))

    found = []
    for where, below, names in os.walk(folder, onerror=unreadable):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [
            Path(where, name)
            for name in names
            if name.endswith((".yaml", ".yml", ".json")) and not name.startswith(".")
        ]
    yield from sorted(found)


def _roots(path: Path, file: str, problems: list[Problem]) -> Iterator[Node]:
    try:
        text = _text(path)
        if path.suffix == ".json" and text.strip():
            orjson.loads(text)
            text = _as_yaml(text)
        yield from documents(text, MAX_NODES)
    except orjson.JSONDecodeError as error:
        problems.append(Problem(file, error.lineno, "", f"not JSON: {error.msg}"))
    except YamlProblem as error:
        problems.append(Problem(file, error.line, "", error.message))
    except UnicodeDecodeError as error:
        problems.append(
            Problem(file, error.object.count(b"\n", 0, error.start) + 1, "", "not text in UTF-8; save it as UTF-8")
        )
    except OSError as error:
        problems.append(Problem(file, 0, "", f"cannot be read: {error.strerror or error}"))


def _as_yaml(valid_json: str) -> str:
    """YAML allows neither tabs for indentation nor a character beyond U+FFFF written as two escapes; lines stay as they are."""
    joined = _ESCAPE.sub(lambda match: json.loads(f'"{match[0]}"') if len(match[0]) == 12 else match[0], valid_json)
    return joined.replace("\t", " ")


def _text(path: Path) -> str:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is no regular file")
    with path.open("rb") as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(f"it is larger than {MAX_FILE_BYTES // 1024 // 1024} MB; split it")
    return content.decode("utf-8-sig")


def _document(root: Node, file: str, folder: Path, problems: list[Problem]) -> Placed | None:
    """The document with whatever problems it has added to the list; None when it is not ours or of no known kind."""
    if root.value is None:
        return None
    if not isinstance(root.value, dict):
        message = f"a document must be a mapping with apiVersion and kind, here it is {said(root.value)}"
        problems.append(Problem(file, root.line, "", message))
        return None
    if not _is_ours(root):
        return None
    problems += [Problem(file, line, field, message) for line, field, message in root.problems[:MOST]]
    right = _check_head(root, file, problems)
    kind = _field(root, "kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return None
    data = root.plain()
    name = data["metadata"].get("name") if isinstance(data.get("metadata"), dict) else None
    placed = Placed(file, root, kind, name if isinstance(name, str) else None, None)
    if not right:
        return placed
    try:
        document = KINDS[kind].model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        problems += [placed.problem(loc, message) for loc, message in explain(error, KINDS[kind])]
        return placed
    placed = Placed(file, root, kind, document.name, _with_absolute_paths(document, folder))
    problems += _missing_kubeconfig(placed)
    return placed


def _is_ours(root: Node) -> bool:
    """Whether it is a fleet's document, right or wrong; anything else in the folder is nobody's business."""
    version, kind = _field(root, "apiVersion"), _field(root, "kind")
    misspelt = [key for key in _keys(root) if did_you_mean(key, ["apiVersion"]).startswith("did you mean")]
    if any(str(_field(root, key)).startswith("fleetbeat/") for key in misspelt):
        return True
    if isinstance(kind, str) and kind in {*KINDS, *REFUSED_KINDS}:
        return True
    if isinstance(version, str):
        return SequenceMatcher(None, version[:60].lower(), API_VERSION).ratio() >= 0.8
    return isinstance(kind, str) and did_you_mean(kind, [*KINDS, *REFUSED_KINDS]).startswith("did you mean")


def _check_head(root: Node, file: str, problems: list[Problem]) -> bool:
    """Whether version and kind are right, so that the rest can be checked."""
    version, kind = _field(root, "apiVersion"), _field(root, "kind")
    before = len(problems)
    if version != API_VERSION:
        here = "is required" if "apiVersion" not in _keys(root) else f"{said(version)} is not known"
        problems.append(Problem(file, root.line_of(("apiVersion",)), "apiVersion", f"{here}; write {API_VERSION}"))
    line = root.line_of(("kind",))
    if isinstance(kind, str) and kind in REFUSED_KINDS:
        problems.append(Problem(file, line, "kind", f"{kind} is not supported yet; remove the document"))
    elif not isinstance(kind, str):
        here = "is required" if "kind" not in _keys(root) else f"must be a text, here it is {said(kind)}"
        problems.append(Problem(file, line, "kind", f"{here}; {did_you_mean('', KINDS)}"))
    elif kind not in KINDS:
        problems.append(Problem(file, line, "kind", f"{shown(kind)} is not a kind; {did_you_mean(kind, KINDS)}"))
    if len(problems) == before:
        return True
    for key in sorted(_keys(root) - {"apiVersion", "kind", "metadata", "spec"})[:MOST]:
        hint = did_you_mean(key, ("apiVersion", "kind", "metadata", "spec"))
        problems.append(Problem(file, root.line_of((key,)), key, f"unknown field; {hint}"))
    return False


def _field(root: Node, name: str) -> object:
    return root.value[name].value if isinstance(root.value, dict) and name in root.value else None


def _keys(root: Node) -> set[str]:
    return set(root.value) if isinstance(root.value, dict) else set()


def _with_absolute_paths(document: AnyDocument, folder: Path) -> AnyDocument:
    """A snapshot is read in other working folders than the one it was loaded in."""
    if isinstance(document, Cluster) and document.spec.kubeconfig.file is not None:
        kubeconfig = document.spec.kubeconfig.model_copy(
            update={"file": _absolute(document.spec.kubeconfig.file, folder)}
        )
        return document.model_copy(update={"spec": document.spec.model_copy(update={"kubeconfig": kubeconfig})})
    secret = document.spec.secret_ref if isinstance(document, GitRepository) else None
    if secret is not None and secret.file is not None:
        secret = secret.model_copy(update={"file": _absolute(secret.file, folder)})
        return document.model_copy(update={"spec": document.spec.model_copy(update={"secret_ref": secret})})
    return document


def _absolute(path: Path, folder: Path) -> Path:
    try:
        return Path(os.path.normpath(folder / path.expanduser()))
    except RuntimeError:
        return Path(os.path.normpath(folder / path))


def _missing_kubeconfig(placed: Placed) -> Iterator[Problem]:
    if isinstance(placed.document, Cluster):
        path = placed.document.spec.kubeconfig.file
        if path is not None and not _is_file(path):
            yield placed.problem(
                ("spec", "kubeconfig", "file"), f"no such file: {path}; correct the path or put it there"
            )


def _missing_secrets(documents_: list[Placed]) -> Iterator[Problem]:
    for placed in documents_:
        secret = placed.document.spec.secret_ref if isinstance(placed.document, GitRepository) else None
        if secret is not None and secret.file is not None and not _is_file(secret.file):
            yield placed.problem(
                ("spec", "secretRef", "file"), f"no such file here: {secret.file}; the worker will need it"
            )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
