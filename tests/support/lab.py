"""The sync engine on one real or simulated cluster, without queue and Redis: runs, what they wrote, and what is kept between them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from shared.audit.events import Event
from shared.documents.sync import Sync
from shared.state.intents import Run
from shared.state.receipts import ClusterMark, ObjectReceipt, SyncReceipt, pack, unpack
from tests.support.api import Api
from workers.clusters import credentials
from workers.clusters.client import ClusterClient
from workers.clusters.loop import LoopThread
from workers.rendering.manifest import Manifest
from workers.sync import engine, journal, recheck
from workers.sync.apply import Gate
from workers.sync.changes import ChangeSet
from workers.sync.examine import Write
from workers.sync.job import Context, Job, Outcome
from workers.sync.record import record

KEY = b"k" * 32
Body = dict[str, Any]


def document(name: str, **spec: Any) -> Sync:
    """A Sync; fields as in YAML."""
    body = {"sourceRef": {"name": "platform"}, "path": f"./{name}", "wait": False, **spec}
    raw = {"apiVersion": "fleetbeat/v1", "kind": "Sync", "metadata": {"name": name}, "spec": body}
    return Sync.model_validate(raw, by_alias=True, by_name=False)


def client_of(api: Api, name: str = "lab", token: str | None = None, concurrency: int = 8) -> ClusterClient:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": api.url,
                    "certificate-authority-data": base64.b64encode(api.authority.encode()).decode(),
                },
            }
        ],
        "users": [{"name": "c", "user": {"token": token or api.token}}],
    }
    found = credentials.load(name, yaml.safe_dump(config).encode(), None, Path.cwd())
    return ClusterClient(name, found, concurrency=concurrency, connect=3, timeout=20)


@dataclass
class Lab:
    """State of one cluster between runs, as Redis would keep it. `now` moves by hand."""

    api: Api
    system: str
    loop: LoopThread
    fleet: str = "lab"
    token: str | None = None
    namespaces: tuple[str, ...] = ()
    now: float = 1_800_000_000.0
    receipts: dict[str, SyncReceipt] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    mark: ClusterMark | None = None
    journalled: list[bytes] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    gate: Callable[[], None] = lambda: None
    claim: Callable[[str], str | None] = lambda _uid: None
    approved: dict[str, str] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        self.client = client_of(self.api, token=self.token)

    def job(self, sync: Sync, *bodies: Body, commit: str = "c1", **more: Any) -> Job:
        manifests = tuple(Manifest(body, f"{sync.name}/{number}.yaml:1") for number, body in enumerate(bodies))
        render = str(hash(repr(bodies)))
        return Job(
            sync,
            commit,
            render,
            manifests,
            parent={"commit": commit},
            approved=self.approved.get(sync.name, ""),
            **more,
        )

    def run(self, *jobs: Job, reason: str = "commit") -> dict[str, ChangeSet]:
        """One run, recorded as the worker does it; what an earlier one left is settled first."""
        self.runs += 1
        self.now += 1
        run = Run(f"r{self.runs}", "lab", "default", "1", reason, "beat", "f", {}, self.now, self.now)  # type: ignore[arg-type]
        left, kept = list(self.journalled), []

        def rows(sync: str, writes: Sequence[Write]) -> list[bytes]:
            return journal.entries(run, sync, None, writes, KEY)

        async def through(sync: str, writes: Sequence[Write]) -> None:
            self.gate()
            self.journalled += rows(sync, writes)

        def keep(sync: str, writes: Sequence[Write]) -> None:
            kept.extend(rows(sync, writes))

        context = self.context(Gate(through, keep))

        async def work() -> Outcome:
            if left:
                self.events += await journal.settle(self.client, left, self.now, KEY)
                del self.journalled[: len(left)]
            if reason == "health" and recheck.enough(context, jobs):
                outcome = await recheck.recheck(context, jobs)
                if outcome is not None:
                    return outcome
            return await engine.run(context, jobs)

        outcome = self.loop.run(work(), 120)
        kept_objects = {name: unpack(body) for name, body in self.objects.items()}
        syncs = {job.sync.name: job.sync for job in jobs}
        end = record(
            run, syncs, outcome.sets, self.receipts, kept_objects, {}, now=self.now, worker="w", was_unreachable=False
        )
        self.events += end.events
        for name, receipt in end.receipts.items():
            self.receipts.pop(name, None) if receipt is None else self.receipts.__setitem__(name, receipt)
        for name, body in end.objects.items():
            self.objects.pop(name, None) if not body else self.objects.__setitem__(name, body)
        self.mark = outcome.mark or self.mark
        self.journalled[:] = kept
        return {done.sync: done for done in outcome.sets}

    def context(self, gate: Gate) -> Context:
        return Context(
            client=self.client,
            namespace=self.system,
            fleet=self.fleet,
            key=KEY,
            receipts=dict(self.receipts),
            objects={name: unpack(body) for name, body in self.objects.items()},
            gate=gate,
            now=self.now,
            namespaces=self.namespaces,
            mark=self.mark,
            claim=self.claim,
        )

    def preview(self, *jobs: Job) -> dict[str, list[dict[str, Any]]]:
        async def never(_sync: str, _writes: Sequence[Write]) -> None:
            raise AssertionError

        return self.loop.run(engine.preview(self.context(Gate(never, lambda *_: None)), jobs), 60)

    def forget(self) -> None:
        """Redis lost everything."""
        self.receipts.clear()
        self.objects.clear()
        self.mark = None

    def receipt(self, sync: str, key: str) -> ObjectReceipt:
        return unpack(self.objects[sync])[key]

    def alter(self, sync: str, key: str, **changes: Any) -> None:
        found = unpack(self.objects[sync])
        self.objects[sync] = pack({**found, key: replace(found[key], **changes)})

    def kinds_of_events(self, since: int = 0) -> list[str]:
        return [event.type for event in self.events[since:]]


def config_map(name: str, namespace: str, data: Mapping[str, Any] | None = None, **meta: Any) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **meta},
        "data": dict(data or {"k": "v"}),
    }
