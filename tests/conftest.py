"""Fixtures that several kinds of tests share; the control planes are started once a session, on first use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.controlplane import ControlPlane
from tests.support.fleet import Product
from tests.support.git import GitHttpServer, GitRepo


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("plane-a")) as plane:
        yield plane


@pytest.fixture(scope="session")
def second_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("plane-b")) as plane:
        yield plane


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    return GitRepo(tmp_path / "git" / "platform")


@pytest.fixture
def git_server(repo: GitRepo) -> Iterator[GitHttpServer]:
    with GitHttpServer(repo.path.parent) as server:
        yield server


@pytest.fixture
def product(tmp_path: Path) -> Product:
    return Product(tmp_path)
