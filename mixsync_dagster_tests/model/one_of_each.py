"""An accepted input of every model that describes a request or what is stored, with as many keys as fit together."""

from __future__ import annotations

from importlib import import_module
from inspect import getmembers, isclass
from pkgutil import iter_modules
from typing import Any

import mixsync_dagster.model
from mixsync_dagster.api import requests
from mixsync_dagster.model.base import Model
from mixsync_dagster_tests.model.samples import CONFIGS, PEM, S3_CREDENTIALS, connection_request, sync_request

_METADATA: dict[str, Any] = {"team": "films", "n": 1, "deep": {"list": [1.5, None, True]}}
_SCHEMA = {
    "properties": {
        "content": {"type": "text", "description": "the file"},
        "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "examples": [["a"]]},
        "place": {"type": "object", "properties": {"x": {"type": "number", "required": True}}},
    }
}
_FILTERS = {
    "include_patterns": ["*.mp4"],
    "exclude_patterns": ["*/drafts/*"],
    "extensions": [".mp4"],
    "min_size_bytes": 1,
    "max_size_bytes": 2,
    "modified_after": "2024-01-01T00:00:00Z",
    "modified_before": "2025-01-01T00:00:00Z",
    "mime_types": ["video/*"],
    "metadata_filters": [{"field": "a", "operator": "gte", "value": 2.5}],
}
_FIELD = {
    "target_type": "field",
    "source": {"type": "filename_regex", "pattern": r"_(\d+)_", "default": "none"},
    "transform": "lowercase",
    "required": True,
}
_BLOB = {
    "target_type": "blob",
    "source": {"type": "file"},
    "blob_type": "image",
    "blob_property": "content",
    "mime_type_override": "image/jpeg",
}
_MAPPING = {"mappings": {"number": _FIELD, "content": _BLOB}}
_SETTINGS: dict[str, Any] = {
    "sync_mode": "scheduled",
    "file_filters": _FILTERS,
    "schema_mapping": _MAPPING,
    "polling_interval_seconds": 60,
    "batch_size": 10,
    "skip_batch_submission": True,
    "skip_duplicates": False,
    "reconcile": {"on_delete": False, "re_extract_fields": ["a"]},
    "sync_from": "2024-01-01",
    "provider_filters": {"prefix": "videos/"},
    "description": "all of them",
    "max_objects_per_run": 5,
    "sync_concurrency": 2,
    "metadata": _METADATA,
    "name": "videos",
}
_IDS = {
    "bucket_id": "bkt_1",
    "internal_id": "int_1",
    "namespace_id": "ns_1",
    "created_by_user_id": "usr_1",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
}
_PASSWORDS = {"type": "username_password", "username": "SYNC_USER", "password": "pass word"}
_APP = {"tenant_id": "12345678-1234-1234-1234-123456789abc", "client_id": "87654321-4321-4321-4321-cba987654321"}

