"""docker-compose.yml: valid by the Compose schema, and every command in it does its part as a plain process."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleetbeat.stack.redis import find
from tests.e2e.conftest import SmallFleet
from tests.support.controlplane import free_ports

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PYTHON = Path(sys.executable).parent


def test_it_is_valid_by_the_compose_schema() -> None:
    command = [
        str(PYTHON / "check-jsonschema"),
        "--builtin-schema",
        "vendor.compose-spec",
        str(ROOT / "docker-compose.yml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_redis_keeps_what_it_is_told_and_evicts_nothing() -> None:
    command = SERVICES["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert any(str(volume).endswith(":/data") for volume in SERVICES["redis"]["volumes"])


def test_flower_asks_for_a_password_and_listens_on_loopback_only() -> None:
    flower = SERVICES["flower"]
    assert "FLOWER_BASIC_AUTH:?" in flower["environment"]["FLOWER_BASIC_AUTH"]
    assert all(port.startswith("127.0.0.1:") for port in flower["ports"])


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"redis"}))
def test_our_services_may_write_nothing_but_their_volume(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def command(name: str, replace: dict[str, str]) -> list[str]:
    """The service's own command, with paths and ports that are free here."""
    words = list(SERVICES[name]["command"])
    for old, new in replace.items():
        words = [word.replace(old, new) for word in words]
    words[0] = {"redis-server": str(find().path)}.get(words[0], f"{sysconfig.get_path('scripts')}/{words[0]}")
    return words


def test_every_command_runs_and_together_they_sync_a_fleet(small: SmallFleet, tmp_path: Path) -> None:
    redis_port, flower_port = free_ports(2)
    fleet = small.product.fleet / "fleet.yaml"
    fleet.write_text(fleet.read_text().replace("name: two\nspec:", "name: two\nspec:\n  queue: edge"))
    environment = small.product.environment | {
        "FLEETBEAT_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "FLOWER_BASIC_AUTH": "you:secret",
    }
    replace = {"/fleet": str(small.product.fleet), "--port=5555": f"--port={flower_port}", "0.0.0.0": "127.0.0.1"}
    running: list[subprocess.Popen[bytes]] = []

    def spawn(name: str, *more: str) -> None:
        with (tmp_path / f"{name}.log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    [*command(name, replace), *more], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=tmp_path
                )
            )  # fmt: skip

    def done(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)

    try:
        spawn("redis", "--port", str(redis_port))
        small.product.environment = environment
        published = command("publish", replace)
        small.product.until("the fleet is published", lambda: done(*published).returncode == 0)
        for name in ("beat", "worker-default", "worker-edge", "flower"):
            spawn(name)
        small.product.until("both queues are served", lambda: small.value("one") == small.value("two", "extra") == "1")
        assert done(str(PYTHON / "fleetbeat"), "status").returncode == 0
        url = f"http://127.0.0.1:{flower_port}/"

        def refuses() -> bool:
            try:
                with urllib.request.urlopen(url, timeout=5):
                    return False
            except urllib.error.HTTPError as error:
                with error:
                    return error.code == 401
            except OSError:
                return False

        small.product.until("Flower asks who is there", refuses)
        token = base64.b64encode(b"you:secret").decode()
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        assert all(process.poll() is None for process in running)
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
        for process in reversed(running):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
