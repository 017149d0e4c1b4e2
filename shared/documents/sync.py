"""`Sync`: what of a source goes to which clusters. Flux's Kustomization (kustomize.toolkit.fluxcd.io/v1) for many clusters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from shared.documents.document import Document
from shared.documents.fields import Count, Duration, Flag, LabelKey, LabelValue, Model, Name, VariableName
from shared.documents.problems import shown

Protected = Literal["Namespace", "CustomResourceDefinition", "PersistentVolume", "PersistentVolumeClaim"]
"""Kinds whose deletion takes along what no Sync wrote."""
DeletionPolicy = Literal["Prune", "Orphan"]
_NOT_YET = "not supported yet; remove it"


def _relative(path: str) -> str:
    if not path or any(not char.isprintable() for char in path):
        raise ValueError(f"{shown(path)} is not a path; write it like ./apps/web")
    if path.startswith(("/", "~")) or "\\" in path:
        raise ValueError(f"{shown(path)} must be relative to the repository's root, with '/'; write it like ./apps/web")
    if ".." in path.split("/"):
        raise ValueError(f"{shown(path)} must not leave the repository; write it without '..'")
    return path


def _namespace(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", _without_variables(value)):
        raise ValueError(f"{shown(value)} is not a namespace: lower-case letters, digits, '-' and ${{var}}")
    return value


def _service_account(value: str) -> str:
    label = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    plain = _without_variables(value)
    if len(plain) > 253 or not re.fullmatch(rf"{label}(\.{label})*", plain):
        raise ValueError(
            f"{shown(value)} is not the name of a service account: lower-case letters, digits, '-', '.' and ${{var}}, "
            "without its namespace"
        )
    return value


def _without_variables(value: str) -> str:
    return re.sub(r"\$\{[^}]*\}", "x", value)


class SourceRef(Model):
    REFUSED: ClassVar[Mapping[str, str]] = {
        "kind": "every source is a GitRepository; remove the line",
        "namespace": "documents of a fleet live in no namespace; remove the line",
    }

    name: Annotated[Name, Field(description="Name of a GitRepository of this fleet.")]


class DependsOn(Model):
    REFUSED: ClassVar[Mapping[str, str]] = {
        "namespace": "documents of a fleet live in no namespace; remove the line",
        "readyExpr": _NOT_YET,
    }

    name: Annotated[
        Name, Field(description="Name of a Sync of this fleet that must be ready first, on the same cluster.")
    ]


class MatchExpression(Model):
    key: Annotated[LabelKey, Field(description="Label to look at.")]
    operator: Annotated[
        Literal["In", "NotIn", "Exists", "DoesNotExist"],
        Field(
            description="`In`, `NotIn`, `Exists` or `DoesNotExist`. `NotIn` holds for clusters without the label too."
        ),
    ]
    values: Annotated[
        tuple[LabelValue, ...], Field(description="For `In` and `NotIn`: at least one value. For the others: none.")
    ] = ()

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        if (self.operator in {"In", "NotIn"}) != bool(self.values):
            need = "needs values" if not self.values else "takes no values"
            raise ValueError(f"operator {self.operator} {need}")
        return self

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Kubernetes' rules for label selectors."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


class ClusterSelector(Model):
    """Kubernetes' label selector, over the labels of Cluster documents. Empty: all clusters."""

    match_labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, description="Every one of these labels must have this value."
    )
    match_expressions: Annotated[tuple[MatchExpression, ...], Field(description="Every one of these must hold.")] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            expression.matches(labels) for expression in self.match_expressions
        )


class CommonMetadata(Model):
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, description="Set on every object, over its own.")
    annotations: dict[LabelKey, str] = Field(default_factory=dict, description="Set on every object, over its own.")


class PostBuild(Model):
    REFUSED: ClassVar[Mapping[str, str]] = {
        "substituteFrom": "not supported yet; use substitute or the cluster's variables",
    }

    substitute: dict[VariableName, str] = Field(
        default_factory=dict, description="Variables for `${var}`; they win over the cluster's of the same name."
    )


