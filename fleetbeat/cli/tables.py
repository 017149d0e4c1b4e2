"""The tables that people see; each fits 80 columns."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

_COLOURS = {
    "applied": "green",
    "healthy": "green",
    "failed": "red",
    "degraded": "red",
    "unreachable": "red",
    "held": "yellow",
    "waiting": "yellow",
    "progressing": "yellow",
    "running": "cyan",
}


def status(report: dict[str, Any]) -> Table:
    """One row for each Sync of each cluster."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("CLUSTER", "SYNC", "STATE", "HEALTH", "COMMIT", "OBJECTS", "CHANGED"):
        table.add_column(name, no_wrap=True, justify="right" if name == "OBJECTS" else "left")
    for cluster in report["clusters"]:
        for sync in cluster["syncs"]:
            marks = (("+", "created"), ("~", "configured"), ("-", "deleted"), ("!", "drifted"))
            changed = " ".join(f"{mark}{sync[name]}" for mark, name in marks if sync[name])
            table.add_row(
                cluster["name"],
                sync["name"],
                _coloured(sync["state"]),
                _coloured(sync["health"]),
                (sync["commit"] or "")[:8],
                str(sync["objects"]),
                changed,
            )
    return table


def problems(report: dict[str, Any]) -> list[str]:
    """What is wrong or held, one line each."""
    lines = [str(source["error"]) for source in report["sources"] if source["error"]]
    for cluster in report["clusters"]:
        if cluster["held"]:
            held = cluster["held"]
            lines.append(
                f"{cluster['name']}: held by {held['actor']} since {held['since']}: {held['reason']} ({held['scope']})"
            )
        lines += [f"{cluster['name']}/{sync['name']}: {sync['error']}" for sync in cluster["syncs"] if sync["error"]]
    return lines


def events(rows: list[dict[str, Any]]) -> Table:
    """The audit trail: when, what, where, who, why."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("TIME", "EVENT", "WHERE", "WHAT", "WHO"):
        table.add_column(name, no_wrap=name in {"TIME", "EVENT"}, overflow="fold")
    for event in rows:
        thing = event.get("object") or {}
        subject = "/".join(part for part in (thing.get("kind"), thing.get("namespace"), thing.get("name")) if part)
        commit = event.get("commit") or {}
        where = (
            "/".join(part for part in (event.get("cluster"), event.get("sync")) if part)
            or event.get("source")
            or (event.get("details") or {}).get("scope")
            or ""
        )
        what = subject or event.get("message") or commit.get("subject") or ""
        # An edit by hand is nobody's commit: the message names its field manager and time.
        by_hand = event["type"] == "object.drifted" and event.get("message")
        who = by_hand or commit.get("author") or event["actor"]
        table.add_row(event["time"][11:19], event["type"], where, Text(what), Text(who))
    return table


def _coloured(word: str) -> Text:
    return Text(word, style=_COLOURS.get(word, ""))
