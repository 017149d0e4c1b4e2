"""docs/health.md from the table of health; `make docs` writes it. Run as a module it prints the page."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from shared.state.receipts import Health
from workers.sync.health.predicates import (
    Check,
    Differs,
    Either,
    Equals,
    Every,
    Is,
    Less,
    Matches,
    Not,
    Predicate,
    Present,
    Row,
    Some,
)
from workers.sync.health.table import FIRST, ROWS, UNTAUGHT

_BEGINNING = """\
# Health: when is an object ready?

<!-- Generated from workers/sync/health/table.py by `make docs`; edit the table there. -->

With `wait: true`, the default, a Sync is healthy when every object of it is. Its health is the worst of its objects': healthy,
suspended, progressing, degraded. Progressing is looked at again, after 0.5 s first and every 10 s at last, until `timeout` has passed since the
last write; then the Sync has failed. Degraded fails it at once. `status` and the event `sync.failed` name what is not ready and why.

The rules are those of kstatus, and for the kinds below what users of Argo CD know. They are asked in this order, and the first
that is so decides; an object to which none applies is healthy.
"""
_END = """\
## Good to know

* **Services of type LoadBalancer and Ingresses need an address.** In a cluster where no controller gives one they stay progressing, and
  their Sync fails after its `timeout`. Install one, use another type, or set `wait: false` on that Sync.
* **A HorizontalPodAutoscaler needs metrics.** Without a metrics server it is degraded, and for a moment while a
  new workload has none yet: its Sync has then failed and is healthy at the next try, `retryInterval` later.
* **A claim of a storage class with `WaitForFirstConsumer`** is Pending until a Pod uses it: put both into one Sync.
* **A workload that is not ready names its Pods' cause**, for instance `ImagePullBackOff: Back-off pulling image …`, if the credentials may list
  Pods. The verdict stays the workload's own: an image that appears late still heals a Deployment until its `progressDeadlineSeconds`
  or the Sync's `timeout` has passed.
* **An object that should be there and is not** is progressing; a Job is taken for finished and removed.
* Kinds of Kubernetes that are not listed, such as ConfigMaps, Roles and webhook configurations, are ready by being there and are
  not even read.
* Not there yet: `healthChecks`, `healthCheckExprs`; both are refused by name.
"""


def markdown() -> str:
    """The page."""
    rows = sorted(ROWS.values(), key=lambda row: (row.kind, row.group))
    parts = [
        _BEGINNING,
        "## Every object\n\n" + "".join(_general(FIRST)),
        "## Custom resources, and what has no rule of its own\n\n" + "".join(_general(UNTAUGHT)),
        "## Kinds with rules\n\n" + _table(rows),
        _END,
    ]
    return "\n".join(parts)


def _general(checks: Iterable[Check]) -> Iterable[str]:
    return (f"* {check.health}: {described(check.when)}\n" for check in checks)


def _table(rows: Iterable[Row]) -> str:
    head = ("Kind", "API group", "Healthy when", "Degraded when", "Suspended when")
    lines = [head, tuple("---" for _ in head)]
    lines += [
        (row.kind, row.group or "core", row.ready, row.degraded or _when(row, "degraded"), _when(row, "suspended"))
        for row in rows
    ]
    table = "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
    return f"{table}\nWhat is none of these is progressing.\n"


def _when(row: Row, health: Health) -> str:
    return "; or ".join(described(check.when) for check in row.checks if check.health == health) or "–"


def described(predicate: Predicate) -> str:
    """The predicate in words, for Markdown."""
    match predicate:
        case Is(condition, statuses, reasons):
            status = f" is {_or(statuses)}" if statuses else ""
            reason = f" has the reason {_or(reasons)}" if reasons else ""
            return f"condition {condition}{status}{reason}" if status or reason else f"there is a condition {condition}"
        case Equals(path, values):
            return f"{_path(path)} is {_or(str(value).lower() if value is True else str(value) for value in values)}"
        case Matches(path, pattern):
            return f"{_path(path)} matches `{pattern}`"
        case Present(path):
            return f"{_path(path)} is set"
        case Less(left, right, minus):
            return f"{_path(left)} is less than {_path(right)}" + (f" minus {_path(minus)}" if minus else "")
        case Differs(left, right):
            return f"{_path(left)} differs from {_path(right)}"
        case Some(lists, so):
            return f"for one of {_or(_path(path) for path in lists)} {described(so)}"
        case Every(parts):
            return " and ".join(described(part) for part in parts) or "always"
        case Either(parts):
            return "(" + " or ".join(described(part) for part in parts) + ")"
        case Not(part):
            return f"not ({described(part)})"


def _path(path: str) -> str:
    name, _, default = path.partition("|")
    return f"`{name}`" + (f" (else {default})" if default else "")


def _or(words: Iterable[str]) -> str:
    return " or ".join(words)


if __name__ == "__main__":
    sys.stdout.write(markdown())
