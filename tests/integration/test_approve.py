"""`fleetbeat approve` and what `status` says of it: the real command on a real Redis, with receipts as a sync leaves them."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import Any

import pytest

from shared.audit import stream
from shared.documents import Cluster, Fleet, GitRepository, Sync
from shared.state import approvals, holds, keys, sources
from shared.state import fleet as fleets
from shared.state.approvals import Approval
from shared.state.holds import Hold
from shared.state.receipts import SyncReceipt
from shared.state.sources import SourceStatus
from shared.state.store import Store
from tests.support.fleet import FLEETBEAT, Product

COMMIT = "c0ffee00" * 5
NAMES = tuple(f"ConfigMap/web/map-{number}" for number in range(23))


def documents(*syncs: str) -> list[Any]:
    found: list[Any] = [
        GitRepository.model_validate({"metadata": {"name": "platform"}, "spec": {"url": "https://h/a.git"}})
    ]
    found += [
        Cluster.model_validate({"metadata": {"name": name}, "spec": {"kubeconfig": {"env": "K"}}})
        for name in ("eu-1", "us-1")
    ]
    found += [
        Sync.model_validate({"metadata": {"name": name}, "spec": {"sourceRef": {"name": "platform"}}}) for name in syncs
    ]
    return found


def leave_receipt(store: Store, cluster: str, sync: str, **fields: Any) -> None:
    receipt = SyncReceipt(sync, "run-1", COMMIT, "render", **{"state": "applied", "health": "healthy", **fields})
    store.redis.hset(keys.receipts(cluster), sync, receipt.to_json())


@pytest.fixture
def store(running: Store) -> Store:
    """Two clusters with two Syncs; 23 deletions of web wait at eu-1, nothing waits elsewhere and nothing is due."""
    fleets.publish(running, Fleet.of(documents("web", "infra")), "ada")
    for cluster in ("eu-1", "us-1"):
        for sync in ("web", "infra"):
            leave_receipt(running, cluster, sync)
    leave_receipt(running, "eu-1", "web", state="waiting", deletions=NAMES, deletions_digest="d1", error="waits")
    status = SourceStatus("platform", "main", COMMIT, 1.0, 1.0, None, "Remove the old shop", "Ada Lovelace")
    sources.put(running, status)
    running.redis.zadd(keys.DUE, {"sync/eu-1": running.time() + 3600, "sync/us-1": running.time() + 3600})
    running.redis.delete(keys.REASONS)
    return running


def granted(store: Store) -> list[dict[str, Any]]:
    return list(stream.read(store, stream.Filter(type="approval.granted")))


def due_now(store: Store) -> list[str]:
    rows: Any = store.redis.zrangebyscore(keys.DUE, "-inf", store.time())
    return [row.decode() for row in rows if row.startswith(b"sync/")]


def test_all_that_waits_is_listed(store: Store, product: Product) -> None:
    (row,) = product.json("approve")
    assert row == {
        "sync": "web",
        "cluster": "eu-1",
        "commit": COMMIT,
        "leaving": False,
        "deletions": list(NAMES),
        "digest": "d1",
        "approved": None,
    }
    done = product.run("approve")
    assert (done.returncode, done.stdout.splitlines()[1].split()) == (0, ["web@eu-1", "23", "c0ffee00"])


def test_where_nothing_waits_the_list_is_empty(store: Store, product: Product) -> None:
    leave_receipt(store, "eu-1", "web")
    assert product.json("approve") == []
    assert product.run("approve").stdout == "nothing waits for an approval\n"


def test_with_yes_exactly_the_waiting_deletions_are_approved_recorded_and_the_cluster_is_due(
    store: Store, product: Product
) -> None:
    done = product.run("approve", "web@eu-1", "--yes")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == 'web@eu-1: 23 deletions wait (commit c0ffee00, "Remove the old shop" by Ada Lovelace)'
    assert [line.strip() for line in lines[1:-1]] == list(NAMES)
    approval = approvals.of_cluster(store, "eu-1")["web"]
    assert (approval.digest, approval.actor) == ("d1", "tester")
    (event,) = granted(store)
    assert (event["actor"], event["cluster"], event["sync"], event["commit"]["id"]) == ("tester", "eu-1", "web", COMMIT)
    assert event["details"] == {"digest": "d1", "deletions": list(NAMES)}
    assert due_now(store) == ["sync/eu-1"]
    assert b'"manual"' in (store.redis.hget(keys.REASONS, "eu-1") or b"")


def test_in_json_stdout_holds_what_was_approved_and_by_whom(store: Store, product: Product) -> None:
    row = product.json("approve", "web@eu-1", "--yes")
    assert (row["digest"], row["deletions"], row["approved"]["actor"]) == ("d1", list(NAMES), "tester")


def test_without_a_terminal_and_without_yes_the_list_is_shown_and_nothing_is_approved(
    store: Store, product: Product
) -> None:
    done = product.run("approve", "web@eu-1")
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["error: nobody is there to ask; say: fleetbeat approve web@eu-1 --yes"]
    assert NAMES[-1] in done.stdout
    assert (approvals.every(store), granted(store), due_now(store)) == ({}, [], [])


@pytest.mark.parametrize(("answer", "code", "approved"), [("y\n", 0, True), ("n\n", 1, False)])
def test_on_a_terminal_it_asks(store: Store, product: Product, answer: str, code: int, approved: bool) -> None:
    master, slave = pty.openpty()
    try:
        os.write(master, answer.encode())
        done = subprocess.run(
            [str(FLEETBEAT), "approve", "web@eu-1"], stdin=slave, capture_output=True, text=True, timeout=60, check=False,
            env=product.environment,
        )  # fmt: skip
    finally:
        os.close(master)
        os.close(slave)
    assert (done.returncode, "Delete them?" in done.stderr) == (code, True)
    assert bool(approvals.of_cluster(store, "eu-1")) is approved
    assert len(granted(store)) == approved


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("infra@eu-1", 1, "error: nothing waits for an approval at infra@eu-1"),
        ("web@us-1", 1, "error: nothing waits for an approval at web@us-1"),
        ("wbe@eu-1", 2, "error: cluster eu-1 has no Sync wbe; did you mean web?"),
        ("web@eu-11", 2, "error: the fleet has no cluster eu-11; did you mean eu-1?"),
        ("web", 2, "error: web is not SYNC@CLUSTER; write it like web@eu-1"),
        ("@eu-1", 2, "error: @eu-1 is not SYNC@CLUSTER; write it like web@eu-1"),
    ],
)
def test_what_is_not_there_to_approve_is_said_in_one_line(
    store: Store, product: Product, what: str, code: int, message: str
) -> None:
    done = product.run("approve", what, "--yes")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", message + "\n")
    assert granted(store) == []


def test_approving_again_changes_neither_who_did_it_nor_the_trail(store: Store, product: Product) -> None:
    product.json("approve", "web@eu-1", "--yes")
    product.environment["FLEETBEAT_ACTOR"] = "somebody-else"
    assert product.json("approve", "web@eu-1")["approved"]["actor"] == "tester"
    assert len(granted(store)) == 1


def test_an_approval_of_another_list_counts_for_nothing(store: Store, product: Product) -> None:
    approvals.grant(store, Approval("web", "eu-1", "an older list", "grace", 1.0))
    assert product.json("approve")[0]["approved"] is None
    product.json("approve", "web@eu-1", "--yes")
    assert approvals.of_cluster(store, "eu-1")["web"].digest == "d1"


def test_of_a_held_cluster_it_says_that_nothing_happens_before_it_is_resumed(store: Store, product: Product) -> None:
    holds.put(store, Hold("cluster/eu-1", "INC-42", "grace", 1.0))
    done = product.run("approve", "web@eu-1", "--yes")
    assert done.returncode == 0
    assert done.stderr == "eu-1 is held by grace: INC-42 (fleetbeat resume cluster/eu-1)\n"


def test_the_deletions_of_a_sync_that_left_can_be_approved_once_a_run_asked_for_it(
    store: Store, product: Product
) -> None:
    fleets.publish(store, Fleet.of(documents("infra")), "ada")
    assert product.run("approve", "web@eu-1", "--yes").returncode == 1  # What waited before is another question.
    leave_receipt(
        store, "eu-1", "web", state="waiting", deletions=NAMES, deletions_digest="d2", leaving=True, error="waits"
    )
    done = product.run("approve", "web@eu-1", "--yes")
    assert done.stdout.startswith("web@eu-1: 23 deletions wait (the Sync left the cluster, deletionPolicy Prune)\n")
    assert approvals.of_cluster(store, "eu-1")["web"].digest == "d2"


def test_status_shows_who_is_leaving_what_waits_what_is_contested_and_each_warning_once(
    store: Store, product: Product
) -> None:
    for cluster in ("eu-1", "us-1"):
        leave_receipt(store, cluster, "infra", warnings=("policy/v1beta1 is deprecated",), contested=("Service/a/b",))
    fleets.publish(store, Fleet.of(documents("infra")), "ada")
    leave_receipt(
        store, "eu-1", "web", state="waiting", deletions=NAMES, deletions_digest="d2", leaving=True, error="waits"
    )
    report = product.json("status")
    rows = {f"{row['name']}@{cluster['name']}": row for cluster in report["clusters"] for row in cluster["syncs"]}
    assert {name: (row["state"], row["leaving"]) for name, row in rows.items()} == {
        "infra@eu-1": ("applied", False),
        "web@eu-1": ("waiting", True),
        "infra@us-1": ("applied", False),
        "web@us-1": ("pending", True),
    }
    assert rows["web@eu-1"]["deletions"] == list(NAMES)
    assert rows["infra@us-1"]["contested"] == ["Service/a/b"]
    assert rows["infra@us-1"]["warnings"] == ["policy/v1beta1 is deprecated"]
    done = product.run("status")
    assert [line.split()[:4] for line in done.stdout.splitlines()[1:]] == [
        ["eu-1", "infra", "applied", "healthy"],
        ["eu-1", "web", "(leaving)", "waiting"],
        ["us-1", "infra", "applied", "healthy"],
        ["us-1", "web", "(leaving)", "pending"],
    ]
    assert max(map(len, done.stdout.splitlines())) <= 80
    fight = "changed back each time, so not corrected for now: Service/a/b (who: fleetbeat audit log --type object.contested)"
    assert done.stderr.splitlines() == [
        f"infra@eu-1: {fight}",
        "web@eu-1: 23 deletions wait for: fleetbeat approve web@eu-1",
        f"infra@us-1: {fight}",
        "infra: the API server warns on 2 clusters: policy/v1beta1 is deprecated",
    ]
