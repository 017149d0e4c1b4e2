"""The kinds of values that fields hold: each checks itself and says what a right one looks like."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from shared.clock import format_duration, parse_duration
from shared.documents.problems import shown
from shared.documents.yaml_nodes import Number

LONGEST = timedelta(days=366)
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_QUALIFIED = rf"({_SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_GIT_NAME = r"(?!-)(?!.*\.\.)[^\s\x00-\x20\x7f~^:?*\[\\]+"
_COMMIT = r"[0-9a-f]{40}|[0-9a-f]{64}"
_REF = r"refs/(?!.*\.\.)[^\s\x00-\x20\x7f~^:?*\[\\]+"
_QUEUE = r"[a-z0-9]([-a-z0-9_.]{0,61}[a-z0-9])?"
_DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"


class Model(BaseModel):
    """A mapping in a document: camelCase in YAML, snake_case in Python, frozen, nothing unknown accepted."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    REFUSED: ClassVar[Mapping[str, str]] = {}
    """Fields that are known but must not be accepted, by their YAML name, and what the reader is told."""


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    whole = re.compile(pattern)

    def check(value: str) -> str:
        if not whole.fullmatch(value):
            raise ValueError(f"{shown(value)} is not {what}")
        return value

    return check


def _duration(value: object) -> timedelta:
    if isinstance(value, str):
        try:
            value = parse_duration(value)
        except OverflowError:
            value = LONGEST * 2
    if not isinstance(value, timedelta):
        raise ValueError(f"{shown(value)} is not a duration; write it like 30s, 5m or 1h30m")  # noqa: TRY004 (pydantic)
    value = timedelta(milliseconds=round(value / timedelta(milliseconds=1)))
    if not timedelta(0) < value <= LONGEST:
        raise ValueError(f"must be longer than 0s and at most {format_duration(LONGEST)}")
    return value


def _path(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or any(not char.isprintable() for char in value)):
        raise ValueError(f"{shown(value)} is not the path of a file")
    return value


def _whole(value: object) -> object:
    """YAML's numbers come as their text; only plain digits are taken, for `0777` is another number in each YAML version."""
    plain = isinstance(value, Number) and re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", value.text)
    return int(str(value)) if plain else value


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _DURATION}),
]
"""Flux's and Go's durations, to the millisecond."""

FilePath = Annotated[Path, BeforeValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})]


def _schema(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^(?:{pattern})$"})


Name = Annotated[
    str,
    AfterValidator(
        _matching(_LABEL, "a name: at most 63 lower-case letters, digits and '-', with a letter or digit at both ends")
    ),
    _schema(_LABEL),
]
LabelKey = Annotated[
    str,
    AfterValidator(_matching(_QUALIFIED, "a label or annotation key; write it like app or example.com/app")),
    _schema(_QUALIFIED),
]
LabelValue = Annotated[
    str,
    AfterValidator(
        _matching(
            _VALUE, "a label value: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"
        )
    ),
    _schema(_VALUE),
]
VariableName = Annotated[
    str,
    AfterValidator(_matching(_VARIABLE, "a variable name: letters, digits and '_', not starting with a digit")),
    _schema(_VARIABLE),
]
GitName = Annotated[str, AfterValidator(_matching(_GIT_NAME, "a name that Git allows")), _schema(_GIT_NAME)]
CommitId = Annotated[
    str,
    AfterValidator(_matching(_COMMIT, "a full commit id; write all 40 hexadecimal digits in lower case")),
    _schema(_COMMIT),
]
FullRefName = Annotated[
    str,
    AfterValidator(_matching(_REF, "a full ref name; write it like refs/heads/main or refs/pull/1/head")),
    _schema(_REF),
]
QueueName = Annotated[
    str,
    AfterValidator(_matching(_QUEUE, "a queue name: at most 63 lower-case letters, digits, '-', '_' and '.'")),
    _schema(_QUEUE),
]
NonEmpty = Annotated[
    str,
    AfterValidator(_matching(r"(?s).*\S.*", "a text; it is empty")),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
Flag = StrictBool
Count = Annotated[
    StrictInt,
    BeforeValidator(_whole),
    Field(ge=0, le=1_000_000),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 1_000_000}),
]
"""How many of something; 0 is none."""
