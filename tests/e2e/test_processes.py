"""What people and failures do to the processes: second terminals, kills, lost messages, restarts, pauses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import cast

import redis

from tests.e2e.conftest import SmallFleet
from tests.support.controlplane import free_ports


def client(small: SmallFleet) -> redis.Redis:
    address = small.product.data / "redis.url"
    if address.exists():
        return redis.Redis.from_url(address.read_text())
    return redis.Redis(unix_socket_path=str(small.product.data / "redis.sock"))


def pids(needle: str, data: Path) -> list[int]:
    """Processes of this product's data folder whose command line holds a text."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (folder / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if needle in command and (str(data) in environment or str(data) in command):
                found.append(int(folder.name))
    return found


def celery(small: SmallFleet, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "celery", *arguments],
        env=small.product.environment, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_second_up_goes_on_where_the_first_stopped_and_writes_nothing(small: SmallFleet) -> None:
    first = small.product.once()
    assert {row["name"] for row in first["clusters"]} == {"one", "two"}
    writes = {name: small.writes(name) for name in ("one", "two")}
    assert all(writes.values())
    small.product.once()
    assert {name: small.writes(name) for name in writes} == writes
    applied = small.product.json("audit", "log", "--type", "object.created")
    assert len(applied) == 3


def test_a_commit_marks_only_the_clusters_whose_tree_changed(small: SmallFleet) -> None:
    with small.product.up():
        small.product.until("first sync", lambda: small.value("one") == "1" and small.value("two", "extra") == "1")
        small.product.until("recorded", lambda: small.product.state("two", "extra")["state"] == "applied")
        small.product.until("recorded", lambda: small.product.state("one", "app")["state"] == "applied")
        before = small.simulator.traffic("one").by_verb.total()
        small.repo.commit({"extra/map.yaml": small.config_map("extra", "2")})
        small.product.until("the commit is live", lambda: small.value("two", "extra") == "2")
        assert small.simulator.traffic("one").by_verb.total() == before


def test_a_killed_workers_sync_is_claimed_again(small: SmallFleet) -> None:
    small.product.environment |= {"FLEETBEAT_LEASE_SECONDS": "3", "FLEETBEAT_QUEUED_SECONDS": "3"}
    with small.product.up():
        small.product.until("first sync", lambda: small.value("one") == "1" and small.value("two") == "1")
        small.product.until("recorded", lambda: small.product.state("one", "app")["state"] == "applied")
        small.knobs["one"].latency = 2.0
        small.repo.commit({"app/map.yaml": small.config_map("app", "2")})
        asked = small.simulator.traffic("one").by_verb
        before = asked.total()
        small.product.until("a worker is in the middle of it", lambda: asked.total() > before)
        for pid in pids("workers.main worker", small.product.data):
            os.kill(pid, signal.SIGKILL)
        small.knobs["one"].latency = 0.0
        small.product.until("taken over", lambda: small.value("one") == "2" and small.value("two") == "2")


def test_a_lost_message_is_sent_again(small: SmallFleet) -> None:
    small.product.environment |= {"FLEETBEAT_QUEUED_SECONDS": "2"}
    with small.product.up():
        small.product.until("first sync", lambda: small.value("one") == "1" and small.value("two") == "1")
        workers = pids("workers.main worker", small.product.data)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        small.repo.commit({"app/map.yaml": small.config_map("app", "2")})
        with client(small) as store:
            # Nobody consumes; what beat enqueues is thrown away, as a broker that crashed would.
            small.product.until("a message waits", lambda: any(int(store.llen(q)) for q in ("sources", "default")))
            for queue in ("sources", "default"):
                store.delete(queue)
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        small.product.until("it arrived all the same", lambda: small.value("one") == "2" and small.value("two") == "2")


def test_redis_gone_in_the_middle_delays_and_loses_nothing(small: SmallFleet) -> None:
    small.product.environment |= {"FLEETBEAT_LEASE_SECONDS": "3", "FLEETBEAT_QUEUED_SECONDS": "3"}
    with small.product.up() as up:
        small.product.until("first sync", lambda: small.value("one") == "1" and small.value("two") == "1")
        small.product.until("recorded", lambda: small.product.state("one", "app")["state"] == "applied")
        small.repo.commit({"app/map.yaml": small.config_map("app", "2")})
        (server,) = pids("redis-server", small.product.data)
        os.kill(server, signal.SIGKILL)
        small.product.until("live all the same", lambda: small.value("one") == "2" and small.value("two") == "2")
        assert up.poll() is None
        small.product.until("recorded", lambda: small.product.state("one", "app")["state"] == "applied")
        rows = small.product.json("audit", "log", "--cluster", "one", "--type", "object.configured")
        assert len(rows) == 1


