"""Every hand edit is found, by kind: on a real API server, with an object of every built-in kind that people keep in Git."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.conftest import fresh_namespace
from tests.support.api import Api
from tests.support.controlplane import ControlPlane
from tests.support.lab import Lab, config_map, document
from workers.clusters.discovery import Kinds, Resource
from workers.clusters.loop import LoopThread
from workers.sync import compare, digests
from workers.sync.changes import ChangeSet
from workers.sync.plan import Key

Body = dict[str, Any]
TABLE = Path(__file__).with_name("kinds.yaml")
APP = document("app")
HOLD = "edits.example.com/hold"
SOMEBODY = "somebody"
PEOPLE_WRITE = frozenset({"create", "patch", "list", "delete"})
NOT_IN_GIT = {
    ("", "Endpoints"): "written by the endpoints controller",
    ("", "Event"): "says what happened, and expires",
    ("", "Node"): "written by its kubelet",
    ("certificates.k8s.io", "CertificateSigningRequest"): "a request that is answered once, and expires",
    ("certificates.k8s.io", "PodCertificateRequest"): "a kubelet's request that is answered once, and expires",
    ("coordination.k8s.io", "Lease"): "renewed by its holder every few seconds",
    ("discovery.k8s.io", "EndpointSlice"): "written by the endpoint slice controller",
    ("events.k8s.io", "Event"): "says what happened, and expires",
    ("networking.k8s.io", "IPAddress"): "written by the API server for each Service",
    ("resource.k8s.io", "ResourceSlice"): "published by a node's driver",
    ("storage.k8s.io", "CSINode"): "written by its kubelet",
    ("storage.k8s.io", "VolumeAttachment"): "written by the attach controller",
}


@dataclass(frozen=True)
class Row:
    """One object of the table on the cluster; `edit` is a merge patch of its content, or None where that is frozen."""

    resource: Resource
    body: Body
    edit: Body | None

    @property
    def key(self) -> Key:
        meta = self.body["metadata"]
        return self.resource.group, self.resource.kind, meta.get("namespace") or "", meta["name"]

    @property
    def path(self) -> str:
        meta = self.body["metadata"]
        return self.resource.path(meta.get("namespace"), meta["name"])


@dataclass
class World:
    """All rows of the table under one Sync, applied."""

    api: Api
    lab: Lab
    kinds: Kinds
    rows: list[Row]
    in_git: dict[Key, Body] = field(default_factory=dict)

    def run(self) -> ChangeSet:
        # More than a minute apart, or so many corrections of one object are a fight.
        self.lab.now += 61
        return self.lab.run(self.lab.job(APP, *(row.body for row in self.rows)))["app"]

    def state(self, row: Row) -> Body:
        """What the cluster has on the paths that Git names; the order of finalizers says nothing."""
        found = dict(compare.reduced(self.api.get(row.path), row.body))
        found["metadata"]["finalizers"] = sorted(found["metadata"].get("finalizers") or ())
        return found

    def patch(self, row: Row, patch: Body, manager: str = SOMEBODY) -> None:
        answer = self.api.merge(row.path, patch, manager)
        assert answer.status == 200, f"{row.key}: {answer.text}"

    def delete(self, row: Row) -> None:
        """Delete for good: nothing here takes finalizers off but the hand itself."""
        self.api.merge(row.path, {"metadata": {"finalizers": None}}, SOMEBODY)
        assert self.api.send("DELETE", row.path).status in {200, 202}
        self.api.merge(row.path, {"metadata": {"finalizers": None}}, SOMEBODY)
        if row.key[1] == "Namespace" and self.api.send("GET", row.path).status == 200:
            empty = {**self.api.get(row.path), "spec": {"finalizers": []}}
            assert self.api.send("PUT", f"{row.path}/finalize", empty).status == 200
        self.api.until(f"{row.key} is gone", lambda: self.api.send("GET", row.path).status == 404)

    @cached_property
    def mutable(self) -> list[Row]:
        return [row for row in self.rows if row.edit]


def certificate(name: str) -> str:
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "/dev/null",
         "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return made.stdout


def table(space: str) -> list[dict[str, Any]]:
    text = json.dumps(yaml.safe_load(TABLE.read_text()))
    values = {"NAMESPACE": space, "OTHER_CERTIFICATE": certificate("other"), "CERTIFICATE": certificate("one")}
    for name, value in values.items():
        text = text.replace(name, json.dumps(value)[1:-1])
    found: list[dict[str, Any]] = json.loads(text)
    return found


def rows_of(kinds: Kinds, space: str) -> Iterator[Row]:
    for entry in table(space):
        body = entry["object"]
        group, _, version = body["apiVersion"].rpartition("/")
        resource = kinds.resources.get((group, version, body["kind"]))
        if resource is None:
            continue
        meta = {"labels": {"team": "git"}, "annotations": {"note": "git"}, "finalizers": [HOLD]}
        body["metadata"] |= meta | ({"namespace": space} if resource.namespaced else {})
        yield Row(resource, body, entry.get("edit"))


@pytest.fixture(scope="module")
def world(control_plane: ControlPlane, loop: LoopThread) -> Iterator[World]:
    api = Api.of_plane(control_plane)
    space = fresh_namespace(api)
    lab = Lab(api, f"system-{space}", loop)
    kinds = loop.run(lab.client.discover(), 20)
    found = World(api, lab, kinds, list(rows_of(kinds, space)))
    try:
        first = found.run()
        assert first.errors == []
        assert first.count("created") == len(found.rows)
        assert_quiet(found)
        found.in_git = {row.key: found.state(row) for row in found.rows}
        yield found
    finally:
        for row in found.rows:
            if api.send("GET", row.path).status == 200:
                found.delete(row)
        loop.run(lab.client.close(), 5)


def assert_quiet(world: World) -> None:
    """One more pass asks nothing but lists: no write, no dry run."""
    done = world.run()
    # The API server writes the status of some kinds when it likes: that may cost a dry run, and never a write.
    assert (done.errors, done.changes, done.wrote) == ([], [], False)


def assert_taken_back(world: World, touched: set[Key]) -> None:
    """One pass finds exactly what was touched and brings it back; the next has nothing to do."""
    assert touched
    done = world.run()
    assert done.errors == []
    found = {change.key for change in done.changes if change.action == "drifted"}
    assert touched - found == set(), "missed"
    assert found - touched == set(), "accused without a reason"
    for row in world.rows:
        assert world.state(row) == world.in_git[row.key], row.key
    assert_quiet(world)


def edit_content(world: World, row: Row) -> bool:
    if row.edit is None:
        return False
    world.patch(row, row.edit)
    assert world.state(row) != world.in_git[row.key], f"{row.key}: the edit in the table edits nothing"
    return True


def edit_label(world: World, row: Row) -> bool:
    world.patch(row, {"metadata": {"labels": {"team": "edited"}}})
    return True


def edit_annotation(world: World, row: Row) -> bool:
    world.patch(row, {"metadata": {"annotations": {"note": "edited"}}})
    return True


def remove_label(world: World, row: Row) -> bool:
    world.patch(row, {"metadata": {"labels": {"team": None}}})
    return True


def remove_finalizer(world: World, row: Row) -> bool:
    left = [name for name in world.api.get(row.path)["metadata"]["finalizers"] if name != HOLD]
    world.patch(row, {"metadata": {"finalizers": left}})
    return True


def delete(world: World, row: Row) -> bool:
    world.delete(row)
    return True


def label_with_kubectl(world: World, row: Row) -> bool:
    world.patch(row, {"metadata": {"labels": {"added": "yes"}}}, "kubectl-label")
    return True


def annotate_with_kubectl(world: World, row: Row) -> bool:
    world.patch(row, {"metadata": {"annotations": {"example.com/added": "yes"}}}, "kubectl-annotate")
    return True


EDITS: Mapping[str, Callable[[World, Row], bool]] = {
    "content": edit_content,
    "label": edit_label,
    "label removed": remove_label,
    "annotation": edit_annotation,
    "finalizer removed": remove_finalizer,
    "label added with kubectl": label_with_kubectl,
    "annotation added with kubectl": annotate_with_kubectl,
    "deleted": delete,
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_hand_edit_of_any_kind_is_found_and_taken_back_in_one_pass(
    world: World, edit: Callable[[World, Row], bool]
) -> None:
    assert_taken_back(world, {row.key for row in world.rows if edit(world, row)})
    for row in world.rows:
        meta = world.api.get(row.path)["metadata"]
        assert "added" not in meta["labels"]
        assert "example.com/added" not in meta["annotations"]


def test_the_table_has_every_kind_that_people_may_keep_in_git(world: World) -> None:
    served = {pair for pair, resource in world.kinds.preferred.items() if resource.verbs >= PEOPLE_WRITE}
    ours = {pair for pair in served if pair[0] == "" or "." not in pair[0] or pair[0].endswith(".k8s.io")}
    assert ours - {row.key[:2] for row in world.rows} - set(NOT_IN_GIT) == set()


def test_an_edit_that_is_taken_back_by_hand_is_no_drift(world: World) -> None:
    for row in world.mutable:
        assert row.edit
        world.patch(row, row.edit)
        world.patch(row, {name: world.in_git[row.key][name] for name in row.edit})
        assert world.state(row) == world.in_git[row.key], row.key
    done = world.run()
    assert (done.errors, done.changes) == ([], [])
    assert_quiet(world)
    assert_taken_back(world, {row.key for row in world.rows if edit_content(world, row)})


def test_a_hand_that_already_holds_a_field_cannot_hide_a_second_edit_in_the_same_second(world: World) -> None:
    """An edit that was taken back leaves its manager with the field, and managedFields tell time in whole seconds."""
    rows = [row for row in world.mutable if row.key[1] in {"ConfigMap", "ClusterRole", "Service", "PriorityClass"}]
    assert len(rows) == 4
    for row in rows:
        assert row.edit
        for _ in range(20):
            world.patch(row, row.edit)
            world.patch(row, {name: world.in_git[row.key][name] for name in row.edit})
            first = times_of(world, row)
            assert world.run().changes == []
            world.patch(row, row.edit)
            second = times_of(world, row)
            found = {change.key for change in world.run().changes if change.action == "drifted"}
            assert found == {row.key}
            if first == second:
                break
        else:
            pytest.fail("this machine is too slow to edit twice in one second")


def times_of(world: World, row: Row) -> list[str]:
    entries = world.api.get(row.path)["metadata"]["managedFields"]
    return [entry["time"] for entry in entries if entry["manager"] == SOMEBODY]


def test_who_edited_stands_in_the_drift(world: World) -> None:
    for row in world.mutable:
        edit_content(world, row)
    drifted = [change for change in world.run().changes if change.action == "drifted"]
    assert len(drifted) == len(world.mutable)
    # Who only takes an item out of a list that is a set owns nothing afterwards: managedFields do not name them.
    unnamed = {c.key[1] for c in drifted if f"changed by {SOMEBODY} at 20" not in (c.note or "")}
    assert unnamed <= {"ValidatingAdmissionPolicyBinding"}
    assert [change.key for change in drifted if not change.diff] == []
    assert_quiet(world)


def test_the_kinds_whose_generation_is_believed_are_those_where_every_edit_moves_it(world: World) -> None:
    moving = {row.key[:2] for row in world.mutable if counts_every_edit(world, row)}
    assert moving == digests.COUNTED


def counts_every_edit(world: World, row: Row) -> bool:
    """Try every value that the object has outside metadata and status, one at a time, as dry runs."""
    live = world.api.get(row.path)
    if "generation" not in live["metadata"]:
        return False
    content = {name: value for name, value in live.items() if name not in {"apiVersion", "kind", "metadata", "status"}}
    tried = 0
    for path, value in leaves(content, ""):
        change = {"op": "replace", "path": path, "value": other(value)}
        answer = world.api.json_patch(row.path, change, manager=SOMEBODY, dryRun="All")
        if answer.status != 200 or all(answer.json[name] == content[name] for name in content):
            continue
        tried += 1
        if answer.json["metadata"]["generation"] == live["metadata"]["generation"]:
            return False
    return tried > 0


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from leaves(below, f"{path}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from leaves(below, f"{path}/{number}")
    elif value is not None:
        yield path, value


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else f"{value}1"


def test_what_kubectl_adds_inside_an_object_goes_again(world: World) -> None:
    additions: dict[str, dict[str, Any]] = {
        "ConfigMap": {"data": {"debug": "on"}},
        "Secret": {"data": {"debug": "b24="}},
        "Service": {"spec": {"selector": {"canary": "yes"}}},
        "NetworkPolicy": {"spec": {"egress": [{}]}},
        "PriorityClass": {"globalDefault": True},
    }
    touched = set()
    for row in world.rows:
        if row.key[1] in additions:
            world.patch(row, additions[row.key[1]], "kubectl-edit")
            touched.add(row.key)
    for kind in ("deployments", "statefulsets", "daemonsets", "replicasets"):
        (row,) = [row for row in world.rows if row.resource.plural == kind]
        add = {"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "DEBUG", "value": "1"}]}
        assert world.api.json_patch(row.path, add, manager="kubectl-set").status == 200
        touched.add(row.key)
    assert_taken_back(world, touched)
    for row in world.rows:
        assert "DEBUG" not in json.dumps(world.api.get(row.path))
        assert "canary" not in json.dumps(world.api.get(row.path))


def test_an_object_deleted_by_hand_that_a_finalizer_of_git_holds_is_told_of_once_and_made_anew_when_it_is_gone(
    lab: Lab, space: str
) -> None:
    job = lab.job(APP, config_map("x", space, finalizers=[HOLD]), config_map("y", space))
    lab.run(job)
    path = f"/api/v1/namespaces/{space}/configmaps/x"
    uid = lab.api.get(path)["metadata"]["uid"]
    assert lab.api.send("DELETE", path).status == 200
    told = lab.run(job)["app"]
    assert [(change.action, change.key[3]) for change in told.changes] == [("drifted", "x")]
    assert "deleted by hand" in (told.changes[0].note or "")
    assert HOLD in (told.changes[0].note or "")
    assert any(HOLD in line for line in told.left)
    again = lab.run(job)["app"]
    assert (again.changes, again.wrote) == ([], False)
    assert any(HOLD in line for line in again.left)
    lab.api.merge(path, {"metadata": {"finalizers": None}})
    made = lab.run(job)["app"]
    assert [change.action for change in made.changes] == ["created"]
    assert lab.api.get(path)["metadata"]["uid"] != uid
    assert (lab.run(job)["app"].changes, lab.receipts["app"].drifted) == ([], 0)
