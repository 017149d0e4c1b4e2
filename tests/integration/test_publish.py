"""What `fleetbeat publish` says of what leaves."""

from __future__ import annotations

from pathlib import Path

from shared.audit import stream
from shared.state import leaving
from shared.state.store import Store
from tests.support.fleet import Product, cluster, source, sync


def test_it_says_what_becomes_of_the_objects_of_syncs_and_clusters_that_leave(
    running: Store, product: Product, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kube.yaml"
    kubeconfig.write_text("{}")
    platform = source("platform", "https://h/a.git")
    clusters = [cluster(name, kubeconfig, systemNamespace=f"fleetbeat-{name}") for name in ("a", "b", "c")]
    stays = sync("web", "platform", "./web", deletionPolicy="Orphan")
    product.write(platform, *clusters, sync("shop", "platform", "./shop"), stays)
    assert product.run("publish", "--fleet", str(product.fleet)).returncode == 0
    product.write(platform, *clusters[:2])
    done = product.run("publish", "--fleet", str(product.fleet))
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        [
            "cluster c left the fleet; its objects stay where they are",
            "Sync shop left a, b; its objects there are deleted at the next sync",
            "Sync web left a, b; its objects there stay where they are",
        ],
    )
    (*_, event) = stream.read(running, stream.Filter(type="fleet.published"))
    assert event["details"]["left"] == ["shop@a", "web@a", "shop@b", "web@b"]
    assert {name: list(syncs) for name, syncs in leaving.of_clusters(running, ["a", "b", "c"]).items()} == {
        "a": ["shop", "web"],
        "b": ["shop", "web"],
        "c": [],
    }
