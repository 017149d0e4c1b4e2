"""`python -m benchmarks`: the subjects one after the other on one API server, the table on stdout, everything in a JSON file."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import machine, report
from benchmarks.admin import Admin
from benchmarks.controlplane import HOW, ControlPlane
from benchmarks.errors import MissingError, WrongError
from benchmarks.scenarios import GROWING, SCENARIOS, Bench, Outcome
from benchmarks.subjects import SUBJECTS
from benchmarks.workload import Workload
from shared.clock import now, rfc3339

RESULTS = Path(__file__).parent / "results"
FAILED, MISUSE = 1, 2


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--subjects", default=",".join(SUBJECTS), help="comma-separated: %(default)s")
    parser.add_argument(
        "--scenario", default="first,steady,changed", help=f"comma-separated or all: {', '.join(SCENARIOS)}"
    )
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--objects", type=int, default=101, help="on each cluster")
    parser.add_argument("--touched", type=int, default=20, help="objects that a change touches")
    parser.add_argument("--passes", type=int, default=3, help="steady and changed passes in each round")
    parser.add_argument("--rounds", type=int, default=1, help="how often the subjects take turns")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--keep", action="store_true", help="leave the subjects' folders and logs where they are")
    found = parser.parse_args(argv)
    found.subjects = [name for name in found.subjects.split(",") if name]
    found.scenario = (
        list(SCENARIOS) if found.scenario == "all" else [name for name in found.scenario.split(",") if name]
    )
    unknown = [f"subject {name}" for name in found.subjects if name not in SUBJECTS]
    unknown += [f"scenario {name}" for name in found.scenario if name not in SCENARIOS]
    if unknown:
        parser.error(
            f"there is no {', no '.join(unknown)}; subjects: {', '.join(SUBJECTS)}; scenarios: {', '.join(SCENARIOS)}"
        )
    if min(found.clusters, found.objects, found.touched, found.passes, found.rounds) < 1:
        parser.error("every number must be 1 or more")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 when everything was measured, 1 when something could not be, 2 on misuse."""
    asked = arguments(argv)
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not folder:
        say(f"error: no control plane: {HOW}")
        return MISUSE
    # Told to end, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAILED))
    room = Path(tempfile.mkdtemp(prefix="fb-bench-"))
    try:
        return _run(asked, Path(folder), room)
    except (MissingError, WrongError) as error:
        say(f"error: {error}")
        return FAILED
    finally:
        if asked.keep:
            say(f"kept: {room}")
        else:
            shutil.rmtree(room, ignore_errors=True)


def _run(asked: argparse.Namespace, binaries: Path, folder: Path) -> int:
    started = now()
    facts = machine.facts(binaries)
    say(
        f"{facts['cores']} cores, load {facts['loadBefore'][0]:.2f}: figures are worth most on a machine that does nothing else"
    )
    users = max(asked.clusters, *(one.clusters for one in GROWING))
    found: dict[str, list[Outcome]] = {name: [] for name in asked.subjects}
    growth: dict[str, list[Outcome]] = {}
    wrong: dict[str, str] = {}
    with ControlPlane(folder / "plane", binaries, users) as plane, contextlib.closing(Admin(plane)) as admin:
        bench = Bench(plane, admin, folder, say)
        bench.warm_up()
        if set(asked.scenario) - {"growth"}:
            workload = Workload(asked.clusters, asked.objects, min(asked.touched, asked.objects))
            for number in range(1, asked.rounds + 1):
                say(f"round {number} of {asked.rounds}: {workload.clusters} clusters × {workload.objects} objects")
                for name in asked.subjects:
                    _one(bench, name, f"r{number}", workload, asked.passes, asked.scenario, found[name], wrong)
        if "growth" in asked.scenario:
            growth = {name: [] for name in asked.subjects}
            for number, workload in enumerate(GROWING, 1):
                say(f"growth: {workload.clusters} clusters × {workload.objects} objects")
                for name in asked.subjects:
                    _one(bench, name, f"g{number}", workload, asked.passes, ("first", "steady"), growth[name], wrong)
    lines = report.lines(found, report.rows(asked.clusters, asked.objects, asked.touched))
    result = {
        "startedAt": rfc3339(started),
        "machine": {**facts, "loadAfter": os.getloadavg()},
        "options": {name: value for name, value in vars(asked).items() if name not in {"output", "keep"}},
        "rows": [line.as_json() for line in lines],
        "subjects": {name: [_plain(one) for one in outcomes] for name, outcomes in found.items()},
        "growth": {name: [_plain(one) for one in outcomes] for name, outcomes in growth.items()},
        "skipped": wrong,
    }
    _write(result, started)
    if asked.output == "json":
        print(json.dumps(result, indent=2))
    else:
        tables = [report.table(lines, asked.subjects), report.disturbance(found)] if lines else []
        tables += [report.growth_table(growth)] if any(growth.values()) else []
        print("\n\n".join(tables))
    return FAILED if wrong else 0


def _one(
    bench: Bench,
    name: str,
    label: str,
    workload: Workload,
    passes: int,
    scenarios: Sequence[str],
    into: list[Outcome],
    wrong: dict[str, str],
) -> None:
    """One subject, once; what is missing or does not do its work is named and left out from then on."""
    if name in wrong:
        return
    try:
        into.append(bench.outcome(name, label, workload, passes, scenarios))
    except (MissingError, WrongError) as error:
        wrong[name] = str(error)
        say(f"  {name} is skipped: {error}")


def _plain(found: Outcome) -> dict[str, Any]:
    return asdict(found)


def _write(result: dict[str, Any], started: float) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{rfc3339(started).replace(':', '').replace('-', '')}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    say(f"all figures: {path}")


def say(text: str) -> None:
    """Progress, for the person who waits."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
