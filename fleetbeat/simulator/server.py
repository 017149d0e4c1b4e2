"""One simulated API server: from a request to an answer. Everything that the contract suite does not cover is answered 501."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import yaml
from aiohttp import web

from fleetbeat.simulator import admission, discovery, lists, patches, statuses, warned
from fleetbeat.simulator.controllers import Controllers
from fleetbeat.simulator.fields import Body
from fleetbeat.simulator.kinds import GROUPS, Kind
from fleetbeat.simulator.knobs import Knobs, Traffic
from fleetbeat.simulator.managed import Manager
from fleetbeat.simulator.registry import Registry
from fleetbeat.simulator.statuses import StatusError
from fleetbeat.simulator.storage import Storage, Written

VERSION = {"major": "1", "minor": "37", "gitVersion": "v1.37.0+simulated", "platform": "simulated"}
APPLY, MERGE, JSON_PATCH = "application/apply-patch+yaml", "application/merge-patch+json", "application/json-patch+json"
LARGEST_BODY = 3 * 1024 * 1024
_QUERY = frozenset(
    {"labelSelector", "limit", "continue", "dryRun", "fieldManager", "force", "fieldValidation", "propagationPolicy",
     "gracePeriodSeconds", "resourceVersion", "resourceVersionMatch", "timeout", "pretty"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names."""

    kind: Kind
    namespace: str
    name: str
    subresource: str


