"""The files of one commit, read from the object store within limits. Paths never leave the tree."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from dulwich.objects import Blob, ObjectID
from dulwich.objects import Tree as GitTree
from dulwich.repo import Repo

from shared.settings import Settings
from workers.sources.errors import TreeError

SUBMODULE = 0o160000
SYMLINK = 0o120000
LFS = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Entry:
    """One path: its Git mode and the id of its blob or tree."""

    path: str
    mode: int
    id: str

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


class Tree:
    """Open as long as its context manager is; belongs to one thread."""

    def __init__(self, repo: Repo, commit: str, settings: Settings) -> None:
        self.commit = commit
        self._repo = repo
        self._settings = settings
        self._root: ObjectID = repo[commit.encode()].tree  # type: ignore[attr-defined]
        self._bytes = 0

    def entry(self, path: str) -> Entry | None:
        """What is at a path; None when nothing is. `.` and the empty path are the root."""
        parts = normal(path)
        current = Entry("", stat.S_IFDIR, self._root.decode())
        for part in parts:
            if not current.is_folder:
                return None
            found = self._folder(current).get(part)
            if found is None:
                return None
            current = found
        return current

    def children(self, folder: Entry) -> list[Entry]:
        """What is directly in a folder, sorted by name."""
        return [entry for _, entry in sorted(self._folder(folder).items())]

    def walk(self, folder: Entry) -> Iterator[Entry]:
        """Every file below a folder, sorted; submodules and symlinks are refused by name.

        Raises:
            TreeError: There is one of them, or more files than the limit.
        """
        count = 0
        pending = [folder]
        while pending:
            current = pending.pop()
            inside = self.children(current)
            pending.extend(entry for entry in reversed(inside) if entry.is_folder)
            for entry in inside:
                if entry.is_folder:
                    continue
                count += 1
                if count > self._settings.max_tree_files:
                    raise TreeError(
                        f"{folder.path or '.'} has more than {self._settings.max_tree_files} files; narrow the path"
                    )
                self.check(entry)
                yield entry

    @staticmethod
    def check(entry: Entry) -> None:
        """Refuse what is no plain file.

        Raises:
            TreeError: It is a submodule or a symlink.
        """
        if entry.mode == SUBMODULE:
            raise TreeError(f"{entry.path} is a submodule, which is not supported; leave it out with .sourceignore")
        if entry.mode == SYMLINK:
            raise TreeError(
                f"{entry.path} is a symlink, which is not followed: commit the file itself, or leave it out with .sourceignore"
            )

    def read(self, entry: Entry) -> bytes:
        """A file's content.

        Raises:
            TreeError: It is too large, a Git LFS pointer, or all files together are too much.
        """
        self.check(entry)
        limit = self._settings.max_blob_bytes
        blob = cast("Blob", self._repo.object_store[ObjectID(entry.id.encode())])
        size = blob.raw_length()
        if size > limit:
            raise TreeError(f"{entry.path} has {size} bytes, more than the {limit} that are read from one file")
        self._bytes += size
        if self._bytes > self._settings.max_tree_bytes:
            raise TreeError(
                f"more than {self._settings.max_tree_bytes} bytes are read up to {entry.path}; narrow the path"
            )
        data = blob.data
        if data.startswith(LFS):
            raise TreeError(f"{entry.path} is a Git LFS pointer, and LFS is not supported: commit the file itself")
        return data

    def _folder(self, folder: Entry) -> dict[str, Entry]:
        tree = cast("GitTree", self._repo.object_store[ObjectID(folder.id.encode())])
        rows = {}
        for item in tree.iteritems():
            name = item.path.decode(errors="replace")
            path = f"{folder.path}/{name}" if folder.path else name
            if name in {"", ".", "..", ".git"} or "/" in name or "\0" in name:
                raise TreeError(f"{path!r} is no valid file name in a Git tree")
            rows[name] = Entry(path, item.mode, item.sha.decode())
        return rows


def normal(path: str) -> list[str]:
    """The parts of a path inside the tree.

    Raises:
        TreeError: It leads out of it.
    """
    parts: list[str] = []
    for part in path.strip().split("/"):
        if part in {"", "."}:
            continue
        if part == "..":
            if not parts:
                raise TreeError(f"{path} leads out of the repository")
            parts.pop()
        else:
            parts.append(part)
    return parts