INPUTS: dict[str, Any] = {
    "BlobMappingEntry": _BLOB,
    "BucketCreateRequest": {"bucket_name": "films", "bucket_schema": _SCHEMA, "metadata": _METADATA},
    "BucketDefinition": {"bucket_id": "bkt_1", "name": "films", "bucket_schema": _SCHEMA, "metadata": _METADATA},
    "BucketSchema": _SCHEMA,
    "BulkMarkFailedRequest": {"error_types": ["archived"]},
    "ColumnSource": {"type": "column", "name": "A"},
    "ConfigDocument": {
        "connections": {"media": {key: connection_request()[key] for key in ("provider_type", "provider_config")}},
        "buckets": {"bkt_1": {"bucket_schema": _SCHEMA}},
        "syncs": {"videos": {**sync_request(), "bucket_id": "bkt_1"}},
    },
    "ConstantSource": {"type": "constant", "value": {"a": [1]}},
    "DrivePropertySource": {"type": "drive_property", "key": "starred"},
    "EnvReference": {"env": "MEDIA_SECRET"},
    "FieldMappingEntry": _FIELD,
    "FileFilters": _FILTERS,
    "FileSource": {"type": "file"},
    "FilenameRegexSource": _FIELD["source"],
    "FolderPathSource": {"type": "folder_path", "segment": -1},
    "GoogleDriveConfig": CONFIGS["google_drive"],
    "GoogleDriveOAuthCredentials": {"type": "oauth", "client_id": "c", "client_secret": "s", "refresh_token": "r"},
    "GoogleDriveServiceAccountCredentials": CONFIGS["google_drive"]["credentials"],
    "GoogleDriveSettings": {"shared_drive_id": "0AH-Xabc123", "impersonate_user": "ana@example.com"},
    "ListBatchesRequest": {"status": "PENDING", "sync_config_id": "sync_1"},
    "ListConnectionsRequest": {"provider_type": "s3", "status": "ACTIVE", "is_active": True},
    "ListDeadLettersRequest": {"only_max_retries": True, "error_types": ["archived"]},
    "ListJobsRequest": {"status": "failed"},
    "ListObjectsRequest": {"sync_config_id": "sync_1"},
    "ListSyncsRequest": {"connection_id": "conn_1", "status": "paused", "is_active": False},
    "MetadataFilter": _FILTERS["metadata_filters"][0],
    "MetadataSource": {"type": "metadata", "key": "owner"},
    "MixpeekDestination": {"base_url": "https://api.mixpeek.com", "namespace": "ns_1", "api_key": "sk_x"},
    "NoFilters": {},
    "Reconcile": {"on_delete": True, "on_update": False, "on_filter_drift": False, "re_extract_fields": ["a"]},
    "RequeueRequest": {"error_types": ["archived"]},
    "S3AccessKeyCredentials": {**S3_CREDENTIALS, "session_token": "t"},
    "S3Config": {"endpoint_url": "http://127.0.0.1:9000", "dialect": "minio", "credentials": S3_CREDENTIALS},
    "S3RoleCredentials": {
        "type": "iam_role",
        "role_arn": "arn:aws:iam::123456789012:role/reader",
        "external_id": "external-1",
    },
    "S3Settings": {"region": "eu-west-1", "endpoint_url": "https://nyc3.digitaloceanspaces.com", "use_ssl": True},
    "SchemaMapping": _MAPPING,
    "SchemaProperty": _SCHEMA["properties"]["tags"],
    "SharePointCertificateCredentials": {
        "type": "certificate",
        **_APP,
        "certificate": PEM.replace("PRIVATE KEY", "CERTIFICATE"),
        "private_key": PEM,
    },
    "SharePointClientCredentials": CONFIGS["sharepoint"]["credentials"],
    "SharePointColumnSource": {"type": "sharepoint_column", "key": "Team"},
    "SharePointConfig": CONFIGS["sharepoint"],
    "SharePointDelegatedCredentials": {"type": "delegated", **_APP, "client_secret": "s", "refresh_token": "r"},
    "SharePointSettings": {"site_id": "root", "folder_path": "/films"},
    "SnowflakeConfig": CONFIGS["snowflake"],
    "SnowflakeKeyPairCredentials": {"type": "key_pair", "username": "SYNC_USER", "private_key": PEM},
    "SnowflakeSettings": {"account": "xy12345", "warehouse": "WH", "primary_key_columns": ["ID"], "fetch_size": 500},
    "SnowflakeUsernamePasswordCredentials": _PASSWORDS,
    "StorageConnection": {
        "connection_id": "conn_1",
        **{key: _IDS[key] for key in ("internal_id", "created_by_user_id", "created_at", "updated_at")},
        "name": "media",
        "provider_type": "s3",
        "provider_config": {"provider_type": "s3", "region": "eu-west-1"},
        "credentials_type": "access_key",
        "metadata": _METADATA,
        "last_error": "it did not answer",
    },
    "StorageConnectionCreateRequest": connection_request(description="all", metadata=_METADATA, test_before_save=False),
    "StorageConnectionUpdateRequest": {"name": "m", "metadata": _METADATA, "provider_config": {"region": "eu-west-1"}},
    "SubmitBatchRequest": {"include_processing_history": False},
    "SyncConfiguration": {**sync_request(**_SETTINGS), **_IDS, "sync_config_id": "sync_1", "status": "ACTIVE"},
    "SyncCreateRequest": sync_request(**_SETTINGS),
    "SyncDocument": {**sync_request(**_SETTINGS), "bucket_id": "bkt_1"},
    "SyncUpdateRequest": {
        **{
            key: _SETTINGS[key]
            for key in ("schema_mapping", "polling_interval_seconds", "reconcile", "provider_filters", "metadata")
        },
        "status": "ACTIVE",
    },
    "TagSource": {"type": "tag", "key": "category"},
    "TigrisAccessKeyCredentials": CONFIGS["tigris"]["credentials"],
    "TigrisConfig": CONFIGS["tigris"],
    "TigrisSettings": {"region": "auto"},
}
"""By the model's name."""


def models() -> dict[str, type[Model]]:
    """Return every model by its name, wherever it is defined."""
    modules = [
        import_module(f"mixsync_dagster.model.{one.name}") for one in iter_modules(mixsync_dagster.model.__path__)
    ]
    return {
        name: kind
        for module in (*modules, requests)
        for name, kind in getmembers(module, isclass)
        if issubclass(kind, Model) and kind is not Model and not name.startswith("_")
    }
