"""What a write must satisfy before ownership and storage see it, and what it is made into. Pure; called by storage."""

from __future__ import annotations

import re
from typing import Any

import orjson

from fleetbeat.simulator import fields, statuses
from fleetbeat.simulator.fields import Body, Fields
from fleetbeat.simulator.kinds import NAMESPACE, Kind
from fleetbeat.simulator.statuses import Cause, StatusError

SERVER_WRITTEN = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "deletionTimestamp")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_FREE_NAME = frozenset({"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"})


def checked_name(kind: Kind, namespace: str, body: Body) -> str:
    """The object's name.

    Raises:
        StatusError: 400 or 422, it has none, it is no name, or its namespace is another.
    """
    meta = body.get("metadata")
    if not isinstance(meta, dict) or not meta.get("name"):
        if isinstance(meta, dict) and meta.get("generateName"):
            raise statuses.not_covered("generateName")
        cause = Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
        raise statuses.invalid(kind.kind, kind.group, "", [cause])
    name = meta["name"]
    if not isinstance(name, str):
        raise statuses.bad_request("metadata.name must be a string")
    if kind.namespaced and meta.get("namespace", namespace) != namespace:
        raise statuses.bad_request(
            f"the namespace of the provided object does not match the namespace sent on the request: "
            f"{meta.get('namespace')} is not {namespace}"
        )
    if kind.kind not in _FREE_NAME and (len(name) > 253 or not _DNS_NAME.fullmatch(name)):
        message = f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters'
        raise statuses.invalid(kind.kind, kind.group, name, [Cause("FieldValueInvalid", message, "metadata.name")])
    if kind.group == "" and kind.kind == "Secret" and "stringData" in body:
        raise statuses.not_covered("stringData of Secrets")
    return name


def checked_config(kind: Kind, namespace: str, name: str, config: Body) -> tuple[Body, Fields]:
    """(what an apply wants without nulls, its paths), after what it asks of its body before anything else.

    Raises:
        StatusError: 400 for another kind or name, or with managedFields; 500 for what the schema does not know.
    """
    if config.get("apiVersion") != kind.api_version or config.get("kind") != kind.kind:
        raise statuses.bad_request(
            f"invalid object type: {config.get('apiVersion')}, Kind={config.get('kind')}, want {kind.api_version}, Kind={kind.kind}"
        )
    meta = config.setdefault("metadata", {})
    if not isinstance(meta, dict):
        raise statuses.bad_request("metadata must be an object")
    meta.setdefault("name", name)
    if checked_name(kind, namespace, config) != name:
        raise statuses.bad_request("metadata.name does not match the name on the URL")
    if meta.get("managedFields"):
        raise statuses.bad_request("metadata.managedFields must be nil")
    wanted = _without_nulls(config) if b":null" in orjson.dumps(config) else config
    told = {key: value for key, value in wanted["metadata"].items() if key not in SERVER_WRITTEN}
    wanted = {**wanted, "metadata": told | ({"uid": meta["uid"]} if meta.get("uid") else {})}
    if kind.status:
        wanted.pop("status", None)
    if undeclared := unknown(kind, config):
        raise _untyped(kind, namespace, name, f".{undeclared[0]}: field not declared in schema")
    try:
        return wanted, frozenset(fields.of(kind, wanted))
    except fields.DuplicateItemError as error:
        raise _untyped(kind, namespace, name, str(error)) from None


def _untyped(kind: Kind, namespace: str, name: str, problem: str) -> StatusError:
    return statuses.untyped(name, namespace, kind.kind, kind.group, kind.version, problem)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(child) for name, child in value.items() if child is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def unknown(kind: Kind, body: Body) -> list[str]:
    """The top-level fields that the kind does not have."""
    if kind.fields is None:
        return []
    return [key for key in body if key not in kind.fields and key not in {"apiVersion", "kind", "metadata"}]


def precondition(kind: Kind, name: str, meta: Body, live: Body) -> None:
    """The resourceVersion of an update or a patch.

    Raises:
        StatusError: 409, it is not the live one; 500, it is no number.
    """
    wanted = version_of(meta)
    if wanted and wanted != live["metadata"]["resourceVersion"]:
        raise statuses.conflict(kind.plural, kind.group, name, statuses.MODIFIED)


def version_of(meta: Body) -> str:
    """The resourceVersion that a body names; "" for none, and for 0, which means the same.

    Raises:
        StatusError: 500, it is no number.
    """
    version = meta.get("resourceVersion") or ""
    if version and not (isinstance(version, str) and version.isdecimal()):
        raise StatusError(500, "", f'strconv.ParseUint: parsing "{version}": invalid syntax')
    return "" if version == "0" else version


def fresh(kind: Kind, namespace: str, body: Body) -> Body:
    """A new object without what only the server writes. Shares what it does not change."""
    new = dict(body)
    meta = {key: value for key, value in new["metadata"].items() if key not in SERVER_WRITTEN and value is not None}
    if kind.namespaced:
        meta["namespace"] = namespace
    else:
        meta.pop("namespace", None)
    if kind is NAMESPACE:
        meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta["name"]}
        new.pop("spec", None)
    if kind.status:
        new.pop("status", None)
    new["metadata"] = meta
    return {"apiVersion": new.pop("apiVersion"), "kind": new.pop("kind"), "metadata": new.pop("metadata"), **new}


def over(kind: Kind, live: Body, body: Body, subresource: str) -> Body:
    """The live object with an update laid over it, without what an update may not touch. Shares what it does not change."""
    if subresource == "status":
        new = {key: value for key, value in live.items() if key != "status"}
        if "status" in body:
            new["status"] = body["status"]
        return new | {"metadata": dict(live["metadata"])}
    new = dict(body)
    meta: dict[str, Any] = {key: value for key, value in body["metadata"].items() if value is not None}
    before = live["metadata"]
    # Another uid or a deletion of one's own is refused later, by name.
    meta.setdefault("uid", before["uid"])
    for key in ("resourceVersion", "generation", "creationTimestamp", "managedFields"):
        meta.pop(key, None)
        if key in before:
            meta[key] = before[key]
    if before.get("deletionTimestamp"):
        meta["deletionTimestamp"] = before["deletionTimestamp"]
    if kind.namespaced:
        meta["namespace"] = before["namespace"]
    new["metadata"] = meta
    if kind.status or kind is NAMESPACE:
        new.pop("status", None)
        if "status" in live:
            new["status"] = live["status"]
    return new | {"apiVersion": live["apiVersion"], "kind": live["kind"]}