class ClusterServer:
    """The state of one cluster and its door. `handle` is called with the path below the cluster's own prefix."""

    def __init__(self, name: str, token: str, knobs: Knobs) -> None:
        self.name, self.token, self.knobs = name, token, knobs
        self.traffic = Traffic()
        loop = asyncio.get_running_loop()
        self.registry = Registry(knobs)
        self.storage = Storage(self.registry)
        self.storage.changed = Controllers(self.storage, self.registry, knobs, loop.call_later).changed

    async def handle(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """The answer to one request; refusals are Kubernetes' Status objects."""
        self.traffic.add(_verb(request, path), path)
        if self.knobs.latency:
            await asyncio.sleep(self.knobs.latency)
        if self.knobs.unreachable or self.knobs.due("fail_at"):
            return _hang_up(request)
        answer = await self._answered(request, path)
        return _hang_up(request) if self.knobs.due("lose_answer_at") else answer

    async def _answered(self, request: web.BaseRequest, path: str) -> web.Response:
        try:
            if self.knobs.fail_requests > 0:
                self.knobs.fail_requests -= 1
                raise _fault(self.knobs.fail_status)
            given = request.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
                raise StatusError(401, "Unauthorized", "Unauthorized")
            if any(name.lower().startswith("impersonate-") for name in request.headers):
                raise statuses.not_covered("impersonation")
            return self._answer(request, path, await _body(request))
        except StatusError as error:
            if error.text is not None:
                return web.Response(text=error.text, status=error.code)
            headers = {"Retry-After": "1"} if error.code == 429 else None
            return _json(error.body, error.code, headers)

    def _answer(self, request: web.BaseRequest, path: str, body: bytes) -> web.Response:
        if path in {"/healthz", "/livez", "/readyz"}:
            return web.Response(text="ok")
        if path == "/version":
            return _json(VERSION)
        if path in {"/api", "/apis"}:
            return self._discovery(request, core=path == "/api")
        target = self._target(path)
        unknown = sorted(set(request.query) - _QUERY)
        if unknown:
            raise statuses.not_covered(f"the query parameter {unknown[0]}")
        dry_run = _dry_run(request.query.get("dryRun"))
        match request.method, bool(target.name):
            case "GET", True:
                return _json(self.storage.get(target.kind, target.namespace, target.name))
            case "GET", False:
                wanted = lists.wanted(request.query, request.headers.get("Accept", ""))
                return _json(lists.page(self.storage, target.kind, target.namespace, wanted))
            case "POST", False:
                if target.kind.namespaced and not target.namespace:
                    raise statuses.not_allowed()
                manager = _manager(request, target, "Update")
                found, warnings = _known(request, target, _object(target, body))
                made = self.storage.create(target.kind, target.namespace, found, manager, dry_run=dry_run)
                return _written(made, warnings)
            case "PUT", True:
                manager = _manager(request, target, "Update")
                found, warnings = _known(request, target, _object(target, body))
                where = (target.kind, target.namespace, target.name)
                return _written(self.storage.update(*where, found, manager, dry_run=dry_run), warnings)
            case "PATCH", True:
                return self._patch(request, target, body, dry_run)
            case "DELETE", True:
                return self._delete(request, target, body)
            case method, named:
                raise statuses.not_covered(f"{method} of {'an object' if named else 'a collection'}")

    def _discovery(self, request: web.BaseRequest, *, core: bool) -> web.Response:
        if "as=APIGroupDiscoveryList" not in request.headers.get("Accept", ""):
            raise statuses.not_covered("discovery that is not aggregated")
        etag, body = discovery.document(self.registry, core=core)
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=body, headers={"ETag": etag, "Content-Type": discovery.CONTENT_TYPE, "Vary": "Accept"})

    def _target(self, path: str) -> Target:
        parts = path.strip("/").split("/")
        if parts[0] == "api" and len(parts) >= 3:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[0] == "apis" and len(parts) >= 4:
            group, version, rest = parts[1], parts[2], parts[3:]
        elif parts[0] in {"api", "apis"}:
            raise statuses.not_covered("discovery of one group")
        else:
            raise statuses.not_covered(f"the path {path}")
        if (group, version) in self.registry.stale():
            raise StatusError(503, "", "service unavailable", text="service unavailable\n")
        namespace = ""
        if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in {"status", "finalize"}:
            namespace, rest = rest[1], rest[2:]
        kind = self.registry.find(group, version, rest[0])
        if kind is None or kind.namespaced < bool(namespace):
            raise statuses.no_such_resource() if group in GROUPS else statuses.no_such_page()
        name, subresource = (*rest[1:], "", "")[:2]
        if len(rest) > 3 or (subresource and not (subresource == "status" and kind.status)):
            raise statuses.not_covered(f"the subresource {'/'.join(rest[2:])}")
        if name and kind.namespaced and not namespace:
            raise statuses.no_such_page() if kind.custom else statuses.no_such_resource()
        return Target(kind, namespace, name, subresource)

    def _patch(self, request: web.BaseRequest, target: Target, body: bytes, dry_run: bool) -> web.Response:
        content = request.headers.get("Content-Type", "").partition(";")[0]
        where = (target.kind, target.namespace, target.name)
        if content == APPLY and not target.subresource:
            name = request.query.get("fieldManager")
            if not name:
                message = "is required for apply patch"
                raise StatusError(
                    422,
                    "Invalid",
                    f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: {message}',
                    {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": [
                        {"reason": "FieldValueRequired", "message": f"Required value: {message}", "field": "fieldManager"}
                    ]},
                )  # fmt: skip
            manager = Manager(name, "Apply", target.kind.api_version)
            force = request.query.get("force") == "true"
            return _written(self.storage.apply(*where, _parsed(body), manager, force=force, dry_run=dry_run))
        if content not in {MERGE, JSON_PATCH}:
            raise statuses.not_covered(
                f"a patch of type {content}" + (" to a subresource" if target.subresource else "")
            )
        manager = _manager(request, target, "Update")
        live = self.storage.get(*where)
        if content == JSON_PATCH:
            patched = patches.patched(live, _operations(body))
        else:
            patched = patches.merged(live, _parsed(body))
        patched, warnings = _known(request, target, patched)
        return _written(self.storage.update(*where, patched, manager, patch=True, dry_run=dry_run), warnings)

    def _delete(self, request: web.BaseRequest, target: Target, body: bytes) -> web.Response:
        # With a body, what the query says does not count.
        query = request.query
        options = _parsed(body) if body else {"dryRun": query.getall("dryRun", []), **_only(query, "propagationPolicy")}
        dry_run = any(_dry_run(value) for value in options.get("dryRun") or [])
        policy = options.get("propagationPolicy")
        if policy not in {None, "Background"}:
            raise statuses.not_covered(f"the propagation policy {policy}")
        kind = target.kind
        gone, last = self.storage.delete(kind, target.namespace, target.name, options, dry_run=dry_run)
        if gone:
            return _json(statuses.success(target.name, kind.group, kind.plural, last["metadata"]["uid"]))
        return _json(last)


