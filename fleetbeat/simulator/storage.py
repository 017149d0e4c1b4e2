"""The objects of one simulated cluster: versions, generations, ownership, finalizers, namespaces.

Everything runs on the simulator's loop, so a call is a transaction. Bodies are never changed once they are stored or handed out.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import orjson

from fleetbeat.simulator import admission, defaults, immutable, managed, ownership, statuses, warned
from fleetbeat.simulator.fields import Body
from fleetbeat.simulator.kinds import CRD, NAMESPACE, Kind
from fleetbeat.simulator.managed import Manager, Managers
from fleetbeat.simulator.registry import Registry
from fleetbeat.simulator.statuses import Cause, StatusError
from shared.clock import now, rfc3339

Name = tuple[str, str]
"""(namespace, name); the namespace is empty for cluster-wide kinds."""

_KEPT = frozenset({"default", "kube-system", "kube-public"})
_GUARDED = (
    ("uid", "UID", "The object might have been deleted and then recreated"),
    ("resourceVersion", "ResourceVersion", "The object might have been modified"),
)


@dataclass(slots=True)
class Stored:
    """An object as it is stored, in the version it was written in."""

    body: Body
    managers: Managers
    _row: orjson.Fragment | None = None

    def row(self, kind: Kind) -> Body:
        """The object as an item of a full list."""
        body = _in_version(kind, self.body)
        return (
            body if kind.custom else {name: value for name, value in body.items() if name not in {"kind", "apiVersion"}}
        )

    def metadata_row(self) -> orjson.Fragment:
        """The object as an item of a metadata list: written once, however often it is listed."""
        if self._row is None:
            shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": self.body["metadata"]}
            self._row = orjson.Fragment(orjson.dumps(shown))
        return self._row


@dataclass(slots=True)
class _Table:
    """All objects of one kind, in the order of their paths in a real server's store."""

    rows: dict[Name, Stored] = field(default_factory=dict)
    _ordered: list[Stored] | None = None

    def put(self, name: Name, stored: Stored) -> None:
        self.rows[name] = stored
        self._ordered = None

    def pop(self, name: Name) -> Stored:
        self._ordered = None
        return self.rows.pop(name)

    def ordered(self) -> list[Stored]:
        if self._ordered is None:
            self._ordered = [self.rows[name] for name in sorted(self.rows, key="/".join)]
        return self._ordered


