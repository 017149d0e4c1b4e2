"""The generated files are the committed ones, and say the same as the loader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from shared.audit.events import Event, EventType
from shared.documents import schema
from shared.documents.kinds import KINDS
from shared.documents.schema import configuration_markdown, generated, json_schemas
from shared.settings import Settings

ROOT = Path(__file__).parents[4]
EXAMPLES = [
    document
    for path in sorted((ROOT / "examples/fleet").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("path", "text"), generated(Settings).items())
def test_the_committed_file_is_the_generated_one_so_run_make_docs(path: str, text: str) -> None:
    assert (ROOT / "docs" / path).read_text(encoding="utf-8") == text


def test_the_committed_event_schema_is_the_generated_one_so_run_make_docs() -> None:
    assert (ROOT / "docs/schema/event.json").read_text(encoding="utf-8") == schema.pretty(Event.model_json_schema())


def test_every_event_type_is_explained_where_the_audit_stream_is() -> None:
    explained = re.findall(r"^\| `([a-z]+\.[a-z]+)` \| \S", (ROOT / "docs/audit.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(explained) == sorted(get_args(EventType))


def test_writing_makes_every_file(tmp_path: Path) -> None:
    schema.write(tmp_path, Settings)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"configuration.md", "schema/cluster.json", "schema/gitrepository.json", "schema/sync.json"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_valid_and_accepts_nothing_unknown(kind: str) -> None:
    made = json_schemas()[kind]
    jsonschema.Draft202012Validator.check_schema(made)
    for part in [made, *made["$defs"].values()]:
        assert part["additionalProperties"] is False


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: document["metadata"]["name"])
def test_the_examples_fit_their_schema_and_refused_fields_do_not(document: dict[str, object]) -> None:
    validator = jsonschema.Draft202012Validator(json_schemas()[str(document["kind"])])
    validator.validate(document)
    spec = document["spec"]
    assert isinstance(spec, dict)
    for changed in ({"spec": {**spec, "rollout": {}}}, {"apiVersion": "v1"}, {"spec": None}):
        assert not validator.is_valid({**document, **changed})
    assert not validator.is_valid({key: value for key, value in document.items() if key != "apiVersion"})


@pytest.mark.parametrize(
    ("kind", "field", "good", "bad"),
    [
        ("Sync", "maxDeletions", [0, 20, 1_000_000], [-1, 1_000_001, 1.5, "3", True]),
        ("Sync", "pruneProtected", [[], ["Namespace"]], ["Namespace", ["Deployment"]]),
        ("Sync", "deletionPolicy", ["Prune", "Orphan"], ["prune", True]),
        ("Sync", "driftMode", ["correct", "report"], ["ignore"]),
        ("Sync", "force", [True, False], ["true"]),
        ("Cluster", "namespaces", [[], ["a", "b"]], ["a", ["A"], ["a", "a"]]),
    ],
)
def test_the_schema_and_the_loader_take_the_same_values(
    kind: str, field: str, good: list[object], bad: list[object]
) -> None:
    validator = jsonschema.Draft202012Validator(json_schemas()[kind])
    document = next(item for item in EXAMPLES if item["kind"] == kind)
    for value in [*good, *bad]:
        changed = {**document, "spec": {**document["spec"], field: value}}
        assert validator.is_valid(changed) == (value in good)
        try:
            KINDS[kind].model_validate(changed, by_alias=True, by_name=False)
        except ValidationError:
            assert value in bad
        else:
            assert value in good


def test_defaults_in_the_schema_are_written_as_in_documents() -> None:
    text = str(json_schemas())
    assert "'default': '10m'" in text
    assert "PT" not in text


def test_every_field_and_variable_is_documented_with_a_meaning() -> None:
    text = configuration_markdown(Settings)
    assert "`spec.clusterSelector.matchExpressions[].operator`" in text
    assert "`FLEETBEAT_REDIS_URL`" in text
    assert "`spec.rollout`" in text
    assert not re.search(r"\|\s*\|$", text, re.MULTILINE)
    assert str(Path.home()) not in text
