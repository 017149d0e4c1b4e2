"""Bad input gets a clear error and harms nothing else: every case at once in one fleet, beside what is good."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import yaml

from fleetbeat.simulator import Simulator
from tests.support.api import Api
from tests.support.fleet import Product, cluster, source, sync
from tests.support.git import GitHttpServer, GitRepo

FIFTY_MB = 50 * 1024 * 1024


def config_map(name: str, **data: str) -> str:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}
    return yaml.safe_dump(body)


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 123\n"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join(['*' + before] * 10)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)

FILES: dict[str, str | bytes] = {
    "good/map.yaml": config_map("good", k="v"),
    "other/map.yaml": config_map("other", k="v"),
    "malformed/good.yaml": config_map("beside-malformed"),
    "malformed/bad.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n   namespace: b\n",
    "unknown-kind/a.yaml": "apiVersion: example.com/v1\nkind: Sprocket\nmetadata:\n  name: a\n  namespace: default\n",
    "alias-bomb/a.yaml": BOMB,
    "lfs/a.yaml": LFS,
    "huge/a.yaml": b"# " + b"x" * FIFTY_MB,
    "nameless/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  namespace: default\n",
    "twice/a.yaml": config_map("twice"),
    "twice/b.yaml": config_map("twice"),
    "shared-one/a.yaml": config_map("shared", owner="one"),
    "shared-two/a.yaml": config_map("shared", owner="two"),
    "submodule/a.yaml": config_map("beside-submodule"),
}
BAD_PATHS = (
    "malformed", "unknown-kind", "missing-path", "alias-bomb", "lfs", "huge", "nameless", "twice", "shared-one", "shared-two",
    "symlink", "submodule",
)  # fmt: skip


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[dict[str, Any]]:
    root = tmp_path_factory.mktemp("bad")
    repo = GitRepo(root / "git" / "platform")
    repo.commit(FILES)
    (repo.path / "symlink").mkdir()
    (repo.path / "symlink" / "a.yaml").symlink_to("../../../../../etc/passwd")
    commit = repo.commit_all()
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{commit},submodule/library")
    repo.git("commit", "-q", "-m", "A submodule")
    product = Product(root)
    product.environment |= {"FLEETBEAT_REQUEST_TIMEOUT": "2", "FLEETBEAT_CONNECT_TIMEOUT": "1"}
    for name in ("main", "away", "slow", "stranger"):
        simulator.add(name)
    away, slow = simulator.add("away", unreachable=True), simulator.add("slow", latency=60.0)
    assert away.unreachable
    assert slow.latency
    kubeconfigs = {name: simulator.kubeconfig(name, root / f"{name}.yaml") for name in ("main", "away", "slow")}
    kubeconfigs["stranger"] = simulator.kubeconfig("stranger", root / "stranger.yaml", token="wrong")
    plugin = yaml.safe_load(kubeconfigs["main"].read_text())
    plugin["users"][0]["user"] = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/touch"}}
    kubeconfigs["plugin"] = root / "plugin.yaml"
    kubeconfigs["plugin"].write_text(yaml.safe_dump(plugin))
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    with GitHttpServer(repo.path.parent) as server:
        here = {"clusterSelector": {"matchLabels": {"name": "main"}}}
        documents = [
            source("platform", server.url("platform"), timeout="20s"),
            source("no-ref", server.url("platform"), ref={"branch": "mian"}),
            source("no-server", f"http://127.0.0.1:{closed}/platform", timeout="3s"),
            *(cluster(name, path) for name, path in kubeconfigs.items()),
            sync("good", "platform", "./good"),
            sync("no-ref", "no-ref", "./good", **here),
            sync("no-server", "no-server", "./good", **here),
            *(sync(name, "platform", f"./{name}", **here) for name in BAD_PATHS),
        ]
        for document in documents:
            if document["kind"] == "Cluster":
                document["metadata"]["labels"] = {"name": document["metadata"]["name"]}
        product.write(*documents)
        found = product.once(code=1)
        assert isinstance(found, dict)
        yield found


def row(report: dict[str, Any], name: str, where: str = "main") -> dict[str, Any]:
    syncs = next(entry for entry in report["clusters"] if entry["name"] == where)["syncs"]
    found: dict[str, Any] = next(entry for entry in syncs if entry["name"] == name)
    return found


def test_what_is_good_is_applied_beside_all_of_it(report: dict[str, Any], simulator: Simulator) -> None:
    assert row(report, "good")["state"] == "applied"
    assert row(report, "good")["health"] == "healthy"
    api = Api.of_simulated(simulator, "main")
    assert api.get("/api/v1/namespaces/default/configmaps/good")["data"] == {"k": "v"}


def test_no_error_is_a_traceback_or_holds_a_token(report: dict[str, Any], simulator: Simulator) -> None:
    text = json.dumps(report)
    assert "Traceback" not in text
    for name in ("main", "away", "slow", "stranger"):
        assert simulator.token(name) not in text


CASES = {
    "malformed": ("malformed/bad.yaml", "malformed/bad.yaml:5:"),
    "unknown-kind": ("example.com/v1", "Sprocket", "CustomResourceDefinition"),
    "missing-path": ("missing-path", "nearest folder"),
    "alias-bomb": ("alias-bomb/a.yaml", "alias"),
    "lfs": ("lfs/a.yaml", "LFS"),
    "huge": ("huge/a.yaml", "10485760"),
    "nameless": ("nameless/a.yaml", "name"),
    "twice": ("twice/a.yaml", "twice/b.yaml", "ConfigMap"),
    "symlink": ("symlink/a.yaml", "symlink"),
    "submodule": ("submodule/library", "submodule"),
    "no-ref": ("mian", "main"),
    "no-server": ("127.0.0.1",),
}


@pytest.mark.parametrize("name", CASES)
def test_a_sync_of_bad_input_fails_and_says_what_and_where(report: dict[str, Any], name: str) -> None:
    found = row(report, name)
    assert found["state"] == "failed"
    for part in CASES[name]:
        assert part in found["error"], found["error"]
    assert "\n" not in found["error"]


@pytest.mark.parametrize("beside", ["beside-malformed", "beside-submodule", "twice"])
def test_nothing_of_a_sync_with_a_bad_file_is_applied(
    report: dict[str, Any], simulator: Simulator, beside: str
) -> None:
    api = Api.of_simulated(simulator, "main")
    assert api.send("GET", f"/api/v1/namespaces/default/configmaps/{beside}").status == 404


def test_an_object_that_two_syncs_want_belongs_to_one_and_the_other_names_it(
    report: dict[str, Any], simulator: Simulator
) -> None:
    states = {name: row(report, name) for name in ("shared-one", "shared-two")}
    (failed,) = [name for name, found in states.items() if found["state"] == "failed"]
    (owner,) = set(states) - {failed}
    assert states[owner]["state"] == "applied"
    assert owner in states[failed]["error"], states[failed]["error"]
    assert "ConfigMap/default/shared" in states[failed]["error"]
    live = Api.of_simulated(simulator, "main").get("/api/v1/namespaces/default/configmaps/shared")
    assert live["data"] == {"owner": owner.removeprefix("shared-")}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("away", ("cannot be reached",)),
        ("slow", ("no answer in time",)),
        ("stranger", ("Unauthorized", "renew")),
        ("plugin", ("exec plugin", "/bin/touch", "token")),
    ],
)
def test_a_cluster_that_cannot_be_used_says_why_and_holds_nobody_up(
    report: dict[str, Any], name: str, parts: tuple[str, ...]
) -> None:
    found = row(report, "good", name)
    assert found["state"] in {"failed", "unreachable"}
    assert f"cluster {name}" in found["error"]
    for part in parts:
        assert part in found["error"], found["error"]
    assert report["seconds"] < 60