def _verb(request: web.BaseRequest, path: str) -> str:
    if request.method == "PATCH":
        return "apply" if request.headers.get("Content-Type", "").startswith(APPLY) else "patch"
    parts = path.strip("/").split("/")
    named = len(parts) % 2 == (0 if parts[0] == "api" else 1) and len(parts) > 3
    if request.method == "GET":
        return "get" if named or len(parts) < 3 else "list"
    return {"POST": "create", "PUT": "update", "DELETE": "delete"}.get(request.method, request.method.lower())


async def _body(request: web.BaseRequest) -> bytes:
    body = await request.content.read(LARGEST_BODY + 1)
    while len(body) <= LARGEST_BODY and (more := await request.content.read(LARGEST_BODY + 1 - len(body))):
        body += more
    if len(body) > LARGEST_BODY:
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LARGEST_BODY}")
    return body


def _parsed(body: bytes) -> Body:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            found = yaml.load(body, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as error:
            raise statuses.bad_request(f"error decoding YAML: {error}") from None
    if not isinstance(found, dict):
        raise statuses.bad_request("the body is no object")
    return found


def _object(target: Target, body: bytes) -> Body:
    found = _parsed(body)
    kind = target.kind
    found.setdefault("apiVersion", kind.api_version)
    found.setdefault("kind", kind.kind)
    if (found["apiVersion"], found["kind"]) != (kind.api_version, kind.kind):
        raise statuses.bad_request(
            f"{found['kind']} in version {str(found['apiVersion'])!r} cannot be handled as a {kind.kind}: no kind matches"
        )
    return found


def _known(request: web.BaseRequest, target: Target, body: Body) -> tuple[Body, tuple[str, ...]]:
    """The object without top-level fields that its kind does not have, and the warnings of them."""
    unknown = admission.unknown(target.kind, body)
    if not unknown:
        return body, ()
    texts = tuple(warned.unknown_field(name) for name in unknown)
    validation = request.query.get("fieldValidation") or "Warn"
    if validation == "Strict":
        raise statuses.unknown_fields(
            target.kind.kind, target.kind.version, body, texts, patch=request.method == "PATCH"
        )
    known = {name: value for name, value in body.items() if name not in unknown}
    return known, texts if validation == "Warn" else ()


def _manager(request: web.BaseRequest, target: Target, operation: str) -> Manager:
    agent = request.headers.get("User-Agent", "unknown").partition("/")[0]
    name = request.query.get("fieldManager") or agent
    return Manager(name[:128], operation, target.kind.api_version, target.subresource)


def _dry_run(value: str | None) -> bool:
    if value not in {None, "All"}:
        raise StatusError(422, "Invalid", f'dryRun: Unsupported value: "{value}": supported values: "All"')
    return value == "All"


def _operations(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise statuses.bad_request("invalid JSON patch") from None


def _only(query: Mapping[str, str], name: str) -> Body:
    return {name: query[name]} if name in query else {}


def _hang_up(request: web.BaseRequest) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()


def _fault(code: int) -> StatusError:
    if code == 429:
        return StatusError(429, "TooManyRequests", "too many requests, please try again later")
    if code == 503:
        return StatusError(503, "ServiceUnavailable", "the server is currently unable to handle the request")
    return StatusError(code, "InternalError", "an error on the server has prevented the request from succeeding")


def _written(written: Written, warnings: tuple[str, ...] = ()) -> web.Response:
    answer = _json(written.body, 201 if written.created else 200)
    for text in (*warnings, *written.warnings):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        answer.headers.add("Warning", f'299 - "{escaped}"')
    return answer


def _json(body: Body, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps(body), status=status, headers={"Content-Type": "application/json", **(headers or {})}
    )
