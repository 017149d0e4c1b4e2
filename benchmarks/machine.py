"""On what the figures were made: without it they are worth nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from dulwich.errors import NotGitRepository
from dulwich.repo import Repo

from fleetbeat.stack.redis import NoRedisError, find


def facts(binaries: Path) -> dict[str, Any]:
    """Cores, kernel and versions, as JSON takes them."""
    return {
        "commit": _commit(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memoryMiB": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "kernel": platform.release(),
        "system": platform.system(),
        "python": platform.python_version(),
        "kube-apiserver": _version(binaries / "kube-apiserver"),
        "etcd": _version(binaries / "etcd"),
        "redis": _redis(),
        "loadBefore": os.getloadavg(),
    }


def _commit() -> str:
    """The commit that is checked out, which is what was measured unless files were edited."""
    try:
        with Repo(str(Path(__file__).parents[1])) as repository:
            return repository.head().decode()
    except (NotGitRepository, KeyError):
        return "unknown"


def _processor() -> str:
    try:
        rows = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [row.partition(":")[2].strip() for row in rows if row.startswith("model name")]
    return names[0] if names else platform.machine()


def _redis() -> str:
    try:
        return _version(find().path)
    except NoRedisError:
        return "none"


def _version(binary: Path) -> str:
    done = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=False, timeout=30)
    return (done.stdout.strip().splitlines() or ["unknown"])[0]
