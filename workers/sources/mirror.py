"""One bare mirror per repository and host: a commit is fetched once, whoever needs it first, under a lock."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import unquote, urlsplit

import urllib3
from dulwich.client import GitClient, HttpGitClient, HTTPUnauthorized, LocalGitClient
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.objects import Commit as GitCommit
from dulwich.objects import ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

from shared.redaction import mask_url
from shared.settings import Settings
from workers.sources.commit import Commit, Revision
from workers.sources.errors import (
    AuthenticationError,
    CommitNotFoundError,
    RefNotFoundError,
    RepositoryUnreachableError,
)
from workers.sources.spec import SourceSpec
from workers.sources.tree import Tree

T = TypeVar("T")
MOST_PACKS = 200
"""Packs (one a fetch) after which a mirror is made anew."""
PEELED = b"^{}"


class _HttpClient(HttpGitClient):
    """Sends a bearer token to the source's own host; dulwich keeps extra headers and never sends them."""

    bearer: str | None = None

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,
    ) -> Any:
        if self.bearer and urlsplit(url).netloc == urlsplit(self._base_url).netloc:
            headers = {**(headers or {}), "Authorization": f"Bearer {self.bearer}"}
        return super()._http_request(url, headers, data, raise_for_status)


class Mirrors:
    """Thread-safe and safe between processes of a host. A `Repo` is opened for each use and never shared."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self._root = root
        self._settings = settings
        self._pool = concurrent.futures.ThreadPoolExecutor(max_workers=16, thread_name_prefix="fleetbeat-git")

    def resolve(self, spec: SourceSpec) -> Revision:
        """Ask the repository where the ref stands now: one ls-refs.

        Raises:
            RefNotFoundError, AuthenticationError, RepositoryUnreachableError: Named after the source.
        """
        if spec.kind == "commit":
            return Revision(spec.value, spec.value)
        wanted = {"branch": f"refs/heads/{spec.value}", "tag": f"refs/tags/{spec.value}"}.get(spec.kind, spec.value)
        name = wanted.encode()
        refs = self._within(spec, lambda: self._refs(spec, name))
        found = refs.get(name + PEELED) or refs.get(name)
        if not found:
            near = sorted(ref.decode(errors="replace") for ref in refs if not ref.endswith(PEELED))[:5]
            has = f"; it has {', '.join(near)}" if near else ""
            raise RefNotFoundError(f"source {spec.name}: {mask_url(spec.url)} has no {wanted}{has}; mend spec.ref")
        return Revision(wanted, found.decode())

    def commit_info(self, spec: SourceSpec, commit: str) -> Commit:
        """Who wrote a commit, when, and its subject."""
        with self._opened(spec, commit) as repo:
            return _commit(cast("GitCommit", repo[commit.encode()]))

    @contextlib.contextmanager
    def tree(self, spec: SourceSpec, commit: str) -> Iterator[Tree]:
        """The files of a commit, for as long as the context lasts."""
        with self._opened(spec, commit) as repo:
            yield Tree(repo, commit, self._settings)

    @contextlib.contextmanager
    def _opened(self, spec: SourceSpec, commit: str) -> Iterator[Repo]:
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
            raise CommitNotFoundError(f"source {spec.name}: {commit!r} is no commit id; write all 40 digits")
        path = self._root / hashlib.sha256(spec.url.encode()).hexdigest()[:32]
        repo = _open_with(path, commit)
        if repo is None:
            with self._locked(spec, path):
                repo = _open_with(path, commit)
                if repo is None:
                    self._within(spec, lambda: self._fetch(spec, path, commit))
                    repo = _open_with(path, commit)
        if repo is None:
            raise CommitNotFoundError(f"source {spec.name}: {mask_url(spec.url)} has no commit {commit}")
        try:
            yield repo
        finally:
            repo.close()

    @contextlib.contextmanager
    def _locked(self, spec: SourceSpec, path: Path) -> Iterator[None]:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        deadline, pause = time.monotonic() + spec.timeout, threading.Event()
        with path.with_suffix(".lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise RepositoryUnreachableError(
                            f"source {spec.name}: another fetch of {mask_url(spec.url)} did not end within {spec.timeout:.0f} s"
                        ) from None
                    pause.wait(0.02)
            yield

    def _refs(self, spec: SourceSpec, name: bytes) -> dict[bytes, bytes]:
        client, path = self._client(spec)
        with contextlib.closing(client):
            prefix = name.rsplit(b"/", 1)[0] + b"/" if b"/" in name else name
            answer = client.get_refs(path.encode(), ref_prefix=[prefix])
            refs: dict[bytes, bytes] = {ref: sha for ref, sha in answer.refs.items() if sha}
        if isinstance(client, LocalGitClient) and name in refs:
            # A server peels annotated tags itself; a folder's refs are as they are.
            with Repo(path) as repo:
                refs[name + PEELED] = repo.get_peeled(Ref(name))
        return refs

    def _fetch(self, spec: SourceSpec, path: Path, commit: str) -> None:
        if path.exists() and len(list((path / "objects" / "pack").glob("*.pack"))) > MOST_PACKS:
            shutil.rmtree(path)
        if not (path / "objects").exists():
            fresh = path.with_suffix(f".{os.getpid()}")
            shutil.rmtree(fresh, ignore_errors=True)
            Repo.init_bare(str(fresh), mkdir=True).close()
            shutil.rmtree(path, ignore_errors=True)
            fresh.rename(path)

        def wants(_refs: object, depth: int | None = None) -> list[ObjectID]:
            del depth  # dulwich passes it by name
            return [ObjectID(commit.encode())]

        client, remote = self._client(spec)
        with contextlib.closing(client), contextlib.closing(Repo(str(path))) as repo:
            client.fetch(remote.encode(), repo, determine_wants=wants, depth=1)  # type: ignore[arg-type]

    def _client(self, spec: SourceSpec) -> tuple[GitClient, str]:
        parts = urlsplit(spec.url)
        if parts.scheme == "file":
            return LocalGitClient(), unquote(parts.path)
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=self._settings.connect_timeout, read=min(20.0, spec.timeout)),
            retries=False,
            cert_reqs="CERT_REQUIRED",
        )
        secret = spec.credentials
        client = _HttpClient(
            f"{parts.scheme}://{parts.netloc}/", pool_manager=pool, username=secret.username, password=secret.password
        )
        client.bearer = secret.bearer
        return client, parts.path

    def _within(self, spec: SourceSpec, work: Callable[[], T]) -> T:
        """Run a Git operation with a deadline of its own, and its errors in our words."""
        where = f"source {spec.name}: {mask_url(spec.url)}"
        future = self._pool.submit(work)
        try:
            return future.result(spec.timeout)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise RepositoryUnreachableError(f"{where} did not answer within {spec.timeout:g} s") from None
        except HTTPUnauthorized:
            hint = (
                "the credentials of secretRef are refused"
                if spec.credentials != type(spec.credentials)()
                else "set secretRef"
            )
            raise AuthenticationError(f"{where} asks for credentials: {hint}") from None
        except NotGitRepository:
            raise RepositoryUnreachableError(f"{where} is no Git repository; mend spec.url") from None
        except (HangupException, KeyError, AssertionError) as error:
            raise CommitNotFoundError(f"{where} does not hand out the commit asked for ({_line(error)})") from None
        except GitProtocolError as error:
            if "not our ref" in str(error) or "missing" in str(error):
                raise CommitNotFoundError(f"{where} does not hand out the commit asked for ({_line(error)})") from None
            raise RepositoryUnreachableError(f"{where}: {_line(error)}") from None
        except (urllib3.exceptions.HTTPError, OSError, EOFError) as error:
            raise RepositoryUnreachableError(f"{where} cannot be reached: {_line(error)}") from None
        except Exception as error:  # noqa: BLE001 (dulwich says in many ways that it cannot read an answer)
            raise RepositoryUnreachableError(
                f"{where} does not answer as a Git server does ({_line(error)}); mend spec.url, or set secretRef if it asks to log in"
            ) from None


def _open_with(path: Path, commit: str) -> Repo | None:
    """The mirror, if it has the commit and its tree whole."""
    if not (path / "objects").exists():
        return None
    repo = Repo(str(path))
    try:
        found = repo[commit.encode()]
        if isinstance(found, GitCommit) and found.tree in repo.object_store:
            return repo
    except KeyError:
        pass
    repo.close()
    return None


def _commit(commit: GitCommit) -> Commit:
    def text(value: bytes) -> str:
        return value.decode(errors="replace")

    message = text(commit.message)
    lines = message.strip().splitlines()
    trailers = tuple(
        (match[1], match[2])
        for line in lines[1:]
        if (match := re.fullmatch(r"([A-Z][A-Za-z-]+-by): (.+)", line.strip()))
    )
    return Commit(
        commit.id.decode(),
        text(commit.author),
        text(commit.committer),
        float(commit.author_time),
        float(commit.commit_time),
        lines[0] if lines else "",
        trailers,
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
