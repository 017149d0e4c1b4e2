"""Git over real HTTP and files, and kustomizations built by the real kubectl: what is read, what is refused, what is shared."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.documents.git_repository import GitRepository
from shared.settings import Settings
from tests.support.git import GitHttpServer, GitRepo
from workers.rendering.errors import RenderError
from workers.rendering.render import RenderRequest, render
from workers.sources.errors import (
    AuthenticationError,
    CommitNotFoundError,
    RefNotFoundError,
    RepositoryUnreachableError,
)
from workers.sources.mirror import Mirrors
from workers.sources.spec import Credentials, SourceSpec

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: default\n"


@pytest.fixture
def mirrors(tmp_path: Path) -> Mirrors:
    return Mirrors(tmp_path / "mirrors", Settings())


def spec(url: str, kind: str = "branch", value: str = "main", timeout: float = 10.0, **credentials: str) -> SourceSpec:
    return SourceSpec("platform", url, kind, value, timeout, Credentials(**credentials))


def objects(mirrors: Mirrors, where: SourceSpec, path: str, cache: Path) -> list[str]:
    commit = mirrors.resolve(where).commit
    with mirrors.tree(where, commit) as tree:
        return [item.subject for item in render(tree, RenderRequest(path), Settings(), cache).objects]


def problem(mirrors: Mirrors, repo: GitRepo, tmp_path: Path, files: dict[str, str]) -> str:
    repo.commit(files)
    with pytest.raises(RenderError) as refused:
        objects(mirrors, spec(f"file://{repo.path}"), "app", tmp_path / "cache")
    return str(refused.value)


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_commit_is_fetched_once_and_read_from_the_object_store(
    mirrors: Mirrors, repo: GitRepo, git_server: GitHttpServer, tmp_path: Path, scheme: str
) -> None:
    commit = repo.commit({"app/a.yaml": CONFIG_MAP})
    where = spec(f"file://{repo.path}" if scheme == "file" else git_server.url("platform"))
    assert mirrors.resolve(where).commit == commit
    assert objects(mirrors, where, "app", tmp_path / "cache") == ["ConfigMap/default/a"]
    info = mirrors.commit_info(where, commit)
    assert "Ada Lovelace" in info.author
    assert not list((tmp_path / "mirrors").rglob("a.yaml"))
    git_server.hang.set()
    with mirrors.tree(where, commit) as tree:
        assert tree.entry("app/a.yaml")


def test_many_threads_that_want_one_commit_make_one_fetch(
    mirrors: Mirrors, repo: GitRepo, git_server: GitHttpServer, tmp_path: Path
) -> None:
    commit = repo.commit({"app/a.yaml": CONFIG_MAP})
    where = spec(git_server.url("platform"))
    barrier = threading.Barrier(8)

    def read(_: int) -> bool:
        barrier.wait(10)
        with mirrors.tree(where, commit) as tree:
            return tree.entry("app/a.yaml") is not None

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))
    assert len(list((tmp_path / "mirrors").rglob("*.pack"))) == 1


def test_a_ref_that_is_not_there_names_those_that_are(mirrors: Mirrors, repo: GitRepo) -> None:
    repo.commit({"app/a.yaml": CONFIG_MAP})
    with pytest.raises(RefNotFoundError, match="refs/heads/main"):
        mirrors.resolve(spec(f"file://{repo.path}", value="mian"))


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_tag_is_the_commit_it_points_to(
    mirrors: Mirrors, repo: GitRepo, git_server: GitHttpServer, tmp_path: Path, scheme: str
) -> None:
    commit = repo.commit({"app/a.yaml": CONFIG_MAP})
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.commit({"app/b.yaml": CONFIG_MAP.replace("name: a", "name: b")})
    where = spec(f"file://{repo.path}" if scheme == "file" else git_server.url("platform"), "tag", "v1")
    assert mirrors.resolve(where).commit == commit
    assert objects(mirrors, where, "app", tmp_path / "cache") == ["ConfigMap/default/a"]


def test_a_commit_that_is_not_there_is_named(mirrors: Mirrors, repo: GitRepo) -> None:
    repo.commit({"app/a.yaml": CONFIG_MAP})
    with pytest.raises(CommitNotFoundError, match="0000"), mirrors.tree(spec(f"file://{repo.path}"), "0" * 40):
        pass


def test_a_server_that_never_answers_ends_with_the_timeout_of_the_source(
    mirrors: Mirrors, repo: GitRepo, git_server: GitHttpServer
) -> None:
    repo.commit({"app/a.yaml": CONFIG_MAP})
    git_server.hang.set()
    began = time.monotonic()
    with pytest.raises(RepositoryUnreachableError, match="platform"):
        mirrors.resolve(spec(git_server.url("platform"), timeout=1.0))
    assert time.monotonic() - began < 10


def test_credentials_are_sent_and_never_shown(mirrors: Mirrors, repo: GitRepo) -> None:
    commit = repo.commit({"app/a.yaml": CONFIG_MAP})
    with GitHttpServer(repo.path.parent, secret="robot:s3cret") as server:
        url = server.url("platform")
        assert mirrors.resolve(spec(url, username="robot", password="s3cret")).commit == commit
        with pytest.raises(AuthenticationError) as refused:
            mirrors.resolve(spec(url, username="robot", password="wr0ng"))
    assert "wr0ng" not in str(refused.value)
    assert "s3cret" not in repr(spec(url, username="robot", password="s3cret"))


def test_a_kustomization_is_built_with_its_bases(mirrors: Mirrors, repo: GitRepo, tmp_path: Path) -> None:
    repo.commit(
        {
            "base/kustomization.yaml": "resources: [a.yaml]\n",
            "base/a.yaml": CONFIG_MAP,
            "app/kustomization.yaml": "namePrefix: prod-\nresources: [../base]\n",
        }
    )
    assert objects(mirrors, spec(f"file://{repo.path}"), "app", tmp_path / "cache") == ["ConfigMap/default/prod-a"]


@pytest.mark.parametrize(
    ("kustomization", "part"),
    [
        ("resources: [https://example.org/a.yaml]\n", "remote"),
        ("resources: ['github.com/example/repo//base?ref=main']\n", "remote"),
        ("resources: ['git@github.com:example/repo.git']\n", "remote"),
        ("components: ['https://example.org/c']\n", "remote"),
        ("resources: [../../outside]\n", "out of the repository"),
        ("resources: [/etc]\n", "absolute"),
        ("resources: [gone.yaml]\n", "gone.yaml"),
        ("helmCharts: [{name: a, repo: 'https://example.org'}]\n", "helmCharts"),
        ("generators: [a.yaml]\n", "generators"),
        ("- 1\n", "mapping"),
    ],
)
def test_a_kustomization_that_leads_elsewhere_is_refused_and_named(
    mirrors: Mirrors, repo: GitRepo, tmp_path: Path, kustomization: str, part: str
) -> None:
    found = problem(mirrors, repo, tmp_path, {"app/kustomization.yaml": kustomization})
    assert part in found
    assert "app/kustomization.yaml" in found


def test_what_kustomize_itself_refuses_is_said_in_one_line(mirrors: Mirrors, repo: GitRepo, tmp_path: Path) -> None:
    files = {"app/kustomization.yaml": "resources: [a.yaml]\nnoSuchField: 1\n", "app/a.yaml": CONFIG_MAP}
    found = problem(mirrors, repo, tmp_path, files)
    assert "noSuchField" in found
    assert "\n" not in found.strip()


def test_every_problem_of_a_folder_is_told_at_once(mirrors: Mirrors, repo: GitRepo, tmp_path: Path) -> None:
    files = {"app/a.yaml": "a: [\n", "app/b.yaml": "kind: X\n", "app/c.yaml": CONFIG_MAP + "b: 1\nb: 2\n"}
    found = problem(mirrors, repo, tmp_path, files)
    assert all(name in found for name in ("app/a.yaml", "app/b.yaml", "app/c.yaml"))


def test_the_source_ignore_file_leaves_files_out(mirrors: Mirrors, repo: GitRepo, tmp_path: Path) -> None:
    repo.commit({"app/a.yaml": CONFIG_MAP, "app/ci.yaml": "not: kubernetes\n", ".sourceignore": "ci.yaml\n"})
    assert objects(mirrors, spec(f"file://{repo.path}"), "app", tmp_path / "cache") == ["ConfigMap/default/a"]


def test_a_bearer_token_is_sent(mirrors: Mirrors, repo: GitRepo) -> None:
    commit = repo.commit({"app/a.yaml": CONFIG_MAP})
    with GitHttpServer(repo.path.parent, bearer="t0ken") as server:
        where = spec(server.url("platform"), bearer="t0ken")
        assert mirrors.resolve(where).commit == commit
        assert "Ada Lovelace" in mirrors.commit_info(where, commit).author
        with pytest.raises(AuthenticationError) as refused:
            mirrors.resolve(spec(server.url("platform"), bearer="wr0ng"))
        assert "wr0ng" not in str(refused.value)


@pytest.mark.parametrize("page", [b"<html>please log in</html>", b"", b"\0\xff" * 50])
def test_an_address_that_answers_with_something_else_is_a_clear_error(
    mirrors: Mirrors, repo: GitRepo, git_server: GitHttpServer, page: bytes
) -> None:
    git_server.page = page
    with pytest.raises((RepositoryUnreachableError, RefNotFoundError)) as refused:
        mirrors.resolve(spec(git_server.url("platform")))
    assert "source platform" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_symlink_to_a_folder_is_refused_as_one_to_a_file_is(mirrors: Mirrors, repo: GitRepo, tmp_path: Path) -> None:
    repo.commit({"app/a.yaml": CONFIG_MAP, "other/b.yaml": CONFIG_MAP})
    (repo.path / "app" / "more").symlink_to("../other")
    repo.commit_all()
    with pytest.raises(RenderError, match="app/more is a symlink"):
        objects(mirrors, spec(f"file://{repo.path}"), "app", tmp_path / "cache")


def test_a_password_of_digits_stays_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "secret.yaml"
    file.write_text("username: ada\npassword: 0123\n")
    body = {"url": "https://example.org/a.git", "secretRef": {"file": str(file)}}
    raw = {"apiVersion": "fleetbeat/v1", "kind": "GitRepository", "metadata": {"name": "a"}, "spec": body}
    document = GitRepository.model_validate(raw, by_alias=True, by_name=False)
    assert SourceSpec.of(document).credentials.password == "0123"
    file.write_text("user: ada\npasswd: x\n")
    with pytest.raises(AuthenticationError, match="username and password, or bearerToken"):
        SourceSpec.of(document)
