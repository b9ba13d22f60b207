"""The YAML documents that `mixsync apply` reads: connections, buckets and syncs by name or id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, model_validator

from mixsync_dagster.model.base import Model, field_not_accepted
from mixsync_dagster.model.buckets import BucketDefinition, BucketId
from mixsync_dagster.model.connections import StorageConnectionCreateRequest
from mixsync_dagster.model.secrets import Secret
from mixsync_dagster.model.syncs import SyncCreateRequest


class SyncDocument(SyncCreateRequest):
    """A sync together with the bucket that it fills."""

    bucket_id: BucketId = Field(description="Bucket that the sync fills, by id or name.")


_KEY_FIELDS = {"connections": "name", "buckets": "bucket_id", "syncs": "name"}
"""The field of an entry that its key in the document gives."""


class ConfigDocument(Model):
    """One YAML document. Every section may be absent; names and ids are the keys."""

    connections: dict[str, StorageConnectionCreateRequest] = Field(
        default_factory=dict, description="Connections by name."
    )
    buckets: dict[str, BucketDefinition] = Field(default_factory=dict, description="Buckets by id.")
    syncs: dict[str, SyncDocument] = Field(default_factory=dict, description="Syncs by name.")

    @model_validator(mode="before")
    @classmethod
    def _name_entries(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        named = dict(data)
        for section, key_field in _KEY_FIELDS.items():
            # A section or an entry without content is None in YAML.
            entries = named[section] if named.get(section) is not None else {}
            if isinstance(entries, Mapping):
                named[section] = {key: _named(section, key, entry, key_field) for key, entry in entries.items()}
        return named


def _named(section: str, key: Any, entry: Any, key_field: str) -> Any:
    content = {} if entry is None else entry
    if not isinstance(content, Mapping) or not isinstance(key, str):
        return content
    if content.get(key_field, key) != key:
        raise field_not_accepted((section, key, key_field), content[key_field], f"{key} (its key), or leave it out")
    return {**content, key_field: key}


def plain_secrets(document: ConfigDocument) -> list[str]:
    """Return the paths of secrets that the document gives as they are instead of by {env: NAME}, for a warning."""
    return list(_plain_secrets(document, ""))


def _plain_secrets(value: object, path: str) -> list[str]:
    if isinstance(value, Secret):
        return [path]
    if isinstance(value, BaseModel):
        value = dict(value)
    if not isinstance(value, Mapping):
        return []
    prefix = f"{path}." if path else ""
    return [found for key, element in value.items() for found in _plain_secrets(element, f"{prefix}{key}")]
