"""The models as JSON Schema for editors and as `docs/configuration.md` for people; `make docs` writes both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from shared.clock import format_duration
from shared.documents.document import API_VERSION
from shared.documents.explain import inner_model
from shared.documents.fields import Model
from shared.documents.kinds import KINDS, REFUSED_KINDS

PREFIX = "FLEETBEAT_"
_WORDS = {str: "text", bool: "true or false", timedelta: "duration", Path: "path", int: "number", float: "number"}
_INTRODUCTION = f"""\
# Configuration

<!-- Generated from the models by `make docs`; edit the descriptions there. -->

A fleet is a folder of YAML or JSON documents with `apiVersion: {API_VERSION}`. Every `.yaml`, `.yml` and `.json` file below it is
read, however the documents are spread over files; files and folders whose names start with a dot are not. Documents of other
API versions, such as a kubeconfig, are passed over. A fleet with a single error is refused whole, with every error listed.

Field names are Flux's wherever Flux has the thing. Durations are written like `30s`, `5m` or `1h30m`. Editors can check
documents while you write: `docs/schema/` holds a JSON Schema for every kind.
"""


class _Untitled(GenerateJsonSchema):
    """pydantic's titles only repeat the names of the fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def json_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema 2020-12 by kind; fields that are refused are not in it."""
    return {name: _json_schema(kind) for name, kind in KINDS.items()}


def configuration_markdown(settings_model: type[BaseModel]) -> str:
    """Every field and every environment variable, the same on every machine.

    Args:
        settings_model: Its fields are the variables, `FLEETBEAT_` and the name in upper case.
    """
    parts = [_INTRODUCTION]
    for name, kind in KINDS.items():
        parts.append(f"## {name}\n\n" + _table(("Field", "Type", "Default", "Meaning"), _rows(kind, "")))
    parts.append(
        "## Not supported yet\n\nThese are known, and refused by name: nothing is read and then ignored.\n\n"
        + _table(("Where", "Field", "What to do"), _refused())
    )
    parts.append(
        "## Environment variables\n\nRead once when a process starts.\n\n"
        + _table(("Variable", "Type", "Default", "Meaning"), _variables(settings_model))
    )
    return "\n".join(parts)


def write(folder: Path, settings_model: type[BaseModel]) -> None:
    """Write `configuration.md` and `schema/<kind>.json` below the folder (the project's `docs`)."""
    for path, text in generated(settings_model).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def generated(settings_model: type[BaseModel]) -> dict[str, str]:
    """What `write` writes: text by path relative to the folder."""
    schemas = {f"schema/{name.lower()}.json": pretty(schema) for name, schema in json_schemas().items()}
    return {"configuration.md": configuration_markdown(settings_model), **schemas}


def _json_schema(kind: type[Model]) -> dict[str, Any]:
    schema = kind.model_json_schema(schema_generator=_Untitled)
    # Python code may leave out what never varies; a document must say it.
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def pretty(schema: dict[str, Any]) -> str:
    """The schema as it is committed."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _rows(model: type[Model], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = inner_model(field.annotation)
        is_list = get_origin(field.annotation) is tuple
        required = field.is_required() or name in {"api_version", "kind"}
        default = "required" if required else _default(field)
        yield f"`{path}`", _type(field.annotation), default, field.description or ""
        if inner:
            yield from _rows(inner, f"{path}[]." if is_list else f"{path}.")


def _refused() -> Iterator[tuple[str, str, str]]:
    for name in sorted(REFUSED_KINDS):
        yield name, f"`kind: {name}`", "not supported yet; remove the document"
    for name, kind in KINDS.items():
        for path, model in _models(kind, ""):
            for field, message in model.REFUSED.items():
                yield name, f"`{path}{field}`", message
    yield "GitRepository", "`spec.url: ssh://…`", "not supported yet; use the https:// address and secretRef"


def _models(model: type[Model], prefix: str) -> Iterator[tuple[str, type[Model]]]:
    yield prefix, model
    for name, field in model.model_fields.items():
        if inner := inner_model(field.annotation):
            end = "[]." if get_origin(field.annotation) is tuple else "."
            yield from _models(inner, f"{prefix}{field.alias or name}{end}")


def _variables(settings_model: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    for name, field in settings_model.model_fields.items():
        meaning = field.description or ""
        # What depends on the machine must not make the page differ from machine to machine.
        default = "depends on the platform" if isinstance(field.default, Path) else _default(field)
        default = "see meaning" if "Default:" in meaning else default
        yield f"`{PREFIX}{name.upper()}`", _type(field.annotation), default, meaning


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    match value:
        case timedelta():
            return f"`{format_duration(value)}`"
        case bool():
            return f"`{str(value).lower()}`"
        case None | "":
            return "unset"
        case BaseModel():
            return "`{}`"
        case dict() | tuple():
            return "none"
        case float() if value.is_integer():
            return f"`{int(value)}`"
        case _:
            return f"`{value}`"


def _type(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(parts[0])
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin is tuple:
        inner = _type(parts[0])
        return f"list of {inner}" if get_origin(parts[0]) is Literal else f"list of {inner}s"
    if origin is dict:
        return "texts by name"
    if parts:
        return _type(next(part for part in parts if part is not NoneType))
    return _WORDS.get(annotation, "mapping")
