"""The bucket's schema as the service tells it, in our own model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mixsync_dagster.model.buckets import BucketSchema, SchemaProperty, SchemaType

_TYPES = frozenset(SchemaType)
_UNKNOWN_TYPE = "binary"
"""The type of blobs whose content type is of no known kind."""


@dataclass(frozen=True, slots=True)
class RemoteSchema:
    """What the bucket there takes."""

    schema: BucketSchema | None
    """None: the bucket has no schema."""
    unique_fields: tuple[str, ...] = ()
    """Fields of its unique key; empty without one."""

    @classmethod
    def of(cls, bucket: Mapping[str, Any]) -> RemoteSchema:
        """Return the schema of an answer; properties of types that are not known here are left out."""
        told = bucket.get("bucket_schema")
        unique = bucket.get("unique_key")
        fields = tuple(unique.get("fields") or ()) if isinstance(unique, Mapping) else ()
        if not isinstance(told, Mapping) or not isinstance(told.get("properties"), Mapping):
            return cls(None, fields)
        properties = {
            name: _property(one)
            for name, one in told["properties"].items()
            if isinstance(one, Mapping) and one.get("type") in _TYPES and name
        }
        return cls(BucketSchema(properties=properties), fields)

    def blob_problem(self, name: str, blob_type: str) -> str | None:
        """Return why a blob of this type cannot fill the property, None when it can."""
        if self.schema is None:
            return None
        wanted = self.schema.properties.get(name)
        if wanted is None or not wanted.type.is_blob:
            return f"the schema of the bucket has no blob {name}"
        if blob_type == _UNKNOWN_TYPE:
            return f"its content type is of no kind that the service knows, and {name} is of type {wanted.type}"
        if blob_type != wanted.type:
            return f"it is of type {blob_type}, and {name} is of type {wanted.type}"
        return None


def _property(one: Mapping[str, Any]) -> SchemaProperty:
    values = one.get("enum")
    # A property with a default need not be filled: the service fills it.
    required = bool(one.get("required")) and one.get("default") is None
    return SchemaProperty(
        type=SchemaType(one["type"]), required=required, enum=tuple(values) if isinstance(values, list) else None
    )
