"""pydantic's errors in the words of the person who wrote the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.documents.fields import Model
from shared.documents.problems import did_you_mean, shown
from shared.documents.yaml_nodes import said

Loc = tuple[str | int, ...]
MOST = 200
"""Problems listed for one document."""


def explain(error: ValidationError, kind: type[Model]) -> Iterator[tuple[Loc, str]]:
    """Every error as the location of its field and a message."""
    every = error.errors(include_url=False)
    if len(every) > MOST:
        yield (), f"has {len(every)} problems, of which the first {MOST} are listed"
    for details in every[:MOST]:
        loc = tuple(part for part in details["loc"] if part != "[key]")
        yield loc, _message(details, loc, kind)


def dotted(loc: Loc) -> str:
    """`spec.matchExpressions[0].key`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def aliases(model: type[BaseModel]) -> list[str]:
    """The names of its fields as written in YAML."""
    return [field.alias or name for name, field in model.model_fields.items()]


def inner_model(annotation: Any) -> type[Model] | None:
    """The model in `X`, `X | None`, `tuple[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((model for part in get_args(annotation) if (model := inner_model(part))), None)


def _message(details: ErrorDetails, loc: Loc, kind: type[Model]) -> str:
    value = details["input"]
    match details["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return _unknown(loc, kind)
        case "value_error":
            return str(details["ctx"]["error"])
        case _ if value is None:
            return "is empty; give it a value or remove the line"
        case "string_type":
            return f"must be a text, here it is {said(value)}" + (
                "" if isinstance(value, dict | list) else "; write it in quotes"
            )
        case "bool_type":
            return f"must be true or false, without quotes; here it is {said(value)}"
        case "int_type":
            return f"must be a whole number in plain digits, here it is {said(value)}"
        case "greater_than_equal" | "less_than_equal":
            return f"must be from 0 to 1000000, here it is the number {value}"
        case "literal_error":
            return _not_one_of(value, str(details["ctx"]["expected"]))
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"must be a mapping (key: value), here it is {said(value)}"
        case "tuple_type" | "list_type":
            return f"must be a list (- item), here it is {said(value)}"
        case "path_type":
            return f"must be the path of a file, here it is {said(value)}; write it in quotes"
        case _:
            return details["msg"]


def _unknown(loc: Loc, kind: type[Model]) -> str:
    name = str(loc[-1])
    model = _model_at(loc[:-1], kind)
    if name in model.REFUSED:
        return model.REFUSED[name]
    spec = inner_model(kind.model_fields["spec"].annotation)
    if len(loc) == 1 and spec and name in {*aliases(spec), *spec.REFUSED}:
        return "unknown field here; it belongs under spec"
    return f"unknown field; {did_you_mean(name, aliases(model))}"


def _model_at(loc: Loc, kind: type[Model]) -> type[Model]:
    model = kind
    for part in loc:
        field = next((field for name, field in model.model_fields.items() if part in {name, field.alias}), None)
        model = (inner_model(field.annotation) if field else None) or model
    return model


def _not_one_of(value: object, expected: str) -> str:
    if not isinstance(value, str):
        return f"must be {expected}, here it is {said(value)}"
    known = [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]
    return f"{shown(value)} is not known; {did_you_mean(value, known)}"
