"""From a render to what is applied: scope settled, secrets in one form, the inventory's label on, a digest over all."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workers.clusters.discovery import Kinds
from workers.clusters.errors import KindUnavailableError, UnknownKindError
from workers.rendering.manifest import Manifest
from workers.sync import digests, inventory, policies
from workers.sync.plan import Wanted

Scopes = Mapping[tuple[str, str], bool]
"""(group, kind) → namespaced, for kinds that a CustomResourceDefinition in the same cluster's renders will bring."""


def scopes(manifests: Iterable[Manifest]) -> dict[tuple[str, str], bool]:
    """The kinds that the CustomResourceDefinitions among these manifests define."""
    found = {}
    for manifest in manifests:
        if manifest.kind == "CustomResourceDefinition":
            spec = manifest.body.get("spec") or {}
            names = spec.get("names") or {}
            found[str(spec.get("group")), str(names.get("kind"))] = spec.get("scope") == "Namespaced"
    return found


def prepare(
    cluster: str,
    applyset: str,
    manifests: Sequence[Manifest],
    kinds: Kinds,
    coming: Scopes,
    key: bytes,
    namespaces: Sequence[str] = (),
) -> tuple[list[Wanted], list[str]]:
    """The objects to apply and, one line each, what is wrong with those that cannot be.

    Args:
        cluster: Named in errors.
        applyset: Its id goes onto every object as a label.
        manifests: The render.
        kinds: What the cluster serves.
        coming: What CustomResourceDefinitions of this run will serve.
        key: For digests of what may be secret.
        namespaces: All that the credentials reach; empty for all there are.
    """
    wanted, errors = [], []
    for manifest in manifests:
        try:
            policy = policies.read(manifest.body["metadata"])
            namespaced = _namespaced(cluster, manifest, kinds, coming)
        except (UnknownKindError, KindUnavailableError, policies.PolicyError) as error:
            errors.append(f"{manifest.origin}: {manifest.subject}: {error}")
            continue
        if namespaced and not manifest.namespace:
            errors.append(
                f"{manifest.origin}: {manifest.subject}: has no namespace; set metadata.namespace or the Sync's targetNamespace"
            )
            continue
        if namespaced and namespaces and manifest.namespace not in namespaces:
            errors.append(
                f"{manifest.origin}: {manifest.subject}: namespace {manifest.namespace} is none of those that cluster {cluster}'s "
                f"credentials reach ({', '.join(namespaces)}); add it to the Cluster's namespaces or move the object"
            )
            continue
        body = _body(manifest, applyset, namespaced=namespaced)
        place = manifest.namespace if namespaced and manifest.namespace else ""
        wanted.append(
            Wanted(
                (manifest.group, manifest.kind, place, manifest.name),
                Manifest(body, manifest.origin),
                digests.desired(body, key),
                policy,
            )
        )
    return wanted, errors


def _namespaced(cluster: str, manifest: Manifest, kinds: Kinds, coming: Scopes) -> bool:
    try:
        return kinds.exact(cluster, manifest.group, manifest.version, manifest.kind).namespaced
    except UnknownKindError:
        if (manifest.group, manifest.kind) in coming:
            return coming[manifest.group, manifest.kind]
        raise


def _body(manifest: Manifest, applyset: str, *, namespaced: bool) -> dict[str, Any]:
    body = {name: value for name, value in manifest.body.items() if name not in {"status", "stringData"}}
    meta = {
        name: value for name, value in body["metadata"].items() if name not in {"creationTimestamp", "managedFields"}
    }
    if not namespaced:
        meta.pop("namespace", None)
    meta["labels"] = {**(meta.get("labels") or {}), inventory.PART_OF: applyset}
    body["metadata"] = meta
    if manifest.kind == "Secret" and manifest.body.get("stringData"):
        clear = {
            name: base64.b64encode(str(value).encode()).decode() for name, value in manifest.body["stringData"].items()
        }
        body["data"] = {**(body.get("data") or {}), **clear}
    return body
