"""Buckets, and the objects that syncs put into them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from mixsync_dagster.api import answers, requests
from mixsync_dagster.api.access import Call, Editor, Viewer
from mixsync_dagster.api.bodies import JsonBody, optional, required
from mixsync_dagster.api.forms import bucket_answer, object_answer
from mixsync_dagster.api.operations import operation
from mixsync_dagster.api.paging import Pages, pagination, told
from mixsync_dagster.api.repeats import Repeatable
from mixsync_dagster.control import buckets
from mixsync_dagster.control.owners import new_bucket_id
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.ports.listing import ObjectFilter

router = APIRouter(prefix="/v1/buckets", tags=["Buckets"])
_ONE = "/{bucket_id}"


@operation(
    router,
    "POST",
    "",
    summary="Create a bucket",
    request=requests.BucketCreateRequest,
    answer=answers.Bucket,
    errors=(409,),
)
def create_bucket(call: Editor, body: JsonBody, once: Repeatable) -> Any:
    """Create a bucket."""

    def make(bucket_id: str) -> dict[str, Any]:
        asked = required(requests.BucketCreateRequest, body)
        made = buckets.create_bucket(
            call.tenant,
            bucket_id,
            name=asked.bucket_name,
            schema=asked.bucket_schema,
            description=asked.description,
            metadata=asked.metadata,
        )
        call.made.append(f"bucket {made.bucket_id}")
        return bucket_answer(made, object_count=0)

    return once(reserve=new_bucket_id, make=make, find=lambda bucket_id: _counted(call, call.tenant.bucket(bucket_id)))


@operation(
    router,
    "POST",
    "/list",
    summary="List buckets, by id",
    request=requests.NoFilters,
    body_required=False,
    answer=answers.BucketList,
    errors=(),
)
def list_buckets(call: Viewer, pages: Pages, body: JsonBody) -> dict[str, Any]:
    """List buckets."""
    optional(requests.NoFilters, body)
    found = call.tenant.buckets_part(after=pages.after, offset=pages.offset, limit=pages.limit)
    counts = call.store.count_objects_of([one.bucket_id for one in found.entries])
    results = [bucket_answer(one, object_count=counts[one.bucket_id]) for one in found.entries]
    paged = told(pages, found, key=lambda one: one.bucket_id)
    return {"results": results, "pagination": paged, "total": found.total, "total_count": found.total}


@operation(router, "GET", _ONE, summary="Get a bucket by id or name", answer=answers.Bucket)
def get_bucket(call: Viewer, bucket_id: str) -> dict[str, Any]:
    """Return a bucket."""
    return _counted(call, call.tenant.bucket(bucket_id))


@operation(
    router,
    "DELETE",
    _ONE,
    summary="Delete a bucket without syncs and objects",
    answer=answers.Deleted,
    errors=(404, 409),
)
def delete_bucket(call: Editor, bucket_id: str) -> dict[str, Any]:
    """Delete an empty bucket."""
    buckets.delete_bucket(call.tenant, call.tenant.bucket(bucket_id))
    return {"message": "Successfully deleted", "success": True}


@operation(
    router,
    "POST",
    f"{_ONE}/objects/list",
    summary="List the objects of a bucket, by id",
    request=requests.ListObjectsRequest,
    body_required=False,
    answer=answers.ObjectList,
)
def list_objects(call: Viewer, bucket_id: str, pages: Pages, body: JsonBody) -> dict[str, Any]:
    """List objects."""
    bucket = call.tenant.bucket(bucket_id)
    wanted = _objects_wanted(call, bucket, optional(requests.ListObjectsRequest, body))
    found, more = call.store.list_objects_part(
        bucket.bucket_id, wanted, after=pages.after, offset=pages.offset, limit=pages.limit
    )
    total = call.store.count_objects_where(bucket.bucket_id, wanted) if pages.include_total else None
    paged = pagination(pages, last=found[-1].object_id if found and more else None, total=total)
    return {"results": [object_answer(one) for one in found], "pagination": paged}


@operation(router, "GET", f"{_ONE}/objects/{{object_id}}", summary="Get an object", answer=answers.BucketObject)
def get_object(call: Viewer, bucket_id: str, object_id: str) -> dict[str, Any]:
    """Return an object."""
    return object_answer(call.tenant.object(call.tenant.bucket(bucket_id), object_id))


def _objects_wanted(call: Call, bucket: BucketDefinition, asked: requests.ListObjectsRequest) -> ObjectFilter:
    """Return the filter; what it names has to be there. Raises NotFound."""
    sync_id, batch_id = asked.sync_config_id, asked.batch_id
    return ObjectFilter(
        sync_config_id=None if sync_id is None else call.tenant.sync(bucket, sync_id).sync_config_id,
        batch_id=None if batch_id is None else call.tenant.batch(bucket, batch_id).batch_id,
        path_prefix=asked.source_path_prefix,
        updated_after=asked.updated_after,
        updated_before=asked.updated_before,
    )


def _counted(call: Call, bucket: BucketDefinition) -> dict[str, Any]:
    return bucket_answer(bucket, object_count=call.store.count_objects(bucket.bucket_id))
