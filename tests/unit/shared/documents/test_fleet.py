"""The snapshot: what it answers, and that it survives being stored."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents import Cluster, Fleet, GitRepository, InvalidFleetError, Sync
from shared.documents.fleet import dependency_order, label_variable
from shared.documents.kinds import AnyDocument

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
LABELS = st.dictionaries(st.sampled_from(["env", "tier", "example.com/team"]), st.sampled_from(["", "a", "B-1"]))
DURATIONS = st.integers(1, 10**9).map(lambda millis: timedelta(milliseconds=millis))


def source(name: str = "platform") -> GitRepository:
    return GitRepository.model_validate({"metadata": {"name": name}, "spec": {"url": "https://h/a.git"}})


def cluster(name: str, labels: dict[str, str] | None = None, **spec: object) -> Cluster:
    return Cluster.model_validate(
        {"metadata": {"name": name, "labels": labels or {}}, "spec": {"kubeconfig": {"env": "K"}, **spec}}
    )


def sync(name: str, needs: tuple[str, ...] = (), **spec: object) -> Sync:
    depends = [{"name": need} for need in needs]
    return Sync.model_validate(
        {"metadata": {"name": name}, "spec": {"source_ref": {"name": "platform"}, "depends_on": depends, **spec}}
    )


@st.composite
def documents(draw: st.DrawFn) -> list[AnyDocument]:
    sync_names = sorted(draw(st.sets(NAMES, max_size=6)))
    made: list[AnyDocument] = [source()]
    variables = st.dictionaries(st.sampled_from("AB"), TEXTS)
    made += [cluster(name, draw(LABELS), variables=draw(variables)) for name in draw(st.sets(NAMES, max_size=4))]
    for index, name in enumerate(sync_names):
        needs = draw(st.sets(st.sampled_from(sync_names[:index]))) if index else set()
        selector = {"matchLabels": draw(LABELS)}
        build = draw(st.none() | st.builds(lambda value: {"substitute": {"X": value}}, TEXTS))
        made.append(sync(name, tuple(needs), clusterSelector=selector, interval=draw(DURATIONS), postBuild=build))
    return made


@given(documents(), st.lists(TEXTS, max_size=3), st.randoms())
@settings(deadline=None)
def test_a_fleet_that_was_stored_is_the_same_fleet_whatever_order_its_documents_came_in(
    made: list[AnyDocument], warnings: list[str], random: object
) -> None:
    fleet = Fleet.of(made, warnings)
    again = Fleet.from_json(fleet.to_json())
    assert again == fleet
    assert again.to_json() == fleet.to_json()
    assert list(again.syncs) == list(fleet.syncs)
    random.shuffle(made)  # type: ignore[attr-defined]
    assert Fleet.of(made, warnings).to_json() == fleet.to_json()


@given(documents())
@settings(deadline=None)
def test_syncs_of_a_cluster_come_after_what_they_depend_on_and_agree_with_clusters_of_a_sync(
    made: list[AnyDocument],
) -> None:
    fleet = Fleet.of(made)
    for name in fleet.clusters:
        syncs = [item.name for item in fleet.syncs_of(name)]
        for position, item in enumerate(fleet.syncs_of(name)):
            assert not {need.name for need in item.spec.depends_on} & set(syncs[position:])
        assert set(syncs) == {
            other for other in fleet.syncs if name in [item.name for item in fleet.clusters_of(other)]
        }


def test_dependency_order_is_alphabetical_where_dependencies_leave_a_choice() -> None:
    assert dependency_order({"c": [], "a": ["z"], "b": ["gone"], "z": ["c"]}) == (["b", "c", "z", "a"], [])
    assert dependency_order({"a": ["b"], "b": ["a"], "c": ["a"], "d": []}) == (["d"], ["a", "b", "c"])


def test_the_digest_depends_on_the_documents_and_not_on_warnings() -> None:
    assert Fleet.of([source()]).digest == Fleet.of([source()], ["odd"]).digest
    assert Fleet.of([source()]).digest != Fleet.of([source("other")]).digest
    assert Fleet.of([source()], ["odd"]).to_json() != Fleet.of([source()]).to_json()


def test_a_snapshot_cannot_be_changed() -> None:
    fleet = Fleet.of([source()])
    with pytest.raises(dataclasses.FrozenInstanceError):
        fleet.digest = ""  # type: ignore[misc]
    with pytest.raises(TypeError):
        fleet.sources["x"] = source()  # type: ignore[index]
    with pytest.raises(ValueError, match="frozen"):
        fleet.sources["platform"].spec.suspend = True  # type: ignore[misc]


def test_a_snapshot_that_was_tampered_with_is_refused() -> None:
    stored = Fleet.of([source()]).to_json().replace(b"https://h/", b"https://x/")
    with pytest.raises(InvalidFleetError, match="is damaged"):
        Fleet.from_json(stored)


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"digest":"","documents":[1],"warnings":[]}',
        b'{"digest":"","documents":[{"kind":"Sync"}],"warnings":[]}',
    ],
)
def test_what_is_no_snapshot_is_refused_in_words(stored: bytes) -> None:
    with pytest.raises(InvalidFleetError, match="publish the fleet again"):
        Fleet.from_json(stored)


def test_syncs_in_a_circle_make_no_fleet() -> None:
    with pytest.raises(InvalidFleetError, match="in a circle: a, b"):
        Fleet.of([sync("a", ("b",)), sync("b", ("a",))])


def test_a_snapshot_of_an_older_version_with_fewer_fields_keeps_its_digest() -> None:
    raw = orjson.loads(Fleet.of([source()]).to_json())
    del raw["documents"][0]["spec"]["suspend"]
    raw["digest"] = hashlib.sha256(orjson.dumps(raw["documents"], option=orjson.OPT_SORT_KEYS)).hexdigest()
    fleet = Fleet.from_json(orjson.dumps(raw))
    assert fleet.digest == raw["digest"] != Fleet.of([source()]).digest
    assert fleet.sources == Fleet.of([source()]).sources


def test_a_cluster_has_its_own_variables_and_the_built_in_ones() -> None:
    fleet = Fleet.of([cluster("c1", {"env": "prod", "example.com/tier": "a"}, variables={"REPLICAS": "3"})])
    assert fleet.variables_of("c1") == {
        "CLUSTER_LABEL_ENV": "prod",
        "CLUSTER_LABEL_EXAMPLE_COM_TIER": "a",
        "CLUSTER_NAME": "c1",
        "REPLICAS": "3",
    }


@given(st.text(max_size=20))
def test_every_label_key_becomes_a_variable_name(key: str) -> None:
    assert label_variable(key).replace("_", "").isalnum()
    assert label_variable(key).isascii()


def test_an_unknown_name_is_a_key_error() -> None:
    fleet = Fleet.of([source()])
    for ask in (fleet.syncs_of, fleet.clusters_of, fleet.variables_of):
        with pytest.raises(KeyError):
            ask("nobody")
