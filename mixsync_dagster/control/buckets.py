"""What a tenant may do to its buckets: make them, and take empty ones away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mixsync_dagster.control.tenancy import Tenant
from mixsync_dagster.model.buckets import BucketDefinition, BucketSchema
from mixsync_dagster.model.schema_fit import check_no_defaults


def create_bucket(
    tenant: Tenant,
    bucket_id: str,
    *,
    name: str,
    schema: BucketSchema | None,
    description: str | None,
    metadata: Mapping[str, Any] | None,
) -> BucketDefinition:
    """Store a new embedded bucket of the tenant under an id and return it.

    Raises InvalidInput for a schema that an embedded bucket cannot keep.
    """
    if schema is not None:
        check_no_defaults(schema, where="bucket_schema")
    return tenant.save_new_bucket(
        BucketDefinition(
            bucket_id=bucket_id,
            name=name,
            description=description,
            bucket_schema=schema,
            metadata=dict(metadata or {}),
        )
    )


def delete_bucket(tenant: Tenant, bucket: BucketDefinition) -> None:
    """Take an empty bucket away. Raises Conflict while it has syncs or objects."""
    tenant.store.delete_empty_bucket(bucket.bucket_id)
