"""Example bodies, one for each that the API takes. A test sends every one of them to a served API."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_S3_CONFIG = {
    "provider_type": "s3",
    "region": "us-east-1",
    "credentials": {
        "type": "access_key",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    },
}
_MAPPING = {
    "mappings": {
        "content": {"target_type": "blob", "source": {"type": "file"}, "blob_type": "auto"},
        "owner": {"target_type": "field", "source": {"type": "metadata", "key": "owner"}, "transform": "lowercase"},
    }
}

EXAMPLES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "StorageConnectionCreateRequest": {
            "name": "media-s3",
            "provider_type": "s3",
            "provider_config": _S3_CONFIG,
            "test_before_save": False,
        },
        "StorageConnectionUpdateRequest": {"description": "The media library's storage."},
        "ListConnectionsRequest": {"provider_type": "s3", "is_active": True},
        "BucketCreateRequest": {
            "bucket_name": "library",
            "bucket_schema": {"properties": {"content": {"type": "video"}, "owner": {"type": "string"}}},
            "metadata": {"project": "films"},
        },
        "NoFilters": {},
        "SyncCreateRequest": {
            "connection_id": "media",
            "source_path": "demo-media/films",
            "name": "films-of-today",
            "sync_mode": "continuous",
            "polling_interval_seconds": 300,
            "file_filters": {"extensions": [".mp4", ".mov", ".txt"], "exclude_patterns": ["*/drafts/*"]},
            "schema_mapping": _MAPPING,
        },
        "SyncUpdateRequest": {"polling_interval_seconds": 600, "description": "Every ten minutes."},
        "ListSyncsRequest": {"is_active": True},
        "ListJobsRequest": {"status": "completed"},
        "ListDeadLettersRequest": {"only_max_retries": False, "error_types": ["schema_mismatch"]},
        "RequeueRequest": {"error_types": ["schema_mismatch"]},
        "BulkMarkFailedRequest": {"error_types": ["schema_mismatch"]},
        "ListObjectsRequest": {"source_path_prefix": "films/", "updated_after": "2026-01-01T00:00:00Z"},
        "ListBatchesRequest": {"status": "COMPLETED"},
        "SubmitBatchRequest": {"include_processing_history": True},
    }
)
"""Examples by the name of the body's model; a body of `mixsync demo`'s storage is named as there."""
