"""The figures as ratios against what the project has to reach, and as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.scenarios import Outcome, median

OURS, PEER = "fleetbeat", "flux"
Verdict = Literal["met", "not met", "unknown"]
Values = Callable[[Outcome], list[float]]


@dataclass(frozen=True, slots=True)
class Target:
    """At most `limit`: of the peer's value (`relative`), else in the row's own unit."""

    limit: float
    relative: bool
    text: str

    def verdict(self, ours: float | None, peer: float | None, digits: int) -> Verdict:
        """Unknown when one of the two was not measured. A figure of its own counts as it is shown: no count is exact to a hundredth."""
        if ours is None or (self.relative and not peer):
            return "unknown"
        if self.relative:
            return "met" if ours <= self.limit * (peer or 0.0) else "not met"
        return "met" if round(ours, digits) <= self.limit else "not met"


def share_of_peer(parts: int) -> Target:
    return Target(1 / parts, relative=True, text=f"≤ 1/{parts} of Flux")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: how it is read from an outcome, and what has to be reached."""

    title: str
    values: Values
    digits: int
    target: Target


def rows(clusters: int, objects: int, touched: int) -> list[Row]:
    """The contract's lines."""
    return [
        Row(
            "steady sync: requests per cluster",
            lambda found: [one.requests / clusters for one in found.steady],
            1,
            Target(14, relative=False, text="≤ 14"),
        ),
        Row(
            "steady sync: CPU of engine, API server and etcd, ms per cluster",
            lambda found: [one.cpu_seconds * 1000 / clusters for one in found.steady],
            0,
            share_of_peer(15),
        ),
        Row(
            f"{clusters} clusters, nothing changed, s",
            lambda found: [one.seconds for one in found.steady],
            2,
            share_of_peer(8),
        ),
        Row(
            f"{clusters} clusters, {touched} of {objects} objects changed, s",
            lambda found: [one.seconds for one in found.changed],
            2,
            share_of_peer(4),
        ),
        Row(
            f"{clusters} clusters, first apply, s",
            lambda found: [one.seconds for one in found.first],
            2,
            share_of_peer(2),
        ),
        Row(
            "memory of the engine at its peak, MiB",
            lambda found: [found.memory.pss] if found.memory.pss else [],
            0,
            Target(300, relative=False, text="≤ 300 MiB"),
        ),
    ]


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of a subject's values and their range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure | None:
        return cls(median(values), min(values), max(values)) if values else None

    def text(self, digits: int) -> str:
        low, middle, high = (f"{value:.{digits}f}" for value in (self.low, self.median, self.high))
        return middle if low == high else f"{middle} ({low}–{high})"


@dataclass(frozen=True, slots=True)
class Line:
    """One row with everybody's figure, ours as a share of the peer's, and the verdict."""

    title: str
    figures: Mapping[str, Figure | None]
    digits: int
    ratio: float | None
    target: str
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        figures = {
            name: None if found is None else {"median": found.median, "low": found.low, "high": found.high}
            for name, found in self.figures.items()
        }
        return {
            "work": self.title,
            "figures": figures,
            "ratio": self.ratio,
            "toReach": self.target,
            "verdict": self.verdict,
        }


def lines(found: Mapping[str, Sequence[Outcome]], wanted: Sequence[Row]) -> list[Line]:
    """Every row over the rounds of every subject; rows that nobody has a figure for are left out."""
    result = []
    for row in wanted:
        figures = {
            name: Figure.of([value for outcome in outcomes for value in row.values(outcome)])
            for name, outcomes in found.items()
        }
        if not any(figures.values()):
            continue
        ours, peer = figures.get(OURS), figures.get(PEER)
        ratio = ours.median / peer.median if ours and peer and peer.median else None
        verdict = row.target.verdict(ours.median if ours else None, peer.median if peer else None, row.digits)
        result.append(Line(row.title, figures, row.digits, ratio, row.target.text, verdict))
    return result


def disturbance(found: Mapping[str, Sequence[Outcome]]) -> str:
    """How far wall times can be trusted: what others used of the machine while each subject was measured."""
    shares = []
    for name, outcomes in found.items():
        rows = [done.others for one in outcomes for done in (*one.first, *one.steady, *one.changed)]
        if rows:
            shares.append(f"{name} {median(rows):.0%} ({min(rows):.0%}–{max(rows):.0%})")
    return f"Others used of the machine meanwhile: {', '.join(shares)}." if shares else ""


def share(ratio: float | None) -> str:
    """A ratio as people say it: 1/17.5, or 1.2 × when it is no saving."""
    if ratio is None:
        return "–"
    return f"1/{1 / ratio:.1f}" if 0 < ratio < 1 else f"{ratio:.2f} ×"


def table(found: Sequence[Line], names: Sequence[str]) -> str:
    """The lines as a Markdown table that is aligned for a terminal too."""
    head = ["work", *names, f"{OURS} ÷ {PEER}", "to reach", "verdict"]
    body = []
    for line in found:
        cells = [figure.text(line.digits) if (figure := line.figures.get(name)) else "–" for name in names]
        body.append([line.title, *cells, share(line.ratio), line.target, line.verdict])
    return aligned(head, body)


def growth_table(found: Mapping[str, Sequence[Outcome]]) -> str:
    """How each subject's cost grows with objects and with clusters."""
    head = [
        "subject",
        "clusters",
        "objects",
        "first, s",
        "nothing changed, s",
        "requests per cluster",
        "CPU, ms per cluster",
    ]
    body = []
    for name, outcomes in found.items():
        for one in outcomes:
            clusters = one.workload.clusters
            body.append(
                [
                    name,
                    str(clusters),
                    str(one.workload.objects),
                    f"{one.first[0].seconds:.2f}",
                    f"{median([done.seconds for done in one.steady]):.2f}",
                    f"{median([done.requests for done in one.steady]) / clusters:.1f}",
                    f"{median([done.cpu_seconds for done in one.steady]) * 1000 / clusters:.0f}",
                ]
            )
    return aligned(head, body)


def aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns have one width each."""
    widths = [max(len(row[column]) for row in [head, *body]) for column in range(len(head))]
    dashes = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, dashes, *body]
    )
