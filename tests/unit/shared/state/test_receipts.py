"""What is kept of a run can be read by the version before and the version after."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import fakeredis
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.state import intents, keys, receipts
from shared.state.intents import Run
from shared.state.receipts import MARK, ClusterMark, ObjectReceipt, SyncReceipt, pack, unpack
from shared.state.store import Store

FULL = SyncReceipt(
    "web",
    "run-1",
    "c0ffee",
    "render",
    "waiting",
    not_ready=("Deployment/web/a: 0 of 1",),
    warnings=("policy/v1beta1 PodDisruptionBudget is deprecated",),
    deletions=("ConfigMap/web/a", "Namespace/web"),
    deletions_digest="d1",
    contested=("Deployment/web/a",),
    leaving=True,
)
OBJECTS = st.builds(
    ObjectReceipt,
    uid=st.text(max_size=5),
    desired=st.text(max_size=5),
    fingerprint=st.text(max_size=5),
    drift=st.just("") | st.text(max_size=5),
    corrections=st.lists(st.floats(0, 2e9), max_size=6).map(tuple),
    contested=st.just(0.0) | st.floats(1, 2e9),
)


@pytest.fixture
def store() -> Iterator[Store]:
    client = fakeredis.FakeRedis()
    yield Store(client)
    client.close()


def test_a_receipt_is_read_back_as_it_was_written() -> None:
    assert SyncReceipt.from_json(FULL.to_json()) == FULL


def test_a_receipt_of_an_older_version_has_the_defaults_for_what_it_does_not_say() -> None:
    old = orjson.loads(FULL.to_json())
    for name in ("warnings", "deletions", "deletions_digest", "contested", "leaving"):
        del old[name]
    read = SyncReceipt.from_json(orjson.dumps(old))
    assert (read.warnings, read.deletions, read.deletions_digest, read.contested, read.leaving) == (
        (),
        (),
        "",
        (),
        False,
    )
    assert read.not_ready == FULL.not_ready


def test_what_a_newer_version_says_more_in_a_receipt_is_passed_over() -> None:
    newer = {**orjson.loads(FULL.to_json()), "weather": ["fine"], "moon": {"phase": 3}}
    assert SyncReceipt.from_json(orjson.dumps(newer)) == FULL


@given(st.dictionaries(st.text(max_size=5), OBJECTS, max_size=5))
def test_object_receipts_are_read_back_as_they_were_packed(objects: dict[str, ObjectReceipt]) -> None:
    assert unpack(pack(objects)) == objects


def test_rows_of_three_fields_and_rows_with_more_than_are_known_load() -> None:
    body = zlib.compress(orjson.dumps({"old": ["u", "d", "f"], "new": ["u", "d", "f", "spec", [1.5], 2.5, "more"]}))
    assert unpack(body) == {
        "old": ObjectReceipt("u", "d", "f"),
        "new": ObjectReceipt("u", "d", "f", "spec", (1.5,), 2.5),
    }


@pytest.mark.parametrize(
    ("receipt", "row"),
    [
        (ObjectReceipt("u", "d", "f"), ["u", "d", "f"]),
        (ObjectReceipt("u", "d", "f", "spec.replicas"), ["u", "d", "f", "spec.replicas"]),
        (ObjectReceipt("u", "d", "f", corrections=(1.0,)), ["u", "d", "f", "", [1.0]]),
        (ObjectReceipt("u", "d", "f", contested=2.0), ["u", "d", "f", "", [], 2.0]),
    ],
)
def test_defaults_at_the_end_of_a_row_take_no_room(receipt: ObjectReceipt, row: list[object]) -> None:
    assert orjson.loads(zlib.decompress(pack({"k": receipt}))) == {"k": row}


def test_a_clusters_mark_is_written_with_the_end_of_a_run_and_is_no_syncs_receipts(store: Store) -> None:
    assert receipts.mark_of(store, "a") is None
    store.redis.hset(keys.intent("a"), mapping={"token": "1", "run": "r"})
    run = Run("r", "a", "default", "1", "interval", "beat", "", {}, 0.0, 0.0)
    mark = ClusterMark(version=2**62, uid="0a1b", compared=1.5)
    web = {"/ConfigMap/web/a": ObjectReceipt("u", "d", "f")}
    assert intents.finish(store, run, objects={"web": pack(web), MARK: mark.to_bytes()})
    assert receipts.mark_of(store, "a") == mark
    assert receipts.objects_of(store, "a") == {"web": web}
    assert receipts.mark_of(store, "b") is None
    assert receipts.read_mark(orjson.dumps([7, "0a1b"])) == ClusterMark(7, "0a1b")
