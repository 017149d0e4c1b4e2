"""The demo is the first thing that people see: it tells its whole story and ends by itself."""

from __future__ import annotations

from tests.support.fleet import Product


def test_without_a_terminal_it_tells_everything_in_plain_lines_and_ends(product: Product) -> None:
    done = product.run("demo", timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "Redis ", "Flower on http://127.0.0.1:", "6 clusters are healthy", "is live on every cluster",
        "the edit is found and corrected", "changed by kubectl-patch", "INC-42: checkout times out", "prod-eu-1 has caught up",
        "Grace Hopper", "That was the story",
    ):  # fmt: skip
        assert line in done.stdout, line
    assert "\x1b[" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
