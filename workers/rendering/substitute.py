"""Flux's variables, strictly: `${var}`, `${var:=default}`, `${var:-default}`, and `$${var}` for a dollar sign that stays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workers.rendering.errors import RenderError
from workers.rendering.manifest import Manifest
from workers.rendering.yaml import resolve

_VARIABLE = re.compile(r"\$(\$\{|\{([A-Za-z_][A-Za-z0-9_]*)(:[=-]([^}]*))?\})")
DISABLED = ("kustomize.toolkit.fluxcd.io/substitute", "fleetbeat/substitute")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """The text with its variables filled in.

    Raises:
        RenderError: A variable has neither a value nor a default.
    """

    def fill(match: re.Match[str]) -> str:
        if match[1] == "${":
            return "${"
        value = variables.get(match[2])
        if value is None or (value == "" and match[3]):
            if match[3] is None:
                raise RenderError(
                    [
                        f"the variable ${{{match[2]}}} has no value; give it one in the cluster's variables or postBuild.substitute"
                    ]
                )
            return match[4] or ""
        return value

    return _VARIABLE.sub(fill, text)


def substitute(manifest: Manifest, variables: Mapping[str, str]) -> Manifest:
    """The object with its variables filled in; one that was a whole scalar may become a number, as in Flux.

    Raises:
        RenderError: Names the file and the variable.
    """
    meta = manifest.body.get("metadata") or {}
    notes = {**(meta.get("annotations") or {}), **(meta.get("labels") or {})}
    if any(notes.get(name) == "disabled" for name in DISABLED):
        return manifest
    try:
        return Manifest(_filled(manifest.body, variables), manifest.origin)
    except RenderError as error:
        raise RenderError([f"{manifest.origin}: {problem}" for problem in error.problems]) from None


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {_text(key, variables): _filled(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, variables) for item in value]
    if isinstance(value, str) and "$" in value:
        text = _text(value, variables)
        return resolve(text) if _VARIABLE.fullmatch(value) and not value.startswith("$$") else text
    return value


def _text(value: str, variables: Mapping[str, str]) -> str:
    return expand(value, variables) if "$" in value else value
