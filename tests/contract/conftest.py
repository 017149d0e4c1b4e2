"""The same promises asked of the simulator and of a real API server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from fleetbeat.simulator import Simulator
from tests.support.api import Api
from tests.support.controlplane import ControlPlane

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        running.add("contract")
        yield running


@pytest.fixture(params=["simulator", "real"])
def api(request: pytest.FixtureRequest) -> Api:
    if request.param == "simulator":
        running: Simulator = request.getfixturevalue("simulator")
        return Api.of_simulated(running, "contract")
    plane: ControlPlane = request.getfixturevalue("control_plane")
    return Api.of_plane(plane)


@pytest.fixture
def namespace(api: Api) -> str:
    """A fresh namespace."""
    name = f"contract-{next(_numbers)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert api.send("POST", "/api/v1/namespaces", body).status == 201
    return name
