"""`fleetbeat doctor`: is everything there that is needed?"""

from __future__ import annotations

import platform
import sysconfig
from pathlib import Path
from typing import Any

import typer

from fleetbeat.cli.context import FAILED, Output, OutputOption, out, print_json, settings
from fleetbeat.stack import redis as embedded
from fleetbeat.stack.stack import alive_workers
from shared.errors import FleetbeatError
from shared.state import due, keys
from shared.state import fleet as fleets
from shared.state.store import Errors, Store


def doctor(output: OutputOption = Output.table) -> None:
    """Check the installation and what runs; exit 1 when something needed is missing.

    Example: fleetbeat doctor -o json
    """
    mine = settings()
    rows: list[dict[str, Any]] = [{"check": "python", "ok": True, "detail": platform.python_version()}]
    kubectl = Path(sysconfig.get_path("scripts")) / "kubectl"
    rows.append({"check": "kubectl (for kustomize)", "ok": kubectl.is_file(), "detail": str(kubectl)})
    store = Store.open(mine)
    try:
        running = _running(store)
        rows += running
        if not running and not mine.redis_url:
            rows.append(_binary())
        elif not running:
            rows.append({"check": "redis", "ok": False, "detail": "FLEETBEAT_REDIS_URL does not answer"})
    finally:
        store.close()
    rows.append({"check": "data folder", "ok": True, "detail": str(mine.data_dir)})
    if output is Output.json:
        print_json(rows)
    else:
        for row in rows:
            out.print(
                f"{'ok  ' if row['ok'] else 'MISSING'} {row['check']}: {row['detail']}", markup=False, soft_wrap=True
            )
    if not all(row["ok"] for row in rows):
        raise typer.Exit(FAILED)


def _binary() -> dict[str, Any]:
    try:
        found = embedded.find()
    except FleetbeatError as error:
        return {"check": "redis", "ok": False, "detail": str(error)}
    return {"check": "redis", "ok": True, "detail": f"not running; {found.path} (from {found.origin}) will be started"}


def _running(store: Store) -> list[dict[str, Any]]:
    try:
        version = store.redis.info("server")["redis_version"]
        workers = alive_workers(store)
        beat = store.redis.get(keys.BEAT)
    except Errors:
        return []
    rows = [
        {"check": "redis", "ok": True, "detail": f"{version} is running"},
        {"check": "workers", "ok": workers > 0, "detail": f"{workers} alive"},
        {
            "check": "beat",
            "ok": beat is not None,
            "detail": beat.decode() if isinstance(beat, bytes) else "none holds the lease",
        },
    ]
    try:
        fleet = fleets.current(store)
    except FleetbeatError as error:
        rows.append({"check": "fleet", "ok": False, "detail": str(error)})
    else:
        healed = due.reconcile(store)
        rows.append(
            {
                "check": "fleet",
                "ok": True,
                "detail": f"{len(fleet.clusters)} clusters; {healed} missing due-set entries put back",
            }
        )
    return rows


def register(app: typer.Typer) -> None:
    app.command()(doctor)