def test_a_paused_cluster_is_left_alone_and_resume_says_what_it_reverts(small: SmallFleet) -> None:
    path = "/api/v1/namespaces/default/configmaps/app"
    with small.product.up():
        small.product.until("first sync", lambda: small.value("one") == "1" and small.value("two") == "1")
        nobody = small.product.run("pause", "cluster/one")
        assert nobody.returncode == 2
        assert "--reason" in nobody.stderr
        paused = small.product.run("pause", "cluster/one", "--reason", "INC-7, looking at DNS")
        assert paused.returncode == 0, paused.stderr
        small.api("one").merge(path, {"data": {"value": "debug"}})
        small.repo.commit({"app/map.yaml": small.config_map("app", "2")})
        small.product.until("the other has it", lambda: small.value("two") == "2")
        held = small.product.run("sync", "one", "--wait")
        assert held.returncode == 1
        assert "INC-7, looking at DNS" in held.stderr
        assert small.value("one") == "debug"
        assert small.product.state("one", "app")["state"] == "held"
        unasked = small.product.run("resume", "cluster/one")
        assert unasked.returncode == 2
        assert "--yes" in unasked.stderr
        assert small.product.state("one", "app")["state"] == "held"
        shown = small.product.run("resume", "cluster/one", "--yes")
        assert shown.returncode == 0, shown.stderr
        assert "ConfigMap/default/app" in shown.stdout
        assert "debug → 2" in shown.stdout
        assert "changed by kubectl-edit at" in shown.stdout
        small.product.until("caught up", lambda: small.value("one") == "2")
        (found,) = small.product.json("audit", "log", "--type", "object.drifted")
        assert "kubectl-edit" in found["message"]
        (placed,) = small.product.json("audit", "log", "--type", "hold.placed")
        assert (placed["actor"], placed["message"]) == ("tester", "INC-7, looking at DNS")


def test_celery_and_flower_work_from_a_second_terminal(small: SmallFleet) -> None:
    with small.product.up():

        def pong() -> bool:
            ping = celery(small, "-A", "workers.main", "inspect", "ping", "--timeout", "3")
            return ping.returncode == 0 and ping.stdout.count("pong") == 2

        small.product.until("both workers answer", pong)
        holds = celery(small, "-A", "workers.main", "inspect", "holds", "--timeout", "3")
        assert holds.returncode == 0, holds.stderr
        small.product.until("first sync", lambda: small.value("one") == "1" and small.value("two") == "1")
        stopped = celery(small, "-A", "workers.main", "control", "cancel_consumer", "default", "--timeout", "3")
        assert stopped.returncode == 0, stopped.stderr
        small.repo.commit({"app/map.yaml": small.config_map("app", "2")})
        with client(small) as store:
            small.product.until("syncs wait in the stopped queue", lambda: int(store.llen("default")) > 0)
        assert small.value("one") == "1"
        going = celery(small, "-A", "workers.main", "control", "add_consumer", "default", "--timeout", "3")
        assert going.returncode == 0, going.stderr
        small.product.until("consumed again", lambda: small.value("one") == "2" and small.value("two") == "2")
        (port,) = free_ports(1)
        flower = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "workers.main", "flower", "--address=127.0.0.1", f"--port={port}"],
            env=small.product.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:

            def answers() -> bool:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/workers", timeout=5) as answer:
                        return b"w0@" in answer.read()
                except OSError:
                    return False

            small.product.until("Flower shows the workers", answers)
        finally:
            flower.terminate()
            flower.wait(20)


def test_beat_and_workers_started_by_celery_alone_do_the_same(small: SmallFleet) -> None:
    (port,) = free_ports(1)
    server = subprocess.Popen(
        [_redis_server(), "--port", str(port), "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL
    )
    small.product.environment["FLEETBEAT_REDIS_URL"] = f"redis://127.0.0.1:{port}/0"
    commands = (
        ("-A", "workers.main", "worker", "-Q", "default,sources", "--without-mingle", "--without-gossip"),
        ("-A", "scheduler.main", "beat"),
    )
    running: list[subprocess.Popen[bytes]] = []
    try:
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "celery", *command],
                env=small.product.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                cwd=small.product.fleet,
            )
            for command in commands
        ]  # fmt: skip
        found = small.product.json("up", "--fleet", str(small.product.fleet), "--once", "--without", "beat,workers")
        assert all(sync["state"] == "applied" for row in found["clusters"] for sync in row["syncs"])
        assert small.value("two", "extra") == "1"
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(30)
        server.terminate()
        server.wait(10)


def _redis_server() -> str:
    from fleetbeat.stack.redis import find

    return str(find().path)


def test_the_example_consumer_group_prints_every_change_once(small: SmallFleet) -> None:
    example = Path(__file__).parents[2] / "examples/consumers/print_changes.py"
    with small.product.up():
        small.product.until("first sync", lambda: small.value("one") == "1" and small.value("two", "extra") == "1")
        with client(small) as store:
            small.product.until("three objects are recorded", lambda: _created(store) == 3)
        address = small.product.data / "redis.url"
        url = address.read_text() if address.exists() else f"unix://{small.product.data / 'redis.sock'}"
        environment = small.product.environment | {"FLEETBEAT_REDIS_URL": url}
        output = small.product.fleet.parent / "consumer.out"
        with output.open("wb") as file:
            command = [sys.executable, str(example), "team"]
            running = [subprocess.Popen(command, env=environment, stdout=file, stderr=file) for _ in range(2)]
        try:
            small.product.until("all of it was printed", lambda: output.read_text().count("object.created") >= 3)
            small.repo.commit({"app/map.yaml": small.config_map("app", "2")})
            small.product.until("live", lambda: output.read_text().count("object.configured") >= 2)
        finally:
            for process in running:
                process.terminate()
                process.wait(10)
        assert output.read_text().count("object.created") == 3
        assert output.read_text().count("object.configured") == 2


def _created(store: redis.Redis) -> int:
    rows = cast("list[tuple[bytes, dict[bytes, bytes]]]", store.xrange("fleetbeat:audit"))
    return sum(b'"object.created"' in fields[b"event"] for _, fields in rows)
