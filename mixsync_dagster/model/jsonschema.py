"""JSON Schema of what users write, for editors, documentation and clients."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mixsync_dagster.model.base import Model
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnectionCreateRequest, StorageConnectionUpdateRequest
from mixsync_dagster.model.documents import ConfigDocument
from mixsync_dagster.model.syncs import SyncCreateRequest, SyncUpdateRequest

DIALECT = "https://json-schema.org/draft/2020-12/schema"

PUBLIC_MODELS: Mapping[str, type[Model]] = MappingProxyType(
    {
        "connection": StorageConnectionCreateRequest,
        "connection_update": StorageConnectionUpdateRequest,
        "bucket": BucketDefinition,
        "sync": SyncCreateRequest,
        "sync_update": SyncUpdateRequest,
        "document": ConfigDocument,
    }
)
"""What has a schema, by its short name."""


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what PUBLIC_MODELS lists under the name. Raises KeyError."""
    model = PUBLIC_MODELS[name]
    return {"$schema": DIALECT, **model.model_json_schema(by_alias=True, mode="validation")}


def all_schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by its short name."""
    return {name: schema_of(name) for name in PUBLIC_MODELS}
