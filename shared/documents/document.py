"""What every document of a fleet has: the API version, a kind and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.documents.fields import LabelKey, LabelValue, Model, Name

API_VERSION = "fleetbeat/v1"


class Metadata(Model):
    REFUSED: ClassVar[Mapping[str, str]] = {
        "namespace": "documents of a fleet live in no namespace; remove the line",
    }

    name: Annotated[
        Name,
        Field(description="Unique among the fleet's documents of this kind. A DNS-1123 label, at most 63 characters."),
    ]
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, description="On a Cluster, what `clusterSelector` of a Sync looks at."
    )
    annotations: dict[LabelKey, str] = Field(default_factory=dict, description="Free notes; nothing reads them.")


class Document(Model):
    """Base of the kinds; `name` is a shortcut for `metadata.name`."""

    api_version: Annotated[Literal["fleetbeat/v1"], Field(description="Always `fleetbeat/v1`.")] = "fleetbeat/v1"
    kind: Annotated[str, Field(description="What the document describes.")]
    metadata: Annotated[Metadata, Field(description="The document's name, labels and annotations.")]

    @property
    def name(self) -> str:
        return self.metadata.name