@dataclass(frozen=True, slots=True)
class Change:
    """One object before and after a write; `new` is None when it went."""

    kind: Kind
    namespace: str
    name: str
    old: Body | None
    new: Body | None


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a write: the object as it is now (or would be), and what the server warns of."""

    body: Body
    created: bool
    warnings: tuple[str, ...]


@dataclass(slots=True)
class Storage:
    """One cluster. `changed` is told of every write after it has happened."""

    registry: Registry
    version: int = 100
    changed: Callable[[Change], None] = lambda _: None
    unread: dict[int, list[Stored]] = field(default_factory=dict)
    """The rest of lists that were read in part, by number."""
    numbers: Iterator[int] = field(default_factory=count)
    _objects: defaultdict[tuple[str, str], _Table] = field(default_factory=lambda: defaultdict(_Table))

    def __post_init__(self) -> None:
        manager = Manager("kube-apiserver", "Update", "v1")
        for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
            self.create(NAMESPACE, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager)

    def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """The object in the version asked for.

        Raises:
            StatusError: 404.
        """
        return _in_version(kind, self._existing(kind, namespace, name).body)

    def list(self, kind: Kind, namespace: str) -> Iterator[Stored]:
        """All objects of a kind, of one namespace unless it is empty, sorted as etcd does."""
        for stored in self._objects[kind.key].ordered():
            if not namespace or stored.body["metadata"]["namespace"] == namespace:
                yield stored

    def create(self, kind: Kind, namespace: str, body: Body, manager: Manager, *, dry_run: bool = False) -> Written:
        """POST."""
        name = admission.checked_name(kind, namespace, body)
        if admission.version_of(body["metadata"]):
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        if self.find(kind, namespace, name):
            raise statuses.already_exists(kind.plural, kind.group, name)
        new = defaults.filled(kind, admission.fresh(kind, namespace, body))
        kept = self._given(kind, body, {})
        managers = ownership.updated(kind, {}, new, kept, manager, now=rfc3339(now()))
        return self._write(kind, namespace, name, None, Stored(new, managers), dry_run)

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        body: Body,
        manager: Manager,
        *,
        patch: bool = False,
        dry_run: bool = False,
    ) -> Written:
        """PUT, and every patch that is no apply, with the whole new object. `manager.subresource` is "" or "status"."""
        stored = self._existing(kind, namespace, name)
        if admission.checked_name(kind, namespace, body) != name:
            found = body["metadata"].get("name")
            raise statuses.bad_request(f"the name of the object ({found}) does not match the name on the URL ({name})")
        live, meta = stored.body, body["metadata"]
        if not patch and meta.get("uid") and meta["uid"] != live["metadata"]["uid"]:
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {live['metadata']['uid']}"
            raise statuses.conflict(kind.plural, kind.group, name, why)
        if not patch and not kind.unconditional and not admission.version_of(meta):
            cause = Cause(
                "FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion"
            )
            raise statuses.invalid(kind.kind, kind.group, name, [cause])
        admission.precondition(kind, name, meta, live)
        new = defaults.filled(kind, admission.over(kind, live, body, manager.subresource))
        kept = stored.managers if manager.subresource else self._given(kind, body, stored.managers)
        # An object that nobody owns stays so until it is applied.
        managers = ownership.updated(kind, live, new, kept, manager, now=rfc3339(now())) if kept else kept
        return self._write(kind, namespace, name, stored, Stored(new, managers), dry_run)

    def apply(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        config: Body,
        manager: Manager,
        *,
        force: bool,
        dry_run: bool = False,
    ) -> Written:
        """PATCH with server-side apply."""
        wanted, mine = admission.checked_config(kind, namespace, name, config)
        meta, moment = config["metadata"], rfc3339(now())
        version = admission.version_of(meta)
        stored = self.find(kind, namespace, name)
        if stored is None and meta.get("uid"):
            why = f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found"
            raise statuses.conflict(kind.plural, kind.group, name, why)
        live, managers = (stored.body, stored.managers) if stored else ({}, {})
        if stored and not managers:
            managers = ownership.before_first_apply(kind, live, now=moment)
        merged, left = ownership.applied(kind, live, managers, wanted, mine, manager, force=force, now=moment)
        if stored:
            admission.precondition(kind, name, meta, live)
        new = defaults.filled(kind, merged if stored else admission.fresh(kind, namespace, merged))
        written = self._write(kind, namespace, name, stored, Stored(new, left), dry_run)
        if dry_run and not stored and version:
            written.body["metadata"]["resourceVersion"] = version
        return written

    def delete(
        self, kind: Kind, namespace: str, name: str, options: Body, *, dry_run: bool = False
    ) -> tuple[bool, Body]:
        """(gone, last state). With finalizers the object stays, marked."""
        stored = self._existing(kind, namespace, name)
        live = stored.body["metadata"]
        conditions = options.get("preconditions") or {}
        for key, word, perhaps in _GUARDED:
            if conditions.get(key) and conditions[key] != live[key]:
                why = f"the {word} in the precondition ({conditions[key]}) does not match the {word} in record ({live[key]}). {perhaps}"
                raise statuses.conflict(kind.kind, kind.group, name, why)
        if kind is NAMESPACE and name in _KEPT:
            raise statuses.forbidden(kind.plural, kind.group, name, "this namespace may not be deleted")
        if not live.get("finalizers") and kind is not NAMESPACE:
            if not dry_run:
                self.remove(kind, namespace, name)
            return True, stored.body
        if live.get("deletionTimestamp"):
            return False, _in_version(kind, stored.body)
        marked = _marked(kind, stored.body)
        if not dry_run:
            self._put(kind, namespace, name, Stored(marked, stored.managers))
        return False, _in_version(kind, marked)

    def find(self, kind: Kind, namespace: str, name: str) -> Stored | None:
        return self._objects[kind.key].rows.get((namespace, name))

    def tables(self) -> tuple[tuple[str, str], ...]:
        """(group, plural) of everything that was ever stored."""
        return tuple(self._objects)

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        gone = self._objects[kind.key].pop((namespace, name))
        self.version += 1
        self.changed(Change(kind, namespace, name, gone.body, None))

    def remove_all(self, kind: Kind, namespace: str) -> None:
        """Everything of a kind in a namespace, finalizers or not."""
        for key in [key for key in self._objects[kind.key].rows if key[0] == namespace]:
            self.remove(kind, *key)

    def forget(self, key: tuple[str, str]) -> None:
        """All objects of a custom kind that is no more."""
        self._objects.pop(key, None)

    def set_status(self, kind: Kind, namespace: str, name: str, status: Body, who: str) -> None:
        """Write the status as a controller does; nothing when the object is gone or says so already."""
        live = self.find(kind, namespace, name)
        if live and live.body.get("status") != status:
            body = {**live.body, "status": status}
            self.update(kind, namespace, name, body, Manager(who, "Update", kind.api_version, "status"), patch=True)

    def _existing(self, kind: Kind, namespace: str, name: str) -> Stored:
        stored = self.find(kind, namespace, name)
        if stored is None:
            raise statuses.not_found(kind.plural, kind.group, name)
        return stored

    def _given(self, kind: Kind, body: Body, kept: Managers) -> Managers:
        rows = body["metadata"].get("managedFields")
        return managed.given(rows, kept, lambda version: self.registry.serves(kind, version))

    def _write(self, kind: Kind, namespace: str, name: str, old: Stored | None, new: Stored, dry_run: bool) -> Written:
        addressed = defaults.addressed(kind, old.body if old else None, new.body, self.version + 1)
        if addressed is not new.body:
            new = Stored(addressed, new.managers)
        self._admit(kind, namespace, name, old, new.body)
        body = new.body = {**new.body, "metadata": dict(new.body["metadata"])}
        meta = body["metadata"]
        if old is None:
            _born(kind, body)
        elif ownership.alike(new.managers, old.managers) and _bare(body) == _bare(old.body):
            return Written(_in_version(kind, old.body), False, warned.texts(kind, old.body, old.body))
        else:
            if kind.generation in {"spec", "content"} and _content(kind, body) != _content(kind, old.body):
                meta["generation"] = old.body["metadata"].get("generation", 0) + 1
            meta["resourceVersion"] = old.body["metadata"]["resourceVersion"]
        meta["managedFields"] = managed.encoded(new.managers)
        if not meta["managedFields"]:
            del meta["managedFields"]
        if dry_run:
            pass
        elif meta.get("deletionTimestamp") and not meta.get("finalizers") and kind is not NAMESPACE:
            self.remove(kind, namespace, name)
        else:
            self._put(kind, namespace, name, new)
        return Written(_in_version(kind, body), old is None, warned.texts(kind, old.body if old else None, body))

    def _admit(self, kind: Kind, namespace: str, name: str, old: Stored | None, new: Body) -> None:
        if old is None and kind.namespaced:
            home = self.find(NAMESPACE, "", namespace)
            if home is None:
                raise statuses.not_found("namespaces", "", namespace)
            if home.body["metadata"].get("deletionTimestamp"):
                why = f"unable to create new content in namespace {namespace} because it is being terminated"
                raise statuses.forbidden(kind.plural, kind.group, name, why)
        causes = immutable.refused(kind, old.body if old else None, new)
        if kind is CRD:
            spec = new.get("spec") or {}
            if name != f"{(spec.get('names') or {}).get('plural')}.{spec.get('group')}":
                message = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
                causes.append(Cause("FieldValueInvalid", message, "metadata.name"))
        if causes:
            raise statuses.invalid(kind.kind, kind.group, name, causes)

    def _put(self, kind: Kind, namespace: str, name: str, stored: Stored) -> None:
        self.version += 1
        stored.body["metadata"]["resourceVersion"] = str(self.version)
        old = self.find(kind, namespace, name)
        self._objects[kind.key].put((namespace, name), stored)
        self.changed(Change(kind, namespace, name, old.body if old else None, stored.body))


def _born(kind: Kind, body: Body) -> None:
    """What the server adds once ownership is settled; changes the body."""
    meta = body["metadata"]
    meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": rfc3339(now())}
    if kind.generation != "none":
        meta["generation"] = 1
    if kind is NAMESPACE:
        body |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


def _marked(kind: Kind, live: Body) -> Body:
    meta = {**live["metadata"], "deletionTimestamp": rfc3339(now()), "deletionGracePeriodSeconds": 0}
    if "generation" in meta:
        meta["generation"] += 1
    body = {**live, "metadata": meta}
    if kind is NAMESPACE:
        del meta["deletionGracePeriodSeconds"]
        body["status"] = {**body.get("status", {}), "phase": "Terminating"}
    return body


def _in_version(kind: Kind, body: Body) -> Body:
    return body if body.get("apiVersion") == kind.api_version else {**body, "apiVersion": kind.api_version}


def _bare(body: Body) -> Body:
    meta = {key: value for key, value in body["metadata"].items() if key not in {"managedFields", "resourceVersion"}}
    return {**body, "metadata": meta}


def _content(kind: Kind, body: Body) -> Any:
    if kind.generation == "spec":
        return body.get("spec")
    return {key: value for key, value in body.items() if key != "metadata" and (key != "status" or not kind.status)}
