"""What a file in Git means: scalars as kubectl reads them, Lists, duplicates, bombs, variables, and what a diff shows."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.settings import Settings
from workers.rendering.directory import read
from workers.rendering.errors import RenderError
from workers.rendering.manifest import Manifest
from workers.rendering.substitute import expand, substitute
from workers.rendering.yaml import documents, resolve
from workers.sync import diff

SETTINGS = Settings()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", True), ("no", False), ("NO", False), ("y", True), ("0755", 493), ("0o755", 493), ("08", 8), ("1_000", 1000),
        ("12:30:00", "12:30:00"), ("190:20:30", "190:20:30"), ("2026-11-01", "2026-11-01"), ("1e3", 1000), ("=", "="), ("~", None),
        ("null", None), ("0x1F", 31), ("1.5", 1.5), ("yes please", "yes please"), ("v1", "v1"), ("-3", -3),
    ],
)  # fmt: skip
def test_a_plain_scalar_is_what_kubectl_makes_of_it(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


def parsed(text: str, limit: int = 1000) -> list[Any]:
    return [value for _, value in documents(text.encode(), "a.yaml", limit)]


def test_quoted_scalars_stay_text_and_keys_become_text() -> None:
    assert parsed('a: "on"\n1: x\nb: !!str 5\n') == [{"a": "on", "1": "x", "b": "5"}]


def test_a_key_that_stands_twice_is_an_error_with_file_and_line() -> None:
    with pytest.raises(RenderError, match=r"a\.yaml:3"):
        parsed("a: 1\nb: 2\na: 3\n")


def test_an_alias_bomb_is_counted_before_it_is_built() -> None:
    rows = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"] + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(RenderError, match="alias"):
        parsed("\n".join(rows), limit=1_000_000)


def test_lists_are_expanded_and_documents_counted() -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n"
        "---\napiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: b}\n---\n# nothing\n"
    )
    found = read(text.encode(), "a.yaml", SETTINGS)
    assert [(item.kind, item.api_version, item.name) for item in found] == [
        ("ConfigMap", "v1", "a"),
        ("ConfigMap", "v1", "b"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: ConfigMap\n",
        "apiVersion: v1\nmetadata: {name: a}\n",
        "kind: ConfigMap\nmetadata: {name: a}\n",
        "- 1\n- 2\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [a]}\n",
    ],
)
def test_what_is_no_object_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(RenderError, match=r"a\.yaml"):
        read(text.encode(), "a.yaml", SETTINGS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "1"), ("x-${A}-y", "x-1-y"), ("${B:=two}", "two"), ("${B:-two}", "two"), ("${A:=two}", "1"), ("$${A}", "${A}"),
        ("$A", "$A"), ("no", "no"),
    ],
)  # fmt: skip
def test_variables_are_filled_in(text: str, value: str) -> None:
    assert expand(text, {"A": "1"}) == value


def test_a_variable_without_a_value_is_an_error_that_names_it() -> None:
    with pytest.raises(RenderError, match="MISSING"):
        expand("${MISSING}", {})


def test_a_scalar_that_is_all_variable_gets_its_type_and_disabled_objects_stay() -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "replicas": "${N}"}
    assert substitute(Manifest(body, "a:1"), {"N": "3"}).body["replicas"] == 3
    off = {**body, "metadata": {"name": "a", "annotations": {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}}}
    assert substitute(Manifest(off, "a:1"), {"N": "3"}).body["replicas"] == "${N}"


def test_a_diff_names_fields_and_keyed_items() -> None:
    old = {"kind": "Deployment", "spec": {"containers": [{"name": "web", "image": "a"}], "gone": 1}}
    new = {"kind": "Deployment", "spec": {"containers": [{"name": "web", "image": "b"}], "fresh": 2}}
    rows = {row["path"]: (row.get("from"), row.get("to")) for row in diff.fields(old, new, b"key")}
    assert rows == {"spec.containers[web].image": ("a", "b"), "spec.gone": (1, None), "spec.fresh": (None, 2)}


def test_a_diff_of_a_secret_shows_that_it_changed_and_never_what() -> None:
    def secret(value: str) -> dict[str, Any]:
        data = {"password": base64.b64encode(value.encode()).decode()}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": data}

    rows = diff.fields(secret("hunter2"), secret("correct horse"), b"key")
    assert rows
    for hidden in ("hunter2", "correct horse"):
        assert base64.b64encode(hidden.encode()).decode() not in str(rows)
    back = diff.fields(secret("correct horse"), secret("hunter2"), b"key")
    assert (rows[0]["from"], rows[0]["to"]) == (back[0]["to"], back[0]["from"])
    assert diff.fields(secret("hunter2"), secret("correct horse"), b"other")[0]["from"] != rows[0]["from"]
