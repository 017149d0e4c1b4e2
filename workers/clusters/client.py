"""One API server: requests with a deadline, errors in our words, and a count of what was asked."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

from workers.clusters import discovery
from workers.clusters.credentials import Credentials
from workers.clusters.discovery import Kinds, Resource
from workers.clusters.errors import ClusterUnreachableError, NotFoundError, translate

MANAGER = "fleetbeat"
APPLY = "application/apply-patch+yaml"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
LARGEST_ANSWER = 256 * 1024 * 1024
PAGE = 5000

requests: contextvars.ContextVar[Counter[str]] = contextvars.ContextVar("requests")
"""Requests by method, counted for whoever set a counter in this context."""

Body = dict[str, Any]


class ClusterClient:
    """Lives on the loop thread and keeps its connections. At most `concurrency` requests are in flight."""

    def __init__(
        self, name: str, credentials: Credentials, *, concurrency: int, connect: float, timeout: float
    ) -> None:
        self.name = name
        self._credentials = credentials
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=connect)
        self._slots = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._session: aiohttp.ClientSession | None = None
        self._discovery: dict[str, tuple[str, Body]] = {}
        self._kinds: Kinds | None = None

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def discover(self) -> Kinds:
        """All kinds, asked anew each time; an unchanged answer costs the server a 304."""
        moved = self._kinds is None
        documents = []
        for path in ("/api", "/apis"):
            etag, known = self._discovery.get(path, ("", {}))
            headers = {"Accept": discovery.ACCEPT} | ({"If-None-Match": etag} if etag else {})
            status, body, answer = await self._send("GET", path, "discovery", headers=headers)
            if status != 304:
                moved = True
                known = orjson.loads(body)
                self._discovery[path] = (answer.get("ETag", ""), known)
            documents.append(known)
        if moved or self._kinds is None:
            self._kinds = discovery.parse(documents)
        return self._kinds

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Body | None:
        """The object, or None when there is none."""
        what = f"{resource.kind}/{namespace or ''}/{name}".replace("//", "/")
        try:
            _, body, _ = await self._send("GET", resource.path(namespace, name), what)
        except NotFoundError:
            return None
        found: Body = orjson.loads(body)
        return found

    async def list_metadata(self, resource: Resource, selector: str, namespace: str | None = None) -> list[Body]:
        """Metadata of every object that the selector picks, consistent, page by page."""
        return await self._list(resource, selector, namespace, {"Accept": METADATA_LIST})

    async def list_full(
        self, resource: Resource, selector: str, namespace: str | None = None, *, limit: int | None = None
    ) -> list[Body]:
        """Every object that the selector picks, whole; kind and apiVersion are filled in, which a list leaves out.

        With `limit` it is one request and at most so many objects.
        """
        items = await self._list(resource, selector, namespace, {}, limit)
        version = f"{resource.group}/{resource.version}" if resource.group else resource.version
        return [{**item, "kind": resource.kind, "apiVersion": version} for item in items]

    async def _list(
        self,
        resource: Resource,
        selector: str,
        namespace: str | None,
        headers: Mapping[str, str],
        most: int | None = None,
    ) -> list[Body]:
        items: list[Body] = []
        query = {"labelSelector": selector, "limit": str(most or PAGE)}
        while True:
            _, body, _ = await self._send(
                "GET", resource.collection(namespace), f"list of {resource.plural}", query=query, headers=headers
            )
            page = orjson.loads(body)
            items += page.get("items") or []
            more = (page.get("metadata") or {}).get("continue")
            if not more or most:
                return items
            query["continue"] = more

    async def apply(self, resource: Resource, manifest: Body, *, dry_run: bool = False) -> Body:
        """Server-side apply as manager `fleetbeat`, forced and strict. Idempotent."""
        meta = manifest["metadata"]
        query = {"fieldManager": MANAGER, "force": "true", "fieldValidation": "Strict"} | (
            {"dryRun": "All"} if dry_run else {}
        )
        what = "/".join(part for part in (resource.kind, meta.get("namespace"), meta["name"]) if part)
        _, body, _ = await self._send(
            "PATCH",
            resource.path(meta.get("namespace"), meta["name"]),
            what,
            query=query,
            headers={"Content-Type": APPLY},
            data=orjson.dumps(manifest),
        )
        found: Body = orjson.loads(body)
        return found

    async def delete(self, resource: Resource, meta: Body) -> bool:
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
        what = "/".join(part for part in (resource.kind, meta.get("namespace"), meta["name"]) if part)
        try:
            await self._send(
                "DELETE",
                resource.path(meta.get("namespace"), meta["name"]),
                what,
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
        counter = requests.get(None)
        if counter is not None:
            counter[method] += 1
        authorization = self._credentials.authorization()
        sent = dict(headers or {}) | ({"Authorization": authorization} if authorization else {})
        session = self._opened()
        try:
            async with (
                self._slots,
                session.request(
                    method,
                    self._credentials.server + path,
                    params=query,
                    headers=sent,
                    data=data,
                    server_hostname=self._credentials.server_name,
                    allow_redirects=False,
                ) as answer,
            ):
                body = await answer.read()
                if answer.status >= 400:
                    raise translate(self.name, what, answer.status, body, answer.headers.get("Retry-After"))
                if 300 <= answer.status < 400 and answer.status != 304:
                    raise ClusterUnreachableError(
                        f"cluster {self.name}: {what}: the server redirects, is it an API server?"
                    )
                return answer.status, body, answer.headers
        except aiohttp.ClientConnectorCertificateError as error:
            raise ClusterUnreachableError(
                f"cluster {self.name}: the certificate of {self._credentials.server} is not trusted: {error.certificate_error}"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            why = (
                "no answer in time"
                if isinstance(error, TimeoutError)
                else " ".join(str(error).split()) or type(error).__name__
            )
            raise ClusterUnreachableError(
                f"cluster {self.name} cannot be reached at {self._credentials.server}: {why}"
            ) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls = self._credentials.tls
            connector = aiohttp.TCPConnector(
                limit=self._concurrency, ssl=tls if tls is not None else True, keepalive_timeout=90
            )
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout, read_bufsize=2**20)
        return self._session
