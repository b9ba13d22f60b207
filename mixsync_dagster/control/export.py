"""The stored definitions as YAML that `apply` takes back without change; secrets only as references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from mixsync_dagster.control.planned import placeholder
from mixsync_dagster.model.base import Model
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnection, full_config
from mixsync_dagster.model.secrets import EnvReference, Secret
from mixsync_dagster.model.syncs import SyncConfiguration, SyncCreateRequest
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE
from mixsync_dagster.ports.control import ConfigStore

_SYNC_FIELDS = tuple(name for name in SyncCreateRequest.model_fields if name not in ("name", "connection_id"))


def export_definitions(store: ConfigStore) -> dict[str, dict[str, Any]]:
    """Return the local namespace's connections, buckets and syncs as the sections of one document.

    Fields that have their default are left out. A secret that was stored as it is stands as a reference to a variable
    named after connection and field. Raises ConfigurationError when the credentials cannot be decrypted.
    """
    connections = store.list_connections(within=LOCAL_NAMESPACE)
    names = {connection.connection_id: connection.name for connection in connections}
    return {
        "connections": {c.name: _connection(c, store.credentials_of(c.connection_id)) for c in connections},
        "buckets": {b.bucket_id: _bucket(b) for b in store.list_buckets(within=LOCAL_NAMESPACE)},
        "syncs": {s.name: _sync(s, names) for s in store.list_syncs(within=LOCAL_NAMESPACE)},
    }


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return the document as YAML text in the order of its keys; sections without entries are left out."""
    filled = {section: entries for section, entries in document.items() if entries}
    if not filled:
        return "{}\n"
    return yaml.safe_dump(filled, sort_keys=False, allow_unicode=True, width=100)


def placeholders(document: Mapping[str, Any]) -> Sequence[str]:
    """Return the variables that the exported connections refer to, each once."""
    found: dict[str, None] = {}
    for connection in document.get("connections", {}).values():
        for value in connection["provider_config"]["credentials"].values():
            if isinstance(value, Mapping):
                found[value["env"]] = None
    return list(found)


def _connection(connection: StorageConnection, credentials: Mapping[str, Any]) -> dict[str, Any]:
    config = full_config(connection, credentials)
    exported = _without_defaults(config, exclude={"credentials", "provider_type"})
    secrets = {}
    for name in type(config.credentials).model_fields:
        value = getattr(config.credentials, name)
        if isinstance(value, Secret):
            secrets[name] = {"env": placeholder(connection.name, name)}
        elif value is not None:
            secrets[name] = {"env": value.env} if isinstance(value, EnvReference) else value
    exported["credentials"] = secrets
    entry: dict[str, Any] = {"provider_type": connection.provider_type.value, "provider_config": exported}
    return entry | _without_defaults(connection, include={"description", "metadata", "write_enabled"})


def _bucket(bucket: BucketDefinition) -> dict[str, Any]:
    entry = _without_defaults(bucket, exclude={"bucket_id", "mixpeek"})
    if bucket.mixpeek is not None:
        hosted = _without_defaults(bucket.mixpeek, exclude={"api_key"})
        key = bucket.mixpeek.api_key
        variable = placeholder(bucket.bucket_id, "api_key") if isinstance(key, Secret) else key.env
        entry["mixpeek"] = {**hosted, "api_key": {"env": variable}}
    return entry


def _sync(sync: SyncConfiguration, connections: Mapping[str, str]) -> dict[str, Any]:
    entry = {
        "bucket_id": sync.bucket_id,
        "connection_id": connections.get(sync.connection_id, sync.connection_id),
        "source_path": sync.source_path,
        "sync_mode": sync.sync_mode,
    }
    return entry | _without_defaults(sync, include=set(_SYNC_FIELDS) - set(entry))


def _without_defaults(
    model: Model, *, include: set[str] | None = None, exclude: set[str] | None = None
) -> dict[str, Any]:
    """Return the model's fields that do not have their default, as JSON values."""
    # Null is a value for some fields (a constant), so it is no sign of absence.
    values = model.model_dump(mode="json", include=include, exclude=exclude, exclude_defaults=True)
    kept = {}
    for name, value in values.items():
        info = type(model).model_fields[name]
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        if info.is_required() or getattr(model, name) != default:
            kept[name] = value
    return kept
