"""The tables that people see; each fits 80 columns."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

MOST_NAMED = 5
_COLOURS = {
    "applied": "green",
    "healthy": "green",
    "failed": "red",
    "degraded": "red",
    "unreachable": "red",
    "held": "yellow",
    "suspended": "yellow",
    "waiting": "yellow",
    "progressing": "yellow",
    "running": "cyan",
}


def status(report: dict[str, Any]) -> Table:
    """One row for each Sync of each cluster."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("CLUSTER", "SYNC", "STATE", "HEALTH", "COMMIT", "OBJECTS", "CHANGED"):
        # Names may be long; they give way, what is said about them does not.
        named = name in {"CLUSTER", "SYNC"}
        table.add_column(
            name,
            no_wrap=not named,
            overflow="fold",
            min_width=len("(leaving)") if named else None,
            justify="right" if name == "OBJECTS" else "left",
        )
    for cluster in report["clusters"]:
        for sync in cluster["syncs"]:
            marks = (("+", "created"), ("~", "configured"), ("-", "deleted"), ("!", "drifted"))
            changed = " ".join(f"{mark}{sync[name]}" for mark, name in marks if sync[name])
            table.add_row(
                cluster["name"],
                f"{sync['name']} (leaving)" if sync["leaving"] else sync["name"],
                _coloured(sync["state"]),
                _coloured(sync["health"]),
                (sync["commit"] or "")[:8],
                str(sync["objects"]),
                changed,
            )
    return table


def problems(report: dict[str, Any]) -> list[str]:
    """What is wrong, held, contested or waiting for a person, and what API servers warn of; one line each."""
    lines = [str(source["error"]) for source in report["sources"] if source["error"]]
    for cluster in report["clusters"]:
        if cluster["held"]:
            held = cluster["held"]
            lines.append(
                f"{cluster['name']}: held by {held['actor']} since {held['since']}: {held['reason']} ({held['scope']})"
            )
        for sync in cluster["syncs"]:
            asks = sync["state"] == "waiting" and sync["deletions"]
            if sync["error"] and not asks:
                lines.append(f"{cluster['name']}/{sync['name']}: {sync['error']}")
            lines += _for_people(f"{sync['name']}@{cluster['name']}", sync)
    return lines + _warnings(report)


def _for_people(name: str, sync: dict[str, Any]) -> list[str]:
    """What only a person can end: a fight over objects, deletions that nobody approved."""
    lines = []
    if fought := sync["contested"]:
        more = f" and {len(fought) - MOST_NAMED} more" if len(fought) > MOST_NAMED else ""
        lines.append(
            f"{name}: changed back each time, so not corrected for now: {', '.join(fought[:MOST_NAMED])}{more} "
            "(who: fleetbeat audit log --type object.contested)"
        )
    if count := len(sync["deletions"]):
        lines.append(f"{name}: {count} deletion{'s wait' if count != 1 else ' waits'} for: fleetbeat approve {name}")
    return lines


def _warnings(report: dict[str, Any]) -> list[str]:
    """Each warning once for each Sync, however many clusters give it."""
    seen: dict[tuple[str, str], list[str]] = {}
    for cluster in report["clusters"]:
        for sync in cluster["syncs"]:
            for warning in sync["warnings"]:
                seen.setdefault((sync["name"], warning), []).append(cluster["name"])
    return [
        f"{sync}: the API server warns{f' on {len(where)} clusters' if len(where) > 1 else f' on {where[0]}'}: {warning}"
        for (sync, warning), where in seen.items()
    ]


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
