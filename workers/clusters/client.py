"""One API server: requests with a deadline, errors in our words, and for each Sync a view that counts what was asked."""

from __future__ import annotations

import asyncio
import copy
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
import orjson

from shared.errors import FleetbeatError
from shared.redaction import is_secret, without_values
from workers.clusters import discovery
from workers.clusters.credentials import Credentials
from workers.clusters.discovery import Kinds, Resource
from workers.clusters.errors import ClusterUnreachableError, ForbiddenError, NotFoundError, ServerError, translate

MANAGER = "fleetbeat"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_PAGE, FULL_PAGE = 5000, 500
ABSENT = "1"
"""A resourceVersion that no object has: an apply with it creates what is missing and is refused (409) where there is something."""
BUSY_SECONDS = 60.0
"""How long a request is put off because the API server says that it has too much to do (429 or 503 with Retry-After)."""
MOST_WARNINGS = 20
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')

Body = dict[str, Any]


@dataclass(slots=True)
class Traffic:
    """What one Sync asked of an API server, and what that warned of."""

    requests: Counter[str] = field(default_factory=Counter)
    warnings: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """The items of a list and the version of the store at which it was true."""

    items: list[Body]
    version: int


class ClusterClient:
    """Lives on the loop thread and keeps its connections. At most `concurrency` requests are in flight."""

    def __init__(
        self, name: str, credentials: Credentials, *, concurrency: int, connect: float, timeout: float
    ) -> None:
        self.name = name
        self.traffic = Traffic()
        self.account: str | None = None
        self._shared = _Connection(credentials, concurrency, aiohttp.ClientTimeout(total=timeout, sock_connect=connect))

    def seen_as(self, traffic: Traffic, account: str | None = None) -> Self:
        """The same connection for one Sync: its requests are counted there, and made as that service account.

        Args:
            traffic: Where requests and warnings are noted.
            account: `system:serviceaccount:<namespace>:<name>`, or None for the kubeconfig's own user.
        """
        view = copy.copy(self)
        view.traffic, view.account = traffic, account
        return view

    async def close(self) -> None:
        await self._shared.close()

    async def identity(self) -> str:
        """The uid of namespace kube-system, which no two clusters share; empty where the credentials may not read it."""
        known = self._shared.identity
        if known is None:
            try:
                _, body, _ = await self._send(
                    "GET", "/api/v1/namespaces/kube-system", "Namespace/kube-system", headers={"Accept": METADATA}
                )
                known = str((orjson.loads(body).get("metadata") or {}).get("uid") or "")
            except (NotFoundError, ForbiddenError):
                known = ""
            self._shared.identity = known
        return known

    async def discover(self) -> Kinds:
        """All kinds, asked anew each time; an unchanged answer costs the server a 304."""
        shared = self._shared
        moved = shared.kinds is None
        documents = []
        for path in ("/api", "/apis"):
            etag, known = shared.discovery.get(path, ("", {}))
            headers = {"Accept": discovery.ACCEPT} | ({"If-None-Match": etag} if etag else {})
            status, body, answer = await self._send("GET", path, "discovery", headers=headers)
            if status != 304:
                moved = True
                known = orjson.loads(body)
                shared.discovery[path] = (answer.get("ETag", ""), known)
            documents.append(known)
        if moved or shared.kinds is None:
            shared.kinds = discovery.parse(documents)
        return shared.kinds

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Body | None:
        """The object, or None when there is none."""
        try:
            _, body, _ = await self._send("GET", resource.path(namespace, name), _subject(resource, namespace, name))
        except NotFoundError:
            return None
        found: Body = orjson.loads(body)
        return found

    async def list_metadata(self, resource: Resource, selector: str, namespaces: Sequence[str] = ()) -> Listing:
        """Metadata of every object that the selector picks, consistent, page by page; in some namespaces or in all."""
        return await self._list(resource, selector, namespaces, {"Accept": METADATA_LIST}, METADATA_PAGE)

    async def list_full(
        self, resource: Resource, selector: str, namespaces: Sequence[str] = (), *, most: int | None = None
    ) -> Listing:
        """Every object that the selector picks, whole; kind and apiVersion are filled in, which a list leaves out."""
        found = await self._list(resource, selector, namespaces, {}, most or FULL_PAGE, one_page=most is not None)
        version = f"{resource.group}/{resource.version}" if resource.group else resource.version
        items = [{**item, "kind": resource.kind, "apiVersion": version} for item in found.items]
        return Listing(items, found.version)

    async def _list(
        self,
        resource: Resource,
        selector: str,
        namespaces: Sequence[str],
        headers: Mapping[str, str],
        page_size: int,
        *,
        one_page: bool = False,
    ) -> Listing:
        items: list[Body] = []
        version = 0
        places: Sequence[str | None] = namespaces if namespaces and resource.namespaced else [None]
        for place in places:
            query = {"labelSelector": selector, "limit": str(page_size)}
            while True:
                _, body, _ = await self._send(
                    "GET", resource.collection(place), f"list of {resource.plural}", query=query, headers=headers
                )
                page = orjson.loads(body)
                items += page.get("items") or []
                meta = page.get("metadata") or {}
                version = max(version, _number(meta.get("resourceVersion")))
                if one_page or not meta.get("continue"):
                    break
                query["continue"] = meta["continue"]
        return Listing(items, version)

    async def apply(
        self, resource: Resource, manifest: Body, *, dry_run: bool = False, version: str | None = None
    ) -> Body:
        """Server-side apply as manager `fleetbeat`, forced and strict. Idempotent.

        Args:
            resource: The kind in the manifest's version.
            manifest: What to apply.
            dry_run: Only answer what it would give.
            version: The resourceVersion that was read, or `ABSENT`: anything else there is refused.

        Raises:
            StaleError: The object is not at that version.
        """
        meta = manifest["metadata"]
        sent = manifest if version is None else {**manifest, "metadata": {**meta, "resourceVersion": version}}
        query = {"fieldManager": MANAGER, "force": "true", "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        return await self._patch(resource, meta, APPLY, sent, query)

    async def patch(self, resource: Resource, meta: Mapping[str, Any], content: str, patch: Any) -> Body:
        """A JSON patch or merge patch of one object, as manager `fleetbeat`."""
        return await self._patch(resource, meta, content, patch, {"fieldManager": MANAGER})

    async def _patch(
        self, resource: Resource, meta: Mapping[str, Any], content: str, patch: Any, query: Mapping[str, str]
    ) -> Body:
        place, name = meta.get("namespace"), meta["name"]
        try:
            _, body, _ = await self._send(
                "PATCH",
                resource.path(place, name),
                _subject(resource, place, name),
                query=query,
                headers={"Content-Type": content},
                data=orjson.dumps(patch),
            )
        except FleetbeatError as error:
            if isinstance(patch, dict) and is_secret(patch):
                error.args = (without_values(str(error), patch), *error.args[1:])
            raise
        found: Body = orjson.loads(body)
        return found

    async def delete(self, resource: Resource, meta: Mapping[str, Any]) -> bool:
        """Delete exactly the object that `meta` was read from; False when it is gone already.

        Raises:
            StaleError: It is another object now, or it changed since.
        """
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
        }
        place, name = meta.get("namespace"), meta["name"]
        try:
            await self._send(
                "DELETE",
                resource.path(place, name),
                _subject(resource, place, name),
                headers={"Content-Type": "application/json"},
                data=orjson.dumps(options),
            )
        except NotFoundError:
            return False
        return True

    async def _send(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """One request; put off as long as the server asks for it, but not for ever."""
        give_up = asyncio.get_running_loop().time() + BUSY_SECONDS
        while True:
            await self._shared.quiet()
            self.traffic.requests[method] += 1
            try:
                return await self._once(method, path, what, query, headers, data)
            except ServerError as error:
                now = asyncio.get_running_loop().time()
                if error.retry_after is None or now + error.retry_after > give_up:
                    raise
                self._shared.put_off(now + max(0.05, error.retry_after))

    async def _once(
        self,
        method: str,
        path: str,
        what: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        data: bytes | None,
    ) -> tuple[int, bytes, Mapping[str, str]]:
        shared = self._shared
        sent = dict(headers or {}) | shared.authorization()
        if self.account:
            sent["Impersonate-User"] = self.account
        server = shared.credentials.server
        try:
            async with (
                shared.slots,
                shared.session().request(
                    method,
                    server + path,
                    params=query,
                    headers=sent,
                    data=data,
                    server_hostname=shared.credentials.server_name,
                    allow_redirects=False,
                ) as answer,
            ):
                body = await answer.read()
                self._note_warnings(answer)
                if answer.status >= 400:
                    raise translate(self.name, what, answer.status, body, answer.headers.get("Retry-After"))
                if 300 <= answer.status < 400 and answer.status != 304:
                    raise ClusterUnreachableError(
                        f"cluster {self.name}: {what}: the server redirects, is it an API server?"
                    )
                return answer.status, body, answer.headers
        except aiohttp.ClientConnectorCertificateError as error:
            raise ClusterUnreachableError(
                f"cluster {self.name}: the certificate of {server} is not trusted: {error.certificate_error}"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            why = (
                "no answer in time"
                if isinstance(error, TimeoutError)
                else " ".join(str(error).split()) or type(error).__name__
            )
            raise ClusterUnreachableError(f"cluster {self.name} cannot be reached at {server}: {why}") from None

    def _note_warnings(self, answer: aiohttp.ClientResponse) -> None:
        for header in answer.headers.getall("Warning", ()):
            for text in _WARNING.findall(header):
                if len(self.traffic.warnings) < MOST_WARNINGS:
                    self.traffic.warnings[re.sub(r"\\(.)", r"\1", text)[:300]] = None


class _Connection:
    """What all views of a client share."""

    def __init__(self, credentials: Credentials, concurrency: int, timeout: aiohttp.ClientTimeout) -> None:
        self.credentials = credentials
        self.slots = asyncio.Semaphore(concurrency)
        self.discovery: dict[str, tuple[str, Body]] = {}
        self.kinds: Kinds | None = None
        self.identity: str | None = None
        self._concurrency, self._timeout = concurrency, timeout
        self._session: aiohttp.ClientSession | None = None
        self._not_before = 0.0

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls = self.credentials.tls
            connector = aiohttp.TCPConnector(
                limit=self._concurrency, ssl=tls if tls is not None else True, keepalive_timeout=90
            )
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout, read_bufsize=2**20)
        return self._session

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    def authorization(self) -> dict[str, str]:
        value = self.credentials.authorization()
        return {"Authorization": value} if value else {}

    def put_off(self, until: float) -> None:
        """No request of anybody starts before that time of the loop: priority and fairness asked for it."""
        self._not_before = max(self._not_before, until)

    async def quiet(self) -> None:
        loop = asyncio.get_running_loop()
        # What is put off further in the meantime is asked for again and gets the same answer.
        await asyncio.sleep(max(0.0, self._not_before - loop.time()))


def _subject(resource: Resource, namespace: str | None, name: str) -> str:
    return "/".join(part for part in (resource.kind, namespace, name) if part)


def _number(version: Any) -> int:
    """A resourceVersion as a number; servers whose versions are none are never found to have gone back."""
    return int(version) if isinstance(version, str) and version.isdigit() else 0
