"""What an object asks for itself, by label or annotation: Flux's keys, our twins of them, and Argo CD's sync wave. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

PREFIXES = ("kustomize.toolkit.fluxcd.io/", "fleetbeat/")
WAVE = "argocd.argoproj.io/sync-wave"
Ssa = Literal["Override", "Merge", "IfNotPresent", "Ignore"]
_SSA: Mapping[str, Ssa] = {
    "override": "Override",
    "merge": "Merge",
    "ifnotpresent": "IfNotPresent",
    "ignore": "Ignore",
}


class PolicyError(ValueError):
    """The value of such a key means nothing."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`ssa` as in Flux; `reconcile` False leaves the object alone; `prune` False never deletes it; `wave` orders within a stage."""

    ssa: Ssa = "Override"
    reconcile: bool = True
    prune: bool = True
    force: bool = False
    wave: int = 0

    @property
    def applied(self) -> bool:
        """False for what is never written."""
        return self.reconcile and self.ssa != "Ignore"


DEFAULT = Policy()


def read(meta: Mapping[str, Any]) -> Policy:
    """The policy of one object, from its metadata in Git or on the cluster.

    Raises:
        PolicyError: Names the key, the value and what it may be.
    """
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    values = {**labels, **notes}
    if not any(key.startswith(PREFIXES) or key == WAVE for key in values):
        return DEFAULT
    return Policy(
        ssa=_ssa(values),
        reconcile=not _says(values, "reconcile", "disabled"),
        prune=not _says(values, "prune", "disabled"),
        force=_says(values, "force", "enabled"),
        wave=_wave(values),
    )


def untouchable(meta: Mapping[str, Any]) -> bool:
    """True when somebody asked on the cluster that this object be left as it is."""
    try:
        policy = read(meta)
    except PolicyError:
        return False
    return not policy.applied


def _value(values: Mapping[str, Any], name: str) -> tuple[str, str] | None:
    for prefix in reversed(PREFIXES):
        if prefix + name in values:
            return prefix + name, str(values[prefix + name])
    return None


def _says(values: Mapping[str, Any], name: str, word: str) -> bool:
    found = _value(values, name)
    return found is not None and found[1].lower() == word


def _ssa(values: Mapping[str, Any]) -> Ssa:
    found = _value(values, "ssa")
    if found is None:
        return "Override"
    known = _SSA.get(found[1].lower())
    if known is None:
        raise PolicyError(f"{found[0]}: {found[1]!r} is none of Override, Merge, IfNotPresent, Ignore")
    return known


def _wave(values: Mapping[str, Any]) -> int:
    text = values.get(WAVE)
    if text is None:
        return 0
    try:
        return int(str(text))
    except ValueError:
        raise PolicyError(f"{WAVE}: {text!r} is no whole number") from None
