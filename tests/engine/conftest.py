"""The engine's promises are asked on a simulated cluster and on a real API server; some on the real one alone."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from fleetbeat.simulator import Simulator
from tests.support.api import Api
from tests.support.controlplane import ControlPlane
from tests.support.lab import Lab
from workers.clusters.loop import LoopThread

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(scope="session")
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.stop()


@pytest.fixture
def real(control_plane: ControlPlane) -> Api:
    return Api.of_plane(control_plane)


@pytest.fixture(params=["simulator", "real"])
def api(request: pytest.FixtureRequest) -> Api:
    if request.param == "real":
        plane: ControlPlane = request.getfixturevalue("control_plane")
        return Api.of_plane(plane)
    running: Simulator = request.getfixturevalue("simulator")
    name = f"lab-{next(_numbers)}"
    running.add(name)
    return Api.of_simulated(running, name)


@pytest.fixture
def space(api: Api) -> str:
    """A fresh namespace for objects."""
    return fresh_namespace(api)


def fresh_namespace(api: Api) -> str:
    name = f"space-{os.getpid()}-{next(_numbers)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert api.send("POST", "/api/v1/namespaces", body).status == 201
    return name


@pytest.fixture
def lab(api: Api, loop: LoopThread) -> Iterator[Lab]:
    """One cluster with an inventory namespace of its own, so that tests on one API server do not meet."""
    found = Lab(api, f"system-{os.getpid()}-{next(_numbers)}", loop)
    yield found
    loop.run(found.client.close(), 5)
