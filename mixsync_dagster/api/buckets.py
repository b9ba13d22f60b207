"""Buckets, and what syncs put into them: objects and batches."""

from __future__ import annotations

from itertools import islice
from typing import Any

from fastapi import APIRouter

from mixsync_dagster.api import answers, requests
from mixsync_dagster.api.access import Call, Editor, Viewer
from mixsync_dagster.api.bodies import JsonBody, optional, required
from mixsync_dagster.api.forms import batch_answer, bucket_answer, object_answer
from mixsync_dagster.api.operations import operation
from mixsync_dagster.api.paging import Pages, page_of, pagination
from mixsync_dagster.control import buckets
from mixsync_dagster.model.buckets import BucketDefinition

router = APIRouter(prefix="/v1/buckets", tags=["Buckets"])
_ONE = "/{bucket_id}"
_MAX_MEMBERS = 10_000


@operation(
    router,
    "POST",
    "",
    summary="Create a bucket",
    request=requests.BucketCreateRequest,
    answer=answers.Bucket,
    errors=(409,),
)
def create_bucket(call: Editor, body: JsonBody) -> dict[str, Any]:
    """Create a bucket."""
    asked = required(requests.BucketCreateRequest, body)
    made = buckets.create_bucket(
        call.tenant,
        name=asked.bucket_name,
        schema=asked.bucket_schema,
        description=asked.description,
        metadata=asked.metadata,
    )
    return bucket_answer(made, object_count=0)


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
    results, paged, total = page_of(call.tenant.buckets(), pages, key=lambda one: one.bucket_id)
    counted = [_counted(call, one) for one in results]
    return {"results": counted, "pagination": paged, "total": total, "total_count": total}


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
    sync_id = optional(requests.ListObjectsRequest, body).sync_config_id
    if sync_id is not None:
        sync_id = call.tenant.sync(bucket, sync_id).sync_config_id
    # One more than wanted tells whether there is a next page.
    found = call.store.list_objects(
        bucket.bucket_id, after=pages.after, limit=pages.offset + pages.limit + 1, sync_config_id=sync_id
    )[pages.offset :]
    results = found[: pages.limit]
    last = results[-1].object_id if len(found) > pages.limit else None
    total = call.store.count_objects(bucket.bucket_id, sync_config_id=sync_id) if pages.include_total else None
    start = pages.offset if pages.after is None else None
    paged = pagination(pages, start=start, last=last, total=total)
    return {"results": [object_answer(one) for one in results], "pagination": paged}


@operation(router, "GET", f"{_ONE}/objects/{{object_id}}", summary="Get an object", answer=answers.BucketObject)
def get_object(call: Viewer, bucket_id: str, object_id: str) -> dict[str, Any]:
    """Return an object."""
    return object_answer(call.tenant.object(call.tenant.bucket(bucket_id), object_id))


@operation(
    router,
    "POST",
    f"{_ONE}/batches/list",
    summary="List the batches of a bucket, newest first",
    request=requests.NoFilters,
    body_required=False,
    answer=answers.BatchList,
)
def list_batches(call: Viewer, bucket_id: str, pages: Pages, body: JsonBody) -> dict[str, Any]:
    """List batches."""
    bucket = call.tenant.bucket(bucket_id)
    optional(requests.NoFilters, body)
    results, paged, total = page_of(call.tenant.batches(bucket), pages, key=lambda one: one.batch_id)
    return {"results": [batch_answer(one) for one in results], "pagination": paged, "total_count": total}


@operation(
    router,
    "GET",
    f"{_ONE}/batches/{{batch_id}}",
    summary="Get a batch with its objects",
    answer=answers.BatchAnswer,
)
def get_batch(call: Viewer, bucket_id: str, batch_id: str) -> dict[str, Any]:
    """Return a batch."""
    found = call.tenant.batch(call.tenant.bucket(bucket_id), batch_id)
    members = islice(call.services.store.batch_members(found.batch_id), _MAX_MEMBERS)
    return batch_answer(found, object_ids=[member.object_id for member in members])


def _counted(call: Call, bucket: BucketDefinition) -> dict[str, Any]:
    return bucket_answer(bucket, object_count=call.store.count_objects(bucket.bucket_id))
