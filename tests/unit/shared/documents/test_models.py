"""Defaults, selectors and durations of the documents."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.documents.git_repository import GitRef
from shared.documents.sync import ClusterSelector, MatchExpression, SyncSpec

LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))


def spec(**fields: object) -> SyncSpec:
    return SyncSpec.model_validate({"sourceRef": {"name": "platform"}, **fields})


def test_a_sync_has_fluxs_defaults() -> None:
    made = spec()
    assert (made.interval, made.retry_interval, made.timeout) == (
        timedelta(minutes=10),
        timedelta(minutes=1),
        timedelta(minutes=5),
    )
    assert (made.prune, made.wait, made.suspend, made.allow_empty) == (True, True, False, False)
    assert (made.path, made.target_namespace, made.post_build, made.drift_mode) == ("./", None, None, "correct")


def test_a_sync_deletes_little_corrects_drift_and_forces_nothing_unless_told() -> None:
    made = spec()
    assert (made.max_deletions, made.prune_protected, made.force, made.drift_mode) == (20, (), False, "correct")
    assert (made.service_account_name, made.deletion_policy) == (None, None)


@pytest.mark.parametrize(
    ("fields", "leaves"),
    [
        ({}, "Prune"),
        ({"prune": True}, "Prune"),
        ({"prune": False}, "Orphan"),
        ({"prune": True, "deletionPolicy": "Orphan"}, "Orphan"),
        ({"prune": False, "deletionPolicy": "Prune"}, "Prune"),
    ],
)
def test_a_sync_that_leaves_a_cluster_prunes_what_it_would_have_pruned_unless_its_policy_says_else(
    fields: dict[str, object], leaves: str
) -> None:
    assert spec(**fields).leaves == leaves


@given(st.integers(1, 366 * 86_400_000))
def test_every_duration_is_read_back_as_it_was_written(millis: int) -> None:
    made = spec(interval=timedelta(milliseconds=millis))
    text = made.model_dump(mode="json", by_alias=True)["interval"]
    assert isinstance(text, str)
    assert spec(interval=text).interval == made.interval == timedelta(milliseconds=millis)


@given(LABELS)
def test_an_empty_selector_matches_every_cluster(labels: dict[str, str]) -> None:
    assert ClusterSelector().matches(labels)


@given(LABELS, st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), min_size=1))
def test_opposite_operators_never_agree(labels: dict[str, str], key: str, values: list[str]) -> None:
    def says(operator: str, wanted: list[str]) -> bool:
        return MatchExpression.model_validate({"key": key, "operator": operator, "values": wanted}).matches(labels)

    assert says("In", values) != says("NotIn", values)
    assert says("Exists", []) != says("DoesNotExist", [])
    assert says("In", values) == (labels.get(key) in values)


@given(LABELS, LABELS)
def test_match_labels_hold_when_all_of_them_are_there(labels: dict[str, str], wanted: dict[str, str]) -> None:
    assert ClusterSelector(match_labels=wanted).matches(labels) == (wanted.items() <= labels.items())


def test_the_most_exact_ref_wins_as_in_flux() -> None:
    fields = {"branch": "b", "tag": "t", "name": "refs/pull/1/head", "commit": "a" * 40}
    for kind in ("commit", "name", "tag", "branch"):
        assert GitRef.model_validate(fields).selected == (kind, fields.pop(kind))
    assert GitRef().selected == ("branch", "main")


@pytest.mark.parametrize(
    "ref",
    [
        {"commit": "abc"},
        {"name": "main"},
        {"branch": "--upload-pack=x"},
        {"branch": "a..b"},
        {"tag": "a b"},
        {"branch": ""},
    ],
)
def test_a_ref_that_git_would_not_take_is_refused(ref: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        GitRef.model_validate(ref)


@pytest.mark.parametrize("namespace", ["web", "${CLUSTER_NAME}", "web-${env}-1", "${a}${b}"])
def test_a_target_namespace_may_hold_variables(namespace: str) -> None:
    assert spec(targetNamespace=namespace).target_namespace == namespace
