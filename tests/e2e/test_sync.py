"""One small fleet through real processes: prune, guards, secrets, CRDs, and what an API server refuses."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from fleetbeat.simulator import Simulator
from tests.e2e.conftest import SmallFleet
from tests.support.fleet import cluster, source, sync

MAPS = "/api/v1/namespaces/default/configmaps"


def test_what_leaves_git_leaves_the_cluster_and_what_is_not_ours_stays(small: SmallFleet) -> None:
    small.repo.commit({"app/second.yaml": small.config_map("second", "1")})
    small.product.once()
    copied = small.api("one").get(f"{MAPS}/second")
    labels = copied["metadata"]["labels"]
    copy = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "copy", "labels": labels}}
    assert small.api("one").send("POST", MAPS, copy).status == 201
    small.repo.commit({"app/second.yaml": None}, "Drop the second")
    small.product.once()
    assert small.value("one", "second") is None
    assert small.value("one", "app") == "1"
    assert small.api("one").send("GET", f"{MAPS}/copy").status == 200
    deleted = small.product.json("audit", "log", "--type", "object.deleted", "--cluster", "one")
    assert [(row["object"]["name"], row["commit"]["subject"]) for row in deleted] == [("second", "Drop the second")]


def test_a_folder_that_became_empty_deletes_nothing(small: SmallFleet) -> None:
    small.product.once()
    small.repo.commit({"app/map.yaml": None, "app/README": "empty"})
    found = small.product.once(code=1)
    for row in found["clusters"]:
        (app,) = [item for item in row["syncs"] if item["name"] == "app"]
        assert app["state"] == "failed"
        assert "renders to no objects" in app["error"]
    assert small.value("one") == small.value("two") == "1"


def test_the_value_of_a_secret_is_in_no_event_no_status_and_no_log(small: SmallFleet) -> None:
    def secret(value: str) -> str:
        data = {"password": base64.b64encode(value.encode()).decode()}
        meta = {"name": "login", "namespace": "default"}
        return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})

    small.repo.commit({"app/secret.yaml": secret("hunter-two")})
    small.product.once()
    small.repo.commit({"app/secret.yaml": secret("correct-horse")})
    small.product.once()
    rows = small.product.json("audit", "log", "--object", "Secret/default/login", "--cluster", "one")
    assert [row["type"] for row in rows] == ["object.created", "object.configured"]
    told = str(rows) + str(small.product.json("status")) + small.product.logs()
    for value in ("hunter-two", "correct-horse"):
        assert value not in told
        assert base64.b64encode(value.encode()).decode() not in told


def test_a_kind_and_its_objects_in_one_sync_arrive_in_order(small: SmallFleet) -> None:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [version],
        },
    }
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "default"}}
    small.repo.commit({"app/a-widget.yaml": yaml.safe_dump(widget), "app/crd.yaml": yaml.safe_dump(definition)})
    found = small.product.once()
    assert all(item["state"] == "applied" for row in found["clusters"] for item in row["syncs"])
    assert small.api("one").send("GET", "/apis/example.com/v1/namespaces/default/widgets/w").status == 200


def test_an_object_that_the_server_refuses_fails_its_sync_only_and_names_the_file(small: SmallFleet) -> None:
    small.repo.commit({"extra/bad.yaml": small.config_map("Not_A_Name", "1")})
    found = small.product.once(code=1)
    rows = {(row["name"], item["name"]): item for row in found["clusters"] for item in row["syncs"]}
    assert rows["one", "app"]["state"] == rows["two", "app"]["state"] == "applied"
    failed = rows["two", "extra"]
    assert failed["state"] == "failed"
    assert "extra/bad.yaml" in failed["error"]
    assert "Not_A_Name" in failed["error"]


def test_a_server_with_another_certificate_is_not_spoken_to(small: SmallFleet, tmp_path: Path) -> None:
    with Simulator() as impostor:
        impostor.add("one")
        theirs = yaml.safe_load(impostor.kubeconfig("one", tmp_path / "impostor.yaml").read_text())
        ours = yaml.safe_load(small.simulator.kubeconfig("one", tmp_path / "ours.yaml").read_text())
        theirs["clusters"][0]["cluster"]["certificate-authority-data"] = ours["clusters"][0]["cluster"][
            "certificate-authority-data"
        ]
        (tmp_path / "mixed.yaml").write_text(yaml.safe_dump(theirs))
        small.product.write(
            source("platform", f"file://{small.repo.path}"),
            sync("app", "platform", "./app"),
            cluster("one", tmp_path / "mixed.yaml"),
        )
        found = small.product.once(code=1)
        assert "not trusted" in found["clusters"][0]["syncs"][0]["error"]
        assert impostor.traffic("one").by_verb.total() == 0
