"""The objects of one simulated cluster: versions, generations, finalizers, namespaces, custom kinds, and a few controllers.

Everything runs on the simulator's loop, so a call is a transaction. Bodies that were handed out are never changed afterwards.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from fleetbeat.simulator import fields, ownership, statuses
from fleetbeat.simulator.fields import Body
from fleetbeat.simulator.kinds import API_SERVICE, BUILT_IN, CRD, NAMESPACE, Kind
from fleetbeat.simulator.knobs import Knobs
from fleetbeat.simulator.ownership import Manager, Managers
from fleetbeat.simulator.statuses import StatusError
from shared.clock import now, rfc3339

Name = tuple[str, str]
"""(namespace, name); the namespace is empty for cluster-wide kinds."""
Later = Callable[[float, Callable[[], None]], object]

_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_FREE_NAME = frozenset({"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"})
_WORKLOADS = frozenset({("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet")})
_SERVER_WRITTEN = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "deletionTimestamp")


@dataclass(slots=True)
class _Stored:
    body: Body
    managers: Managers


@dataclass(slots=True)
class Storage:
    """One cluster. `later(seconds, call)` runs controllers on the loop."""

    knobs: Knobs
    later: Later
    version: int = 100
    registry: dict[tuple[str, str, str], Kind] = field(default_factory=dict)
    dead: dict[tuple[str, str], str] = field(default_factory=dict)
    """(group, version) of APIServices whose Service does not exist, and the name of each."""
    epoch: int = 0
    """Moves whenever discovery does."""
    _objects: dict[tuple[str, str], dict[Name, _Stored]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in BUILT_IN:
            self.registry[kind.group, kind.version, kind.plural] = kind
        manager = Manager("kube-apiserver", "Update", "v1")
        for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
            self.create(NAMESPACE, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager)

    def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """The object in the version asked for.

        Raises:
            StatusError: 404.
        """
        stored = self._find(kind, namespace, name)
        if stored is None:
            raise statuses.not_found(kind.plural, kind.group, name)
        return _in_version(kind, stored.body)

    def list(self, kind: Kind, namespace: str) -> Iterator[Body]:
        """All objects of a kind, of one namespace unless it is empty, sorted as etcd does."""
        table = self._objects.get(kind.key, {})
        for key in sorted(table):
            if not namespace or key[0] == namespace:
                yield _in_version(kind, table[key].body)

    def create(self, kind: Kind, namespace: str, body: Body, manager: Manager, *, dry_run: bool = False) -> Body:
        """POST."""
        name = _checked(kind, namespace, body)
        if self._find(kind, namespace, name):
            raise statuses.already_exists(kind.plural, kind.group, name)
        new = _fresh(kind, namespace, body)
        managers = ownership.updated(kind, None, {}, new, manager, now=rfc3339(now()))
        return self._write(kind, namespace, name, None, new, managers, dry_run)

    def update(
        self, kind: Kind, namespace: str, name: str, body: Body, manager: Manager, *, dry_run: bool = False
    ) -> Body:
        """PUT, and every patch that is no apply, with the whole new object. `manager.subresource` is "" or "status"."""
        stored = self._find(kind, namespace, name)
        if stored is None:
            raise statuses.not_found(kind.plural, kind.group, name)
        if _checked(kind, namespace, body) != name:
            message = (
                f"the name of the object ({body['metadata'].get('name')}) does not match the name on the URL ({name})"
            )
            raise statuses.bad_request(message)
        live, meta = stored.body, body["metadata"]
        wanted = meta.get("resourceVersion")
        if not wanted and not kind.unconditional:
            message = "must be specified for an update"
            raise statuses.invalid(
                kind.kind,
                kind.group,
                name,
                "metadata.resourceVersion",
                "FieldValueInvalid",
                f"Invalid value: 0: {message}",
            )
        if wanted and wanted != live["metadata"]["resourceVersion"]:
            raise statuses.conflict(kind.plural, kind.group, name, statuses.MODIFIED)
        if meta.get("uid") and meta["uid"] != live["metadata"]["uid"]:
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {live['metadata']['uid']}"
            raise statuses.conflict(kind.plural, kind.group, name, why)
        new = _over(kind, live, body, manager.subresource)
        managers = ownership.updated(kind, live, stored.managers, new, manager, now=rfc3339(now()))
        return self._write(kind, namespace, name, stored, new, managers, dry_run)

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
    ) -> tuple[bool, Body]:
        """PATCH with server-side apply: (created, object)."""
        if config.get("apiVersion") != kind.api_version or config.get("kind") != kind.kind:
            raise statuses.bad_request(
                f"invalid object type: {config.get('apiVersion')}, Kind={config.get('kind')}, want {kind.api_version}, Kind={kind.kind}"
            )
        meta = config.setdefault("metadata", {})
        if not isinstance(meta, dict):
            raise statuses.bad_request("metadata must be an object")
        meta.setdefault("name", name)
        if _checked(kind, namespace, config) != name:
            raise statuses.bad_request("metadata.name does not match the name on the URL")
        if meta.get("managedFields"):
            raise statuses.bad_request("metadata.managedFields must be nil")
        _check_fields(kind, namespace, name, config)
        stored = self._find(kind, namespace, name)
        live, managers = (stored.body, stored.managers) if stored else (None, {})
        wanted_version = meta.get("resourceVersion")
        if wanted_version and (live is None or live["metadata"]["resourceVersion"] != wanted_version):
            raise statuses.conflict(kind.plural, kind.group, name, statuses.MODIFIED)
        asked = {**config, "metadata": {key: value for key, value in meta.items() if key not in _SERVER_WRITTEN}}
        base = (
            None
            if live is None
            else {**live, "metadata": {key: value for key, value in live["metadata"].items() if key != "managedFields"}}
        )
        merged, left = ownership.applied(kind, base, managers, asked, manager, force=force, now=rfc3339(now()))
        new = _fresh(kind, namespace, merged) if live is None else merged
        return live is None, self._write(kind, namespace, name, stored, new, left, dry_run)

    def delete(
        self, kind: Kind, namespace: str, name: str, options: Body, *, dry_run: bool = False
    ) -> tuple[bool, Body]:
        """(gone, last state). With finalizers the object stays, marked."""
        stored = self._find(kind, namespace, name)
        if stored is None:
            raise statuses.not_found(kind.plural, kind.group, name)
        live = stored.body
        conditions = options.get("preconditions") or {}
        for key, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if conditions.get(key) and conditions[key] != live["metadata"][key]:
                why = f"{word} in precondition: {conditions[key]}, {word} in object meta: {live['metadata'][key]}"
                raise statuses.conflict(kind.plural, kind.group, name, f"Precondition failed: {why}")
        if kind is NAMESPACE and name in {"default", "kube-system", "kube-public"}:
            raise StatusError(403, "Forbidden", f'namespaces "{name}" is forbidden: this namespace may not be deleted')
        stays = bool(live["metadata"].get("finalizers")) or kind is NAMESPACE
        if dry_run or live["metadata"].get("deletionTimestamp"):
            return not stays, live
        if not stays:
            self._drop(kind, (namespace, name))
            return True, live
        marked = deepcopy(live)
        marked["metadata"] |= {"deletionTimestamp": rfc3339(now()), "deletionGracePeriodSeconds": 0}
        if kind is NAMESPACE:
            marked["status"] = {**marked.get("status", {}), "phase": "Terminating"}
            if self.knobs.namespace_removal >= 0:
                self.later(self.knobs.namespace_removal, lambda: self._remove_namespace(name))
        self._put(kind, (namespace, name), _Stored(marked, stored.managers))
        return False, marked

    def served(self) -> Iterator[Kind]:
        """Every kind that discovery shows."""
        return iter(self.registry.values())

    def stale(self) -> set[tuple[str, str]]:
        """(group, version) that are listed and do not answer."""
        return self.knobs.stale_groups | set(self.dead)

    def _find(self, kind: Kind, namespace: str, name: str) -> _Stored | None:
        return self._objects.get(kind.key, {}).get((namespace, name))

    def _write(
        self, kind: Kind, namespace: str, name: str, old: _Stored | None, new: Body, managers: Managers, dry_run: bool
    ) -> Body:
        self._admit(kind, namespace, name, old, new)
        meta = new["metadata"]
        if old is None:
            meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": rfc3339(now())}
            if kind.generation != "none":
                meta["generation"] = 1
        else:
            if managers == old.managers and _bare(new) == _bare(old.body):
                return _in_version(kind, old.body)
            if kind.generation in {"spec", "content"} and _content(kind, new) != _content(kind, old.body):
                meta["generation"] = old.body["metadata"].get("generation", 0) + 1
        meta["managedFields"] = ownership.encoded(managers)
        if dry_run:
            meta["resourceVersion"] = old.body["metadata"]["resourceVersion"] if old else ""
            if not old:
                del meta["resourceVersion"]
            return _in_version(kind, new)
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and kind is not NAMESPACE:
            self._drop(kind, (namespace, name))
            return _in_version(kind, new)
        self._put(kind, (namespace, name), _Stored(new, managers))
        self._react(kind, namespace, name, new, old.body if old else None)
        return _in_version(kind, new)

    def _admit(self, kind: Kind, namespace: str, name: str, old: _Stored | None, new: Body) -> None:
        if old is None and kind.namespaced:
            home = self._find(NAMESPACE, "", namespace)
            if home is None:
                raise statuses.not_found("namespaces", "", namespace)
            if home.body["metadata"].get("deletionTimestamp"):
                why = f"unable to create new content in namespace {namespace} because it is being terminated"
                raise StatusError(
                    403,
                    "Forbidden",
                    f'{kind.plural} "{name}" is forbidden: {why}',
                    statuses.details(name, kind.group, kind.plural),
                )
        if kind is CRD:
            spec = new.get("spec") or {}
            right = f"{(spec.get('names') or {}).get('plural')}.{spec.get('group')}"
            if name != right:
                message = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
                raise statuses.invalid(kind.kind, kind.group, name, "metadata.name", "FieldValueInvalid", message)

    def _react(self, kind: Kind, namespace: str, name: str, new: Body, old: Body | None) -> None:
        if kind is CRD:
            self.later(self.knobs.established_after, lambda: self._establish(name))
        elif kind is API_SERVICE:
            self._register_service(new)
        elif (kind.group, kind.kind) in _WORKLOADS and self.knobs.ready_after >= 0:
            moved = old is None or old["metadata"].get("generation") != new["metadata"]["generation"]
            if moved:
                self.later(self.knobs.ready_after, lambda: self._make_ready(kind, namespace, name))

    def _put(self, kind: Kind, key: Name, stored: _Stored) -> None:
        self.version += 1
        stored.body["metadata"]["resourceVersion"] = str(self.version)
        self._objects.setdefault(kind.key, {})[key] = stored

    def _drop(self, kind: Kind, key: Name) -> None:
        gone = self._objects[kind.key].pop(key)
        self.version += 1
        if kind is CRD:
            spec = gone.body["spec"]
            self._objects.pop((spec["group"], spec["names"]["plural"]), None)
            for served in [k for k in self.registry if k[0] == spec["group"] and k[2] == spec["names"]["plural"]]:
                del self.registry[served]
            self.epoch += 1
        elif kind is API_SERVICE:
            spec = gone.body["spec"]
            self.dead.pop((spec.get("group", ""), spec.get("version", "")), None)
            self.epoch += 1

    def _remove_namespace(self, name: str) -> None:
        for (group, plural), table in self._objects.items():
            kind = next((k for k in self.registry.values() if k.key == (group, plural)), None)
            if kind and kind.namespaced:
                for key in [key for key in table if key[0] == name]:
                    self._drop(kind, key)
        if self._find(NAMESPACE, "", name):
            self._drop(NAMESPACE, ("", name))

    def _establish(self, name: str) -> None:
        stored = self._find(CRD, "", name)
        if stored is None:
            return
        spec = stored.body["spec"]
        names = spec["names"]
        for version in spec.get("versions") or []:
            key = (spec["group"], version["name"], names["plural"])
            self.registry.pop(key, None)
            if version.get("served"):
                properties = ((version.get("schema") or {}).get("openAPIV3Schema") or {}).get("properties")
                self.registry[key] = Kind(
                    spec["group"],
                    version["name"],
                    names["kind"],
                    names["plural"],
                    namespaced=spec.get("scope") == "Namespaced",
                    generation="content",
                    status="status" in (version.get("subresources") or {}),
                    custom=True,
                    unconditional=False,
                    fields=frozenset(properties) - {"apiVersion", "kind", "metadata"} if properties else None,
                    singular=names.get("singular") or names["kind"].lower(),
                    short_names=tuple(names.get("shortNames") or ()),
                )
        self.epoch += 1
        conditions = [
            {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"},
            {
                "type": "Established",
                "status": "True",
                "reason": "InitialNamesAccepted",
                "message": "the initial names have been accepted",
            },
        ]
        stored_versions = [version["name"] for version in spec.get("versions") or [] if version.get("storage")]
        status = {"conditions": conditions, "acceptedNames": names, "storedVersions": stored_versions}
        self._set_status(CRD, "", name, status, "kube-apiserver")

    def _register_service(self, body: Body) -> None:
        spec = body.get("spec") or {}
        where, service = (spec.get("group", ""), spec.get("version", "")), spec.get("service")
        # No aggregated API server is simulated, so a Service behind an APIService never answers.
        self.dead.pop(where, None)
        if service:
            self.dead[where] = body["metadata"]["name"]
            message = f'service/{service.get("name")} in "{service.get("namespace")}" is not present'
            condition = {"type": "Available", "status": "False", "reason": "ServiceNotFound", "message": message}
            name = body["metadata"]["name"]
            self.later(
                0, lambda: self._set_status(API_SERVICE, "", name, {"conditions": [condition]}, "kube-apiserver")
            )
        self.epoch += 1

    def _make_ready(self, kind: Kind, namespace: str, name: str) -> None:
        stored = self._find(kind, namespace, name)
        if stored is None:
            return
        generation = stored.body["metadata"]["generation"]
        replicas = (stored.body.get("spec") or {}).get("replicas", 1)
        status: Body = {"observedGeneration": generation}
        if kind.kind == "DaemonSet":
            for key in ("currentNumberScheduled", "desiredNumberScheduled", "numberAvailable", "numberReady"):
                status[key] = 1
            status |= {"numberMisscheduled": 0, "updatedNumberScheduled": 1}
        else:
            for key in ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"):
                status[key] = replicas
        if kind.kind == "Deployment":
            status["conditions"] = [
                {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            ]
        if kind.kind == "StatefulSet":
            status |= {"currentReplicas": replicas, "currentRevision": "1", "updateRevision": "1"}
        self._set_status(kind, namespace, name, status, "kube-controller-manager")

    def _set_status(self, kind: Kind, namespace: str, name: str, status: Body, who: str) -> None:
        live = self._find(kind, namespace, name)
        if live and live.body.get("status") != status:
            manager = Manager(who, "Update", kind.api_version, "status")
            new = {**deepcopy(live.body), "status": status}
            managers = ownership.updated(kind, live.body, live.managers, new, manager, now=rfc3339(now()))
            new["metadata"]["managedFields"] = ownership.encoded(managers)
            self._put(kind, (namespace, name), _Stored(new, managers))


def _checked(kind: Kind, namespace: str, body: Body) -> str:
    meta = body.get("metadata")
    if not isinstance(meta, dict) or not meta.get("name"):
        if isinstance(meta, dict) and meta.get("generateName"):
            raise statuses.not_covered("generateName")
        raise statuses.invalid(
            kind.kind,
            kind.group,
            "",
            "metadata.name",
            "FieldValueRequired",
            "Required value: name or generateName is required",
        )
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
        raise statuses.invalid(kind.kind, kind.group, name, "metadata.name", "FieldValueInvalid", message)
    if kind.group == "" and kind.kind == "Secret" and "stringData" in body:
        raise statuses.not_covered("stringData of Secrets")
    return name


def _check_fields(kind: Kind, namespace: str, name: str, config: Body) -> None:
    problem = next(
        (
            f".{key}: field not declared in schema"
            for key in config
            if kind.fields is not None and key not in kind.fields | {"apiVersion", "kind", "metadata"}
        ),
        None,
    ) or fields.duplicate(kind, config)
    if problem:
        raise statuses.untyped(name, namespace, kind.kind, kind.group, kind.version, problem)


def _fresh(kind: Kind, namespace: str, body: Body) -> Body:
    new = deepcopy(body)
    meta = {key: value for key, value in new["metadata"].items() if key not in _SERVER_WRITTEN}
    if kind.namespaced:
        meta["namespace"] = namespace
    else:
        meta.pop("namespace", None)
    if kind is NAMESPACE:
        meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta["name"]}
        new["spec"] = {"finalizers": ["kubernetes"]}
        new["status"] = {"phase": "Active"}
    elif kind.status:
        new.pop("status", None)
    new["metadata"] = meta
    return {"apiVersion": new.pop("apiVersion"), "kind": new.pop("kind"), "metadata": new.pop("metadata"), **new}


def _over(kind: Kind, live: Body, body: Body, subresource: str) -> Body:
    if subresource == "status":
        new = deepcopy(live)
        new.pop("status", None)
        return new | ({"status": deepcopy(body["status"])} if "status" in body else {})
    new = deepcopy(body)
    new["metadata"] |= {key: live["metadata"][key] for key in _SERVER_WRITTEN if key in live["metadata"]}
    if "generation" not in live["metadata"]:
        new["metadata"].pop("generation", None)
    if kind.namespaced:
        new["metadata"]["namespace"] = live["metadata"]["namespace"]
    if kind.status or kind is NAMESPACE:
        new.pop("status", None)
        if "status" in live:
            new["status"] = live["status"]
    new["apiVersion"], new["kind"] = live["apiVersion"], live["kind"]
    return new


def _in_version(kind: Kind, body: Body) -> Body:
    return body if body.get("apiVersion") == kind.api_version else {**body, "apiVersion": kind.api_version}


def _bare(body: Body) -> Body:
    meta = {key: value for key, value in body["metadata"].items() if key not in {"managedFields", "resourceVersion"}}
    return {**body, "metadata": meta}


def _content(kind: Kind, body: Body) -> Any:
    if kind.generation == "spec":
        return body.get("spec")
    return {key: value for key, value in body.items() if key != "metadata" and (key != "status" or not kind.status)}
