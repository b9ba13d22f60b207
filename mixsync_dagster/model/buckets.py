"""Buckets: where a sync's objects go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from mixsync_dagster.model.base import Description, Flag, Json, Metadata, Model, Text, field_not_accepted
from mixsync_dagster.model.endpoints import EndpointUrl
from mixsync_dagster.model.secrets import SecretValue

BucketId = Annotated[
    str, Text(1, 100, pattern=r"^[A-Za-z0-9._-]+$", accepted="1 to 100 letters, digits, dots, underscores or hyphens")
]
Property = Annotated[str, Text(1, 100)]


class Destination(StrEnum):
    """What keeps the bucket's objects."""

    EMBEDDED = "embedded"
    """Our own catalog and blob store."""
    MIXPEEK = "mixpeek"
    """The hosted service's REST API."""


class SchemaType(StrEnum):
    """Type of a property of a bucket schema; the last six are blobs."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    OBJECT = "object"
    ARRAY = "array"
    DATE = "date"
    DATETIME = "datetime"
    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    PDF = "pdf"
    EXCEL = "excel"

    @property
    def is_blob(self) -> bool:
        """Whether a property of the type holds a blob."""
        return self in _BLOB_TYPES


_BLOB_TYPES = frozenset(
    {SchemaType.TEXT, SchemaType.IMAGE, SchemaType.AUDIO, SchemaType.VIDEO, SchemaType.PDF, SchemaType.EXCEL}
)


def _not_null(required: object) -> object:
    # What is written by the vendor's document may hold null, which there means what is left out.
    return False if required is None else required


class SchemaProperty(Model):
    """One property of a bucket schema."""

    type: SchemaType = Field(
        description="string, number, integer, float, boolean, object, array, date, datetime, or a blob: text, image, "
        "audio, video, pdf, excel."
    )
    description: Annotated[str, Text(0)] | None = Field(
        default=None, description="What it holds. None: no description."
    )
    required: Annotated[Flag, BeforeValidator(_not_null)] = Field(
        default=False,
        description="Whether every mapping has to have an entry for it; the entry's own `required` decides about items "
        "without a value.",
    )
    default: Json | None = Field(
        default=None,
        description="Value of objects without one; an embedded bucket fills in none and takes only None: no default.",
    )
    enum: tuple[Json, ...] | None = Field(
        default=None, description="The values that a constant may have; other sources are not compared. None: any."
    )
    examples: tuple[Json, ...] | None = Field(
        default=None, description="Example values, for readers. None: no examples."
    )
    items: SchemaProperty | None = Field(
        default=None, description="Type of an array's elements, which a constant has to have. None: any."
    )
    properties: dict[Property, SchemaProperty] | None = Field(
        default=None, description="Properties of an object, which a constant has to have. None: any."
    )


class BucketSchema(Model):
    """The fields and blobs that a bucket's objects have."""

    properties: dict[Property, SchemaProperty] = Field(description="Properties by name, 1 to 100 characters.")


class MixpeekTier(StrEnum):
    """What the organisation pays for there: how many calls a minute, and how large files may be."""

    FREE = "free"
    """10 calls a minute, files up to 100 MB."""
    PRO = "pro"
    """60 calls a minute, files up to 5 GB."""
    ENTERPRISE = "enterprise"
    """Calls as agreed, files up to 50 GB."""


class MixpeekDestination(Model):
    """How the hosted service is reached."""

    base_url: EndpointUrl = Field(
        default="https://api.mixpeek.com",
        description="Address of the service, without /v1 and without a trailing slash; https, or plain http for "
        "loopback addresses.",
    )
    namespace: Annotated[str, Text()] = Field(description="Namespace of the bucket there, by id (ns_...) or name.")
    api_key: SecretValue = Field(description="API key (sk_..., secret), or {env: NAME}.")
    bucket: Annotated[str, Text(1, 100)] | None = Field(
        default=None, description="Id or name of the bucket there. None: the same id as here."
    )
    tier: MixpeekTier | None = Field(
        default=None,
        description="free, pro or enterprise: calls are made at the tier's rate, and larger files are refused before "
        "they are sent. None: calls slow down when the service asks for it, and it refuses files itself.",
    )


class BucketDefinition(Model):
    """A bucket that syncs may fill."""

    bucket_id: BucketId = Field(
        description="Id of the bucket, 1 to 100 letters, digits, dots, underscores or hyphens; made from the name when "
        "only that is given.",
        examples=["bkt_media"],
    )
    name: Annotated[str, Text(1, 100)] | None = Field(
        default=None, description="Name for people, 1 to 100 characters. None: the id serves."
    )
    description: Description | None = Field(
        default=None, description="What the bucket is for, up to 500 characters. None: no description."
    )
    destination: Destination = Field(
        default=Destination.EMBEDDED, description="embedded (our own store) or mixpeek (the hosted service)."
    )
    mixpeek: MixpeekDestination | None = Field(
        default=None, description="How the hosted service is reached; only with destination: mixpeek."
    )
    bucket_schema: BucketSchema | None = Field(
        default=None,
        description="Fields and blobs of the objects. A sync's mapping is compared with it when either is saved: "
        "names, types of blobs, constants and text, and that nothing required is left out. Values that are known at "
        "the source only are not. None: whatever the mapping says.",
    )
    metadata: Metadata = Field(default_factory=dict, description="Tags of your own, at most 50 keys with JSON values.")

    @model_validator(mode="before")
    @classmethod
    def _make_id(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "bucket_id" not in data and isinstance(data.get("name"), str):
            slug = re.sub(r"[^a-z0-9]+", "_", data["name"].lower()).strip("_")[:90]
            if slug:
                return {**data, "bucket_id": f"bkt_{slug}"}
        return data

    @model_validator(mode="after")
    def _check_destination(self) -> Self:
        hosted = self.destination is Destination.MIXPEEK
        if hosted and self.mixpeek is None:
            raise field_not_accepted("mixpeek", None, "a mapping of base_url, namespace and api_key")
        if not hosted and self.mixpeek is not None:
            raise field_not_accepted("destination", self.destination, "mixpeek, or leave out the key mixpeek")
        return self
