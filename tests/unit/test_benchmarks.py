"""The parts of the benchmark that a wrong figure could come from without anybody noticing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest
import yaml

from benchmarks import processes, report
from benchmarks.measure import Idle, Measured, Meter, Pass, request_counts
from benchmarks.processes import Memory
from benchmarks.report import Row, Target
from benchmarks.scenarios import Outcome
from benchmarks.workload import FOLDER, KINDS, REVISION, Workload

METRICS = """\
# HELP apiserver_request_total [STABLE] Counter of apiserver requests
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="configmaps",scope="namespace",subresource="",verb="LIST",version="v1"} 12
apiserver_request_total{code="404",component="apiserver",dry_run="",group="",resource="configmaps",scope="namespace",subresource="",verb="LIST",version="v1"} 1
apiserver_request_total{code="200",component="apiserver",dry_run="All",group="apps",resource="deployments",scope="resource",subresource="",verb="APPLY",version="v1"} 1.5e+02
apiserver_request_total{code="200",component="apiserver",dry_run="",group="apps",resource="deployments",scope="resource",subresource="status",verb="PATCH",version="v1"} 3
apiserver_request_duration_seconds_count{verb="LIST"} 99
apiserver_request_total_other{verb="LIST"} 99
"""


def test_a_cluster_has_101_objects_of_11_kinds_and_no_two_are_the_same() -> None:
    items = Workload().items()
    assert len(items) == 101
    counts = Counter(item.kind.kind for item in items)
    assert len(counts) == 11
    assert set(counts.values()) == {9, 10}
    assert len({(item.kind.kind, item.name) for item in items}) == 101


@pytest.mark.parametrize("objects", [1, 10, 50, 500])
def test_the_files_in_git_hold_exactly_the_objects_asked_for_and_none_names_a_namespace(objects: int) -> None:
    files = Workload(1, objects).files()
    bodies = [body for text in files.values() for body in yaml.load_all(text, Loader=yaml.CSafeLoader)]
    assert len(bodies) == objects
    assert not any("namespace" in body["metadata"] for body in bodies)
    assert all(name.startswith(f"{FOLDER}/") for name in files)


def test_the_same_workload_is_the_same_bytes() -> None:
    assert Workload().files(2) == Workload().files(2)


def test_a_change_touches_as_many_objects_as_it_says_in_more_than_an_annotation() -> None:
    before, after = (Workload().items(revision) for revision in (0, 1))
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old.body != new.body]
    assert len(moved) == 20
    assert {new.kind.kind for _, new in moved} == {kind.kind for kind in KINDS}
    assert all(new.body["metadata"]["annotations"][REVISION] == "1" for _, new in moved)
    only_annotated = [
        new.kind.kind
        for old, new in moved
        if {k: v for k, v in old.body.items() if k != "metadata"}
        == {k: v for k, v in new.body.items() if k != "metadata"}
    ]
    assert set(only_annotated) == {"ServiceAccount"}


def test_every_cluster_has_a_name_of_its_own() -> None:
    names = Workload(clusters=50).names("bench")
    assert len(set(names)) == 50
    assert names[0] == "bench-001"


def test_requests_are_added_up_over_codes_and_split_by_verb_and_resource() -> None:
    counts = request_counts(METRICS)
    assert counts == {"LIST configmaps": 13, "APPLY apps/deployments": 150, "PATCH apps/deployments/status": 3}


def counted(total: int) -> str:
    return f'apiserver_request_total{{code="200",group="",resource="pods",subresource="",verb="GET"}} {total}\n'


def metered(before: int, after: int, seconds: float, idle: float) -> Meter:
    """A meter that reads these two totals, that many seconds apart."""
    readings, times = iter([counted(before), counted(after)]), iter([0.0, seconds])
    meter = Meter(lambda: next(readings), {}, lambda: 0.0, settle=0.0, clock=lambda: next(times))
    meter.idle = Idle(requests=idle)
    return meter


def test_a_pass_is_charged_neither_for_what_the_benchmark_asked_nor_for_what_goes_on_anyway() -> None:
    done = metered(100, 160, seconds=2.0, idle=10.0).measure(lambda: Pass(0.1, asked=5))
    assert done.requests == 60 - 5 - 20
    assert done.by_verb == {"GET pods": 60}


def test_who_else_uses_the_machine_is_seen() -> None:
    code = "import time\nwhile time.process_time() < 0.3: pass"

    def work() -> Pass:
        subprocess.run([sys.executable, "-c", code], check=True)
        return Pass(0.0)

    meter = Meter(lambda: counted(1), {}, lambda: 0.0, settle=0.0)
    assert meter.measure(work).others * (os.cpu_count() or 1) > 0.2


def test_a_pass_that_asked_nothing_is_never_less_than_zero() -> None:
    assert metered(100, 101, seconds=2.0, idle=10.0).measure(lambda: Pass(0.0)).requests == 0.0


def test_the_cpu_of_an_engine_has_its_ended_children_in_it() -> None:
    before = processes.cpu([os.getpid()])
    code = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert processes.cpu([os.getpid()]) - before >= 0.25


def test_a_tree_is_a_process_and_what_it_started() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in processes.tree(os.getpid())
        assert processes.tree(child.pid) == [child.pid]
        assert processes.memory([child.pid]).rss > 1
        child.communicate(b"\n")


def outcome(seconds: float, requests: float, cpu: float, memory: float = 0.0) -> Outcome:
    done = Measured(seconds, requests, {"engine": cpu})
    return Outcome(Workload(), "1", [done], [done, done], [done], Memory(memory, memory))


def verdicts(ours: Outcome, peer: Outcome | None) -> dict[str, str]:
    found = {"fleetbeat": [ours]} | ({"flux": [peer]} if peer else {})
    return {line.title: line.verdict for line in report.lines(found, report.rows(20, 101, 20))}


def test_every_line_of_the_contract_is_met_exactly_at_its_limit_and_not_beyond() -> None:
    peer = outcome(seconds=8.0, requests=213 * 20, cpu=15.0)
    assert set(verdicts(outcome(1.0, 14 * 20, 1.0, 300), peer).values()) == {"met"}
    worse = verdicts(outcome(4.1, 14.1 * 20, 1.1, 301), peer)
    assert set(worse.values()) == {"not met"}
    assert len(worse) == 6


def test_a_stray_request_of_the_server_itself_breaks_no_limit() -> None:
    assert verdicts(outcome(1.0, 14 * 20 + 0.8, 1.0), None)["steady sync: requests per cluster"] == "met"


def test_without_the_peer_a_share_of_it_is_unknown_and_a_figure_of_its_own_is_not() -> None:
    found = verdicts(outcome(1.0, 14 * 20, 1.0, 200), None)
    assert found["steady sync: requests per cluster"] == "met"
    assert found["memory of the engine at its peak, MiB"] == "met"
    assert found["20 clusters, nothing changed, s"] == "unknown"


def test_the_table_shows_medians_with_their_range_ratios_and_verdicts() -> None:
    row = Row("work, s", lambda one: [done.seconds for done in one.first], 1, Target(0.25, relative=True, text="≤ 1/4"))
    ours = [outcome(seconds, 0, 0) for seconds in (1.0, 2.0, 9.0)]
    lines = report.lines({"fleetbeat": ours, "flux": [outcome(10.0, 0, 0)], "kubectl": []}, [row])
    head, _, body = report.table(lines, ["fleetbeat", "flux", "kubectl"]).splitlines()
    assert [cell.strip() for cell in head.strip("| ").split("|")] == [
        "work", "fleetbeat", "flux", "kubectl", "fleetbeat ÷ flux", "to reach", "verdict",
    ]  # fmt: skip
    assert [cell.strip() for cell in body.strip("| ").split("|")] == [
        "work, s", "2.0 (1.0–9.0)", "10.0", "–", "1/5.0", "≤ 1/4", "met",
    ]  # fmt: skip


def test_a_ratio_above_one_is_no_saving() -> None:
    assert report.share(0.05) == "1/20.0"
    assert report.share(1.5) == "1.50 ×"
    assert report.share(None) == "–"
