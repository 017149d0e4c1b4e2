"""Who may know whom, where the import contracts of pyproject.toml cannot say it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("shared", "workers", "scheduler", "fleetbeat")


def importers(package: str) -> set[str]:
    """The folders, as `room/sub`, whose modules import a package anywhere, functions included."""
    found = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                if any(name == package or name.startswith(f"{package}.") for name in names):
                    found.add("/".join(path.relative_to(ROOT).parts[:2]))
    return found


def test_only_sources_read_git_and_only_the_demo_makes_commits() -> None:
    assert importers("dulwich") == {"workers/sources", "fleetbeat/demo"}


def test_only_clusters_speak_http_and_only_the_simulator_answers_it() -> None:
    assert importers("aiohttp") == {"workers/clusters", "fleetbeat/simulator"}


def test_only_state_and_audit_speak_to_redis_and_the_stack_starts_it() -> None:
    allowed = {"shared/state", "shared/audit", "fleetbeat/stack"}
    assert importers("redis") <= allowed, importers("redis") - allowed


def test_importing_a_room_reads_no_environment_and_starts_nothing() -> None:
    code = (
        "import sys, threading, pkgutil, importlib\n"
        "import os\n"
        "before = dict(os.environ); os.environ['FLEETBEAT_WORKERS'] = 'not-a-number'\n"
        "for room in ('shared', 'workers.sync', 'workers.sources', 'workers.rendering', 'workers.clusters', 'scheduler.beat'):\n"
        "    module = importlib.import_module(room)\n"
        "    for found in pkgutil.walk_packages(getattr(module, '__path__', []), room + '.'):\n"
        "        importlib.import_module(found.name)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
