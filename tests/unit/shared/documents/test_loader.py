"""What people write wrong, and what they are told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.documents import Fleet, InvalidFleetError, load
from shared.documents import loader as loader_module

HEAD = "apiVersion: fleetbeat/v1\n"
SOURCE = HEAD + "kind: GitRepository\nmetadata: {name: platform}\nspec: {url: https://git.example.com/a.git}\n"
CLUSTER = HEAD + "kind: Cluster\nmetadata: {name: c1, labels: {env: prod}}\nspec: {kubeconfig: {env: KUBE}}\n"
SYNC = HEAD + "kind: Sync\nmetadata:\n  name: web\nspec:\n  sourceRef:\n    name: platform\n"


def sync(name: str, *needs: str) -> str:
    depends = ", ".join(f"{{name: {need}}}" for need in needs)
    return SYNC.replace("name: web", f"name: {name}") + f"  dependsOn: [{depends}]\n"


def fleet_of(folder: Path, *documents: str, name: str = "fleet.yaml") -> Fleet:
    (folder / name).write_text("---\n".join(documents), encoding="utf-8")
    return load(folder)


def problems_of(folder: Path, *documents: str, name: str = "fleet.yaml") -> list[str]:
    with pytest.raises(InvalidFleetError) as caught:
        fleet_of(folder, *documents, name=name)
    lines = [str(problem) for problem in caught.value.problems]
    assert all(line.isprintable() for line in lines)
    return lines


def test_the_example_fleet_loads_without_a_warning() -> None:
    fleet = load(Path(__file__).parents[4] / "examples/fleet")
    assert fleet.warnings == ()
    assert [item.name for item in fleet.syncs_of("prod-eu-1")] == ["infra", "web"]
    assert list(fleet.clusters) == ["prod-eu-1", "staging-1"]


def test_every_error_of_every_file_is_listed_at_once_with_file_line_and_field(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/sync.yml").write_text(
        SYNC + "  intervall: 5m\n  prune: 'yes'\n  retryInterval: 10\n", encoding="utf-8"
    )
    assert problems_of(
        tmp_path, CLUSTER.replace("env: KUBE", "env: 7"), SOURCE.replace("https", "ftp"), name="a.yaml"
    ) == [
        "a.yaml:4: spec.kubeconfig.env: must be a text, here it is the number 7; write it in quotes",
        "a.yaml:9: spec.url: the URL must start with https://, http:// or file:///",
        "b/sync.yml:8: spec.intervall: unknown field; did you mean interval?",
        "b/sync.yml:9: spec.prune: must be true or false, without quotes; here it is 'yes'",
        "b/sync.yml:10: spec.retryInterval: 10 is not a duration; write it like 30s, 5m or 1h30m",
    ]


@pytest.mark.parametrize(
    "field",
    [
        "rollout: {}",
        "patches: []",
        "images: []",
        "healthChecks: []",
        "healthCheckExprs: []",
        "components: []",
        "decryption: {provider: sops}",
        "postBuild: {substituteFrom: []}",
    ],
)
def test_a_sync_field_without_an_engine_is_refused_by_name(tmp_path: Path, field: str) -> None:
    (problem,) = problems_of(tmp_path, SOURCE, CLUSTER, SYNC + f"  {field}\n")
    assert problem.startswith("fleet.yaml:18: spec.")
    assert "not supported yet" in problem or "substituteFrom" in field


@pytest.mark.parametrize("kind", ["Tenant", "Window", "Notification"])
def test_a_planned_kind_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    assert problems_of(tmp_path, HEAD + f"kind: {kind}\nmetadata: {{name: x}}\n") == [
        f"fleet.yaml:2: kind: {kind} is not supported yet; remove the document"
    ]


@pytest.mark.parametrize(
    ("field", "where"),
    [("verify: {mode: HEAD}", "spec.verify"), ("recurseSubmodules: true", "spec.recurseSubmodules")],
)
def test_a_source_field_without_an_engine_is_refused_by_name(tmp_path: Path, field: str, where: str) -> None:
    (problem,) = problems_of(tmp_path, SOURCE.replace("spec: {", f"spec: {{{field}, "))
    assert f": {where}: not supported yet" in problem


def test_a_secret_kubeconfig_is_refused_by_name(tmp_path: Path) -> None:
    document = CLUSTER.replace("{kubeconfig: {env: KUBE}}", "{kubeconfig: {secret: {name: a}, env: KUBE}}")
    (problem,) = problems_of(tmp_path, document)
    assert "spec.kubeconfig.secret: not supported yet" in problem


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("serviceAccountName: deployer", "service_account_name", "deployer"),
        ("serviceAccountName: deploy.${CLUSTER_NAME}-1", "service_account_name", "deploy.${CLUSTER_NAME}-1"),
        ("force: true", "force", True),
        ("maxDeletions: 0", "max_deletions", 0),
        ("maxDeletions: 1000000", "max_deletions", 1_000_000),
        ("pruneProtected: []", "prune_protected", ()),
        (
            "pruneProtected: [Namespace, CustomResourceDefinition, PersistentVolume, PersistentVolumeClaim]",
            "prune_protected",
            ("Namespace", "CustomResourceDefinition", "PersistentVolume", "PersistentVolumeClaim"),
        ),
        ("deletionPolicy: Prune", "deletion_policy", "Prune"),
        ("deletionPolicy: Orphan", "deletion_policy", "Orphan"),
        ("driftMode: correct", "drift_mode", "correct"),
        ("driftMode: report", "drift_mode", "report"),
    ],
)
def test_what_says_how_a_sync_writes_and_deletes_is_read_and_survives_the_snapshot(
    tmp_path: Path, line: str, name: str, value: object
) -> None:
    fleet = fleet_of(tmp_path, SOURCE, CLUSTER, SYNC + f"  {line}\n")
    assert getattr(fleet.syncs["web"].spec, name) == value
    assert getattr(Fleet.from_json(fleet.to_json()).syncs["web"].spec, name) == value


def test_a_cluster_says_which_namespaces_its_credentials_reach(tmp_path: Path) -> None:
    document = CLUSTER.replace("{env: KUBE}", "{env: KUBE}, namespaces: [web, shop-1]")
    fleet = fleet_of(tmp_path, document, CLUSTER.replace("c1", "c2"))
    assert fleet.clusters["c1"].spec.namespaces == ("web", "shop-1")
    assert fleet.clusters["c2"].spec.namespaces == ()
    assert Fleet.from_json(fleet.to_json()).clusters == fleet.clusters


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ssh://git@host/a.git", "ssh:// is not supported yet"),
        ("git@host:a.git", "ssh:// is not supported yet"),
        ("https://me:hunter2@host/a.git", "holds credentials; move them"),
        ("https://hunter2@host/a.git", "holds credentials; move them"),
        ("https://host/a.git?token=hunter2", "query or fragment"),
        ("file://host/a.git", "absolute path"),
        ("file:a.git", "absolute path"),
        ("https:///a.git", "names no host"),
        ("https://host:hunter2/a.git", "cannot be read"),
        ("https://[hunter2/a.git", "cannot be read"),
        ("host/a.git", "must start with"),
        ('"https://host/a\\tb"', "spaces or control"),
    ],
)
def test_a_url_that_cannot_be_fetched_is_refused_without_repeating_its_secrets(
    tmp_path: Path, url: str, message: str
) -> None:
    document = SOURCE.replace("spec: {url: https://git.example.com/a.git}", f"spec:\n  url: {url}")
    (problem,) = problems_of(tmp_path, document)
    assert problem.startswith("fleet.yaml:5: spec.url: ")
    assert message in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize("url", ["http://host:3000/a.git", "file:///srv/git/a.git", "https://host/a%20b.git"])
def test_https_http_and_file_urls_are_accepted(tmp_path: Path, url: str) -> None:
    fleet = fleet_of(tmp_path, SOURCE.replace("https://git.example.com/a.git", f"'{url}'"))
    assert fleet.sources["platform"].spec.url == url


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("kind: Sinc\napiVersion: fleetbeat/v1\n", "fleet.yaml:1: kind: 'Sinc' is not a kind; did you mean Sync?"),
        (
            "apiVersion: fleetbeat/v1\nmetadata: {}\n",
            "fleet.yaml:1: kind: is required; known here: Cluster, GitRepository, Sync",
        ),
        (
            "apiVersion: fletbeat/v1\nkind: Sync\n",
            "fleet.yaml:1: apiVersion: 'fletbeat/v1' is not known; write fleetbeat/v1",
        ),
        (
            "apiVersion: fleetbeat.io/v1\nkind: Thing\n",
            "fleet.yaml:1: apiVersion: 'fleetbeat.io/v1' is not known; write fleetbeat/v1",
        ),
        (
            "apiVersion: fleetbeat/v2\nkind: Sync\n",
            "fleet.yaml:1: apiVersion: 'fleetbeat/v2' is not known; write fleetbeat/v1",
        ),
        ("apiVerison: fleetbeat/v1\nkind: Sync\n", "fleet.yaml:1: apiVerison: unknown field; did you mean apiVersion?"),
        ("kind: 3\napiVersion: fleetbeat/v1\n", "fleet.yaml:1: kind: must be a text, here it is the number 3"),
        ("- a\n- b\n", "fleet.yaml:1: a document must be a mapping with apiVersion and kind, here it is a list"),
        (
            "just words\n",
            "fleet.yaml:1: a document must be a mapping with apiVersion and kind, here it is 'just words'",
        ),
        ("a: [b\n", "fleet.yaml:2: not YAML: did not find expected ',' or ']'"),
        ("a: *b\n", "fleet.yaml:1: *b has no &b before it"),
        ("a: &b [*b]\n", "fleet.yaml:1: *b is inside &b; it cannot hold itself"),
        ("a: \x07\n", "fleet.yaml:1: not YAML: control characters are not allowed"),
    ],
)
def test_what_is_no_document_of_a_fleet_is_named_with_its_line(tmp_path: Path, document: str, message: str) -> None:
    assert problems_of(tmp_path, document)[0].startswith(message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("  path: ../x", "must not leave the repository"),
        ("  path: /x", "must be relative"),
        ("  path: ''", "is not a path"),
        ("  targetNamespace: Web", "is not a namespace"),
        ("  serviceAccountName: Deployer", "is not the name of a service account"),
        ("  serviceAccountName: ''", "is not the name of a service account"),
        ("  serviceAccountName: web/deployer", "is not the name of a service account"),
        ("  serviceAccountName: system:serviceaccount:web:deployer", "is not the name of a service account"),
        (f"  serviceAccountName: {'a' * 254}", "is not the name of a service account"),
        ("  serviceAccount: deployer", "unknown field; did you mean serviceAccountName?"),
        ("  force: 'true'", "must be true or false, without quotes"),
        ("  maxDeletions: -1", "must be from 0 to 1000000, here it is the number -1"),
        ("  maxDeletions: 1000001", "must be from 0 to 1000000"),
        ("  maxDeletions: 1.5", "must be a whole number in plain digits, here it is the number 1.5"),
        ("  maxDeletions: '3'", "must be a whole number in plain digits, here it is '3'"),
        ("  maxDeletions: true", "must be a whole number in plain digits, here it is true or false"),
        ("  maxDeletions: 010", "must be a whole number in plain digits, here it is the number 010"),
        ("  maxDeletions: 0x10", "must be a whole number in plain digits, here it is the number 0x10"),
        (f"  maxDeletions: {'9' * 5000}", "must be a whole number in plain digits"),
        ("  maxDeletions: 50%", "must be a whole number in plain digits, here it is '50%'"),
        ("  maxDeletion: 3", "unknown field; did you mean maxDeletions?"),
        ("  pruneProtected: true", "must be a list (- item)"),
        ("  pruneProtected: [Namespaces]", "'Namespaces' is not known; did you mean Namespace?"),
        (
            "  pruneProtected: [Deployment]",
            "'Deployment' is not known; known here: CustomResourceDefinition, Namespace",
        ),
        ("  deletionPolicy: prune", "'prune' is not known; did you mean Prune?"),
        ("  deletionPolicy: Delete", "'Delete' is not known; known here: Orphan, Prune"),
        ("  driftMode: reports", "'reports' is not known; did you mean report?"),
        ("  driftMode: false", "must be 'correct' or 'report', here it is true or false"),
        ("  interval: 0s", "must be longer than 0s"),
        ("  interval: 99999999999h", "at most 8784h"),
        (f"  interval: {'9' * 400}h", "at most 8784h"),
        ("  wait:", "is empty; give it a value or remove the line"),
        ("  clusterSelector: [a]", "must be a mapping (key: value), here it is a list"),
        ("  dependsOn: infra", "must be a list (- item), here it is 'infra'"),
        ("  clusterSelector: {matchExpressions: [{key: a, operator: in}]}", "'in' is not known; did you mean In?"),
        ("  clusterSelector: {matchExpressions: [{key: a, operator: In}]}", "operator In needs values"),
        (
            "  clusterSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}",
            "operator Exists takes no values",
        ),
        ("  clusterSelector: {matchLabels: {a: true}}", "here it is true or false"),
        ("  postBuild: {substitute: {a-b: x}}", "'a-b' is not a variable name"),
        ("  source_ref: {name: platform}", "unknown field; did you mean sourceRef?"),
        ("metadata2: {}", "unknown field; did you mean metadata?"),
        ("interval: 3m", "belongs under spec"),
        ("  ? [a]\n  : b", "a key must be a text, here it is a list"),
        ("  3: b", "a key must be a text, here it is the number 3"),
        ("  path: !!binary aGk=", "is not supported here"),
    ],
)
def test_a_wrong_value_is_named_in_its_own_line_with_what_would_be_right(
    tmp_path: Path, line: str, message: str
) -> None:
    (problem,) = problems_of(tmp_path, SOURCE, CLUSTER, SYNC + line + "\n")
    assert problem.startswith("fleet.yaml:18: ")
    assert message in problem


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{kubeconfig: {}}", "spec.kubeconfig: give exactly one of file and env"),
        ("{kubeconfig: {env: A, file: b}}", "spec.kubeconfig: give exactly one of file and env"),
        ("{kubeconfig: {env: A}, queue: A B}", "'A B' is not a queue name"),
        ("{kubeconfig: {env: A}, variables: {CLUSTER_NAME: x}}", "CLUSTER_NAME is built in"),
        ("{kubeconfig: {env: A}, variables: {A: 3}}", "spec.variables.A: must be a text, here it is the number 3"),
        ("{kubeconfig: {env: A}, namespaces: web}", "spec.namespaces: must be a list (- item), here it is 'web'"),
        ("{kubeconfig: {env: A}, namespaces: [Web]}", "spec.namespaces[0]: 'Web' is not a name"),
        ("{kubeconfig: {env: A}, namespaces: ['web-${x}']}", "spec.namespaces[0]: 'web-${x}' is not a name"),
        ("{kubeconfig: {env: A}, namespaces: [a, b, a]}", "spec.namespaces: 'a' is named twice; remove one"),
        ("{kubeconfig: {env: A}, namespace: [a]}", "spec.namespace: unknown field; did you mean namespaces?"),
        ("{}", "spec.kubeconfig: is required"),
        ("null", "spec: is empty; give it a value"),
        ('{kubeconfig: {file: "a\\0b"}}', "is not the path of a file"),
        ("{kubeconfig: {file: 3}}", "must be the path of a file, here it is the number 3"),
    ],
)
def test_a_wrong_cluster_is_told_what_would_be_right(tmp_path: Path, spec: str, message: str) -> None:
    (problem,) = problems_of(tmp_path, CLUSTER.replace("{kubeconfig: {env: KUBE}}", spec))
    assert message in problem


@pytest.mark.parametrize("name", ["Web", "-a", "a.b", "a" * 64, "'a\n'", "no", "1"])
def test_a_name_that_is_no_dns_label_is_refused(tmp_path: Path, name: str) -> None:
    assert "metadata.name: " in problems_of(tmp_path, SOURCE.replace("name: platform", f"name: {name}"))[0]


def test_a_key_given_twice_is_an_error_that_names_both_lines(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, SOURCE, CLUSTER, SYNC + "  prune: true\n  prune: false\n")
    assert problems == ["fleet.yaml:19: prune: given twice, first in line 18; remove one"]


def test_a_document_defined_twice_is_an_error_that_names_both_places(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SOURCE, encoding="utf-8")
    assert problems_of(tmp_path, SOURCE, name="b.yaml") == [
        "b.yaml:3: metadata.name: GitRepository platform is already defined in a.yaml:3; rename or remove one"
    ]


def test_references_to_nothing_name_what_is_near(tmp_path: Path) -> None:
    document = sync("web", "infar").replace("name: platform", "name: plattform")
    assert problems_of(tmp_path, SOURCE, CLUSTER, sync("infra"), document)[:2] == [
        "fleet.yaml:26: spec.sourceRef.name: no GitRepository plattform in this fleet; did you mean platform?",
        "fleet.yaml:27: spec.dependsOn[0].name: no Sync infar in this fleet; did you mean infra?",
    ]


def test_a_reference_to_a_document_with_errors_is_no_second_error(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, SOURCE.replace("https", "ftp"), CLUSTER, SYNC)
    assert len(problems) == 1


def test_what_a_file_that_cannot_be_read_may_hold_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [", encoding="utf-8")
    (problem,) = problems_of(tmp_path, CLUSTER, SYNC)
    assert problem.startswith("a.yaml:2: not YAML: ")


def test_a_document_with_another_version_is_not_called_missing(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, SOURCE.replace("v1", "v2"), CLUSTER, SYNC)
    assert "write fleetbeat/v1" in problem


@pytest.mark.parametrize(
    ("needs", "circles"),
    [
        ({"a": ["a"]}, ["a → a"]),
        ({"a": ["b"], "b": ["a"]}, ["a → b → a"]),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ["b → c → b"]),
        ({"a": ["b"], "b": ["a"], "x": ["y"], "y": ["z"], "z": ["x"]}, ["a → b → a", "x → y → z → x"]),
        ({"z": ["b"], "b": ["c"], "c": ["b"], "d": ["z"]}, ["b → c → b"]),
    ],
)
def test_a_circle_of_dependencies_is_shown_whole_and_once(
    tmp_path: Path, needs: dict[str, list[str]], circles: list[str]
) -> None:
    problems = problems_of(tmp_path, SOURCE, CLUSTER, *(sync(name, *needed) for name, needed in needs.items()))
    assert len(problems) == len(circles)
    for problem, circle in zip(problems, circles, strict=True):
        assert f"spec.dependsOn[0].name: syncs wait for each other: {circle}; remove" in problem


def test_a_sync_that_matches_no_cluster_is_a_warning(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, SOURCE, CLUSTER, SYNC + "  clusterSelector: {matchLabels: {env: test}}\n")
    (warning,) = fleet.warnings
    assert warning.startswith("fleet.yaml:18: spec.clusterSelector: no cluster matches")


def test_a_dependency_that_is_absent_from_a_selected_cluster_is_a_warning(tmp_path: Path) -> None:
    infra = sync("infra") + "  clusterSelector: {matchLabels: {env: test}}\n"
    other = CLUSTER.replace("c1", "c2").replace("prod", "test")
    fleet = fleet_of(tmp_path, SOURCE, CLUSTER, other, infra, sync("web", "infra"))
    assert [item.split(": ", 1)[1] for item in fleet.warnings] == [
        "spec.dependsOn[0].name: infra is not selected on 1 clusters where web is: c1"
    ]


def kubeconfig_of(folder: Path, *others: str) -> list[str]:
    """Warnings about clusters that share kube.yaml: c1 as it stands, and more as they are given in spec."""
    (folder / "kube.yaml").write_text("apiVersion: v1\nkind: Config\n", encoding="utf-8")
    first = CLUSTER.replace("{env: KUBE}", "{file: kube.yaml, context: a}")
    more = [
        CLUSTER.replace("c1", f"c{number}").replace("{kubeconfig: {env: KUBE}}", spec)
        for number, spec in enumerate(others, 2)
    ]
    return [item.split(": ", 1)[1] for item in fleet_of(folder, first, *more).warnings]


def test_two_clusters_with_one_kubeconfig_context_and_system_namespace_are_a_warning(tmp_path: Path) -> None:
    (warning,) = kubeconfig_of(tmp_path, "{kubeconfig: {file: ./kube.yaml, context: a}}")
    assert warning.startswith("spec.kubeconfig.file: c2 and c1 name the same kubeconfig and context")


@pytest.mark.parametrize(
    "spec",
    [
        "{kubeconfig: {file: kube.yaml, context: b}}",
        "{kubeconfig: {file: kube.yaml}}",
        "{kubeconfig: {file: kube.yaml, context: a}, systemNamespace: fleetbeat-two}",
        "{kubeconfig: {env: KUBE, context: a}}",
    ],
)
def test_clusters_that_differ_in_context_or_system_namespace_are_no_warning(tmp_path: Path, spec: str) -> None:
    assert kubeconfig_of(tmp_path, spec) == []


def test_labels_that_would_be_one_variable_are_a_warning_and_no_variable(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, CLUSTER.replace("env: prod", "a-b: x, a.b: y, tier: z"))
    assert "a-b and a.b would both be CLUSTER_LABEL_A_B" in fleet.warnings[0]
    assert fleet.variables_of("c1") == {"CLUSTER_NAME": "c1", "CLUSTER_LABEL_TIER": "z"}


def test_a_relative_kubeconfig_path_starts_at_the_folder_of_its_document(tmp_path: Path) -> None:
    (tmp_path / "eu").mkdir()
    (tmp_path / "eu/kube.yaml").write_text("apiVersion: v1\nkind: Config\n", encoding="utf-8")
    document = CLUSTER.replace("{env: KUBE}", "{file: ./kube.yaml}")
    fleet = fleet_of(tmp_path, document, name="eu/clusters.yaml")
    assert fleet.clusters["c1"].spec.kubeconfig.file == tmp_path / "eu/kube.yaml"


def test_a_kubeconfig_that_is_not_there_is_an_error_in_its_line(tmp_path: Path) -> None:
    document = CLUSTER.replace("{kubeconfig: {env: KUBE}}", "\n  kubeconfig:\n    file: kube.yaml")
    assert problems_of(tmp_path, document) == [
        f"fleet.yaml:6: spec.kubeconfig.file: no such file: {tmp_path}/kube.yaml; correct the path or put it there"
    ]


def test_credentials_that_are_not_here_are_a_warning_because_only_the_worker_reads_them(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, SOURCE.replace(".git}", ".git, secretRef: {file: git.yaml}}"))
    assert "spec.secretRef.file: no such file here" in fleet.warnings[0]


def test_documents_of_others_and_hidden_names_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/x.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / ".x.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("a: [", encoding="utf-8")
    others = [
        "apiVersion: v1\nkind: Config\na: 1\na: 2\n3: x\n",
        "image: fleetbeat/worker\n",
        "",
        "# nothing\n",
        "apiVersion: apps/v1\nkind: Deployment\n",
    ]
    assert list(fleet_of(tmp_path, SOURCE, *others).sources) == ["platform"]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"---\n---\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_no_error_beside_others(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "empty.yaml").write_bytes(content)
    (tmp_path / "empty.json").write_bytes(content.replace(b"-", b""))
    assert list(fleet_of(tmp_path, SOURCE).sources) == ["platform"]


def test_json_documents_load_like_yaml(tmp_path: Path) -> None:
    document = {
        "apiVersion": "fleetbeat/v1",
        "kind": "Cluster",
        "metadata": {"name": "c1", "annotations": {"note": "a/b \U0001f680 \u00e9"}},
        "spec": {"kubeconfig": {"env": "KUBE"}},
    }
    (tmp_path / "a.json").write_text(json.dumps(document, indent="\t").replace("/", "\\/"), encoding="utf-8")
    assert load(tmp_path).clusters["c1"].metadata.annotations == {"note": "a/b \U0001f680 \u00e9"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", b"a: 1\nb: \xff\xfe\n", "a.yaml:2: not text in UTF-8"),
        ("a.yaml", bytes(range(256)), "a.yaml:2: not text in UTF-8"),
        ("a.yaml", b"PK\x03\x04\x00\x00", "a.yaml:1: not YAML: control characters"),
        ("a.json", b'{"a":\n 1,}', "a.json:2: not JSON: "),
        ("a.json", b'{"a": "\\ud800"}', "a.json:1: not JSON: "),
        ("a.yaml", b"[" * 200_000, "a.yaml:1: nested deeper than 100 levels"),
        ("a.yaml", b"{a: " * 200_000, "a.yaml:1: nested deeper than 100 levels"),
        ("a.json", b"[" * 200_000, "a.json:"),
        ("a.yaml", b"- " * 200_000, "a.yaml:1: "),
        ("a.yaml", b"#" * (10 * 1024 * 1024 + 1), "a.yaml: cannot be read: it is larger than 10 MB"),
    ],
)
def test_bytes_that_are_no_document_are_named_and_never_a_traceback(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidFleetError) as caught:
        load(tmp_path)
    assert str(caught.value.problems[0]).startswith(message)


def test_an_alias_bomb_is_stopped_before_it_grows(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 40)]
    (problem,) = problems_of(tmp_path, "\n".join(lines))
    assert "more than 1000000 values" in problem


def test_aliases_that_nest_deeper_and_deeper_are_stopped(tmp_path: Path) -> None:
    lines = ["- &a0 [x]", *(f"- &a{level} [*a{level - 1}]" for level in range(1, 5000))]
    (problem,) = problems_of(tmp_path, "\n".join(lines))
    assert "nested deeper than 100 levels" in problem


def test_aliases_and_merge_keys_work_with_the_documents_own_keys_first(tmp_path: Path) -> None:
    document = HEAD + (
        "kind: Cluster\nmetadata: {name: c1, labels: &l {env: prod, tier: a}, annotations: {<<: *l, tier: b}}\n"
        "spec: {kubeconfig: {env: KUBE}, variables: {<<: [*l, {env: x, z: y}]}}\n"
    )
    cluster = fleet_of(tmp_path, document).clusters["c1"]
    assert cluster.metadata.annotations == {"env": "prod", "tier": "b"}
    assert cluster.spec.variables == {"env": "prod", "tier": "a", "z": "y"}


def test_a_document_with_very_many_errors_lists_the_first_ones_only(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, SOURCE, CLUSTER, SYNC + "".join(f"  field{number}: x\n" for number in range(5000)))
    assert len(problems) == 201
    assert "has 5000 problems, of which the first 200 are listed" in problems[0]


def test_what_is_no_file_or_leads_nowhere_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    assert problems_of(tmp_path, SOURCE) == [
        "gone.yaml: cannot be read: No such file or directory",
        "pipe.yaml: cannot be read: it is no regular file",
    ]


def test_a_folder_that_is_missing_or_holds_no_document_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidFleetError, match="is not a folder"):
        load(tmp_path / "missing")
    with pytest.raises(InvalidFleetError, match="holds no document with apiVersion"):
        load(tmp_path)


def test_the_error_itself_is_one_line_with_every_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [\n---\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("- 1\n", encoding="utf-8")
    with pytest.raises(InvalidFleetError) as caught:
        load(tmp_path)
    assert str(caught.value).startswith("the fleet has 2 problems: a.yaml:")
    assert str(caught.value).isprintable()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    junk=st.one_of(
        st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    ),
    at=st.integers(0, len(SYNC)),
    suffix=st.sampled_from(["yaml", "json"]),
)
def test_no_bytes_whatever_make_the_loader_fail_in_another_way(
    tmp_path: Path, junk: bytes, at: int, suffix: str
) -> None:
    text = (SOURCE + "---\n" + SYNC).encode()
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(text[:at] + junk + text[at:])
    try:
        load(tmp_path)
    except InvalidFleetError as error:
        assert error.problems
        assert all(str(problem).isprintable() for problem in error.problems)
    finally:
        path.unlink()


def test_the_loader_stops_at_ten_megabytes_and_a_million_values() -> None:
    assert (loader_module.MAX_FILE_BYTES, loader_module.MAX_NODES) == (10 * 1024 * 1024, 1_000_000)


def test_a_reference_to_nothing_is_told_beside_the_same_documents_other_errors(tmp_path: Path) -> None:
    wrong = SYNC.replace("name: platform", "name: platfrom") + "  intervall: 1m\n"
    found = problems_of(tmp_path, SOURCE, CLUSTER, wrong)
    assert any("intervall" in problem for problem in found)
    assert any("no GitRepository platfrom" in problem and "platform" in problem for problem in found)
