"""`Cluster`: a Kubernetes cluster that syncs can reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.documents.document import Document
from shared.documents.fields import FilePath, Flag, Model, Name, NonEmpty, QueueName, VariableName
from shared.documents.problems import shown


def built_in(name: str) -> bool:
    """Whether the name is one of the variables that every cluster has on its own."""
    return name == "CLUSTER_NAME" or name.startswith("CLUSTER_LABEL_")


def _not_built_in(name: str) -> str:
    if built_in(name):
        raise ValueError(f"{name} is built in; choose another name")
    return name


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise ValueError(f"{shown(twice)} is named twice; remove one")
    return names


class Kubeconfig(Model):
    """Where the worker finds the kubeconfig; its content is never read into the fleet."""

    REFUSED: ClassVar[Mapping[str, str]] = {
        "secret": "not supported yet; use file or env",
        "secretRef": "not supported yet; use file or env",
    }

    file: Annotated[
        FilePath | None,
        Field(description="Kubeconfig file on the worker. A relative path starts at the document's folder."),
    ] = None
    env: Annotated[
        VariableName | None, Field(description="Environment variable of the worker that holds the kubeconfig's text.")
    ] = None
    context: Annotated[
        NonEmpty | None, Field(description="Context to use. Unset: the kubeconfig's `current-context`.")
    ] = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("give exactly one of file and env")
        return self


class ClusterSpec(Model):
    kubeconfig: Annotated[Kubeconfig, Field(description="How to reach the cluster.")]
    queue: Annotated[
        QueueName, Field(description="Queue for this cluster's work; workers that can reach the cluster listen on it.")
    ] = "default"
    variables: dict[Annotated[VariableName, AfterValidator(_not_built_in)], str] = Field(
        default_factory=dict,
        description="For `${var}` in syncs. Built in besides: `CLUSTER_NAME`, and `CLUSTER_LABEL_<KEY>` for every label "
        "(upper case, other characters to `_`).",
    )
    suspend: Annotated[Flag, Field(description="True: start no sync on this cluster.")] = False
    system_namespace: Annotated[
        Name, Field(description="Namespace in the cluster for fleetbeat's own objects (inventories, leases).")
    ] = "fleetbeat-system"
    namespaces: Annotated[
        tuple[Name, ...],
        AfterValidator(_unique),
        Field(
            description="The only namespaces that the credentials reach; `systemNamespace` is always among them. Syncs can then "
            "have no objects outside them. None: the whole cluster.",
            json_schema_extra={"uniqueItems": True},
        ),
    ] = ()


class Cluster(Document):
    kind: Annotated[Literal["Cluster"], Field(description="Always `Cluster`.")] = "Cluster"
    spec: Annotated[ClusterSpec, Field(description="How to reach the cluster and what is particular to it.")]
