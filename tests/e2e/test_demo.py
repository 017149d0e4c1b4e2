"""The demo is the first thing that people see: it tells its whole story and ends by itself."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.support.fleet import FLEETBEAT, Product


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


def test_a_demo_that_is_ended_early_leaves_nothing_behind(product: Product, tmp_path: Path) -> None:
    output = tmp_path / "demo.out"
    with output.open("wb") as file:
        environment = product.environment | {"TMPDIR": str(tmp_path)}
        demo = subprocess.Popen(
            [str(FLEETBEAT), "demo"], env=environment, stdout=file, stderr=file, stdin=subprocess.DEVNULL
        )
    product.until("it is in the middle", lambda: "2. Ada commits" in output.read_text())
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(60) == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("fleetbeat-demo-*"))
    assert not _processes_of(tmp_path)


def _processes_of(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                environment = (process / "environ").read_bytes().decode(errors="replace")
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in environment and command:
                found.append(command)
    return found