class SyncSpec(Model):
    REFUSED: ClassVar[Mapping[str, str]] = {
        "rollout": "not supported yet; remove it, or the change would go to every cluster at once",
        "patches": _NOT_YET,
        "images": _NOT_YET,
        "healthChecks": "not supported yet; wait: true waits for every object",
        "healthCheckExprs": _NOT_YET,
        "components": _NOT_YET,
        "decryption": _NOT_YET,
    }

    source_ref: Annotated[SourceRef, Field(description="Where the objects come from.")]
    path: Annotated[
        str,
        AfterValidator(_relative),
        WithJsonSchema({"type": "string", "minLength": 1, "pattern": "^[^/~]"}),
        Field(description="Folder in the source, relative to its root. May hold `${var}` of the cluster."),
    ] = "./"
    cluster_selector: ClusterSelector = Field(
        default_factory=ClusterSelector, description="Which clusters. Absent or `{}`: all of them."
    )
    interval: Annotated[Duration, Field(description="How often to compare and correct a cluster.")] = timedelta(
        minutes=10
    )
    retry_interval: Annotated[Duration, Field(description="How long to wait after a failure.")] = timedelta(minutes=1)
    timeout: Annotated[
        Duration, Field(description="How long one sync may take on one cluster, the wait for readiness included.")
    ] = timedelta(minutes=5)
    prune: Annotated[Flag, Field(description="True: delete from the cluster what is no longer in the source.")] = True
    max_deletions: Annotated[
        Count,
        Field(
            description="Most objects that one sync deletes from a cluster without being asked; more wait for "
            "`fleetbeat approve`, and so does more than half of a Sync of 5 objects or more."
        ),
    ] = 20
    prune_protected: Annotated[
        tuple[Protected, ...],
        Field(
            description="Kinds that this Sync may delete although their deletion takes other things along "
            "(what is in a Namespace, the objects of a CustomResourceDefinition, data)."
        ),
    ] = ()
    deletion_policy: Annotated[
        DeletionPolicy | None,
        Field(
            description="What happens to the objects when the Sync is removed from the fleet or no longer selects a cluster: "
            "`Prune` deletes them, `Orphan` leaves them. Unset: `Prune` if `prune` is true, else `Orphan`."
        ),
    ] = None
    force: Annotated[
        Flag,
        Field(
            description="True: delete and create anew an object whose change is refused because a field is immutable; "
            "for no other cause. False: it is an error."
        ),
    ] = False
    wait: Annotated[Flag, Field(description="True: ready means that every applied object is ready.")] = True
    suspend: Annotated[Flag, Field(description="True: start no sync.")] = False
    allow_empty: Annotated[
        Flag,
        Field(description="True: a source without any object is right, and prunes everything. False: it is an error."),
    ] = False
    depends_on: Annotated[
        tuple[DependsOn, ...], Field(description="Syncs that must be ready first, on the same cluster.")
    ] = ()
    target_namespace: Annotated[
        str | None,
        AfterValidator(lambda value: None if value is None else _namespace(value)),
        WithJsonSchema({"type": "string", "minLength": 1}),
        Field(description="Namespace for every namespaced object, over its own. May hold `${var}` of the cluster."),
    ] = None
    service_account_name: Annotated[
        str | None,
        AfterValidator(lambda value: None if value is None else _service_account(value)),
        WithJsonSchema({"type": "string", "minLength": 1}),
        Field(
            description="Service account of the target cluster that writes are made as, in the `targetNamespace` or, without "
            "one, in the cluster's `systemNamespace`. Unset: the kubeconfig's own rights. May hold `${var}` of the cluster."
        ),
    ] = None
    common_metadata: CommonMetadata = Field(
        default_factory=CommonMetadata, description="Labels and annotations for every object."
    )
    post_build: Annotated[
        PostBuild | None,
        Field(description="Substitution of `${var}` in the objects. Unset: none; `{}`: the cluster's variables only."),
    ] = None
    drift_mode: Annotated[
        Literal["correct", "report"],
        Field(
            description="What to do when somebody changed an object on the cluster: `correct` it, or `report` it in the audit "
            "trail and the status and leave it as it is."
        ),
    ] = "correct"

    @property
    def leaves(self) -> DeletionPolicy:
        """What becomes of the objects on a cluster that this Sync leaves."""
        return self.deletion_policy or ("Prune" if self.prune else "Orphan")


class Sync(Document):
    kind: Annotated[Literal["Sync"], Field(description="Always `Sync`.")] = "Sync"
    spec: Annotated[SyncSpec, Field(description="What goes where, and how.")]
