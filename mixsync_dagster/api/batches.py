"""Batches: objects that syncs handed over for processing together."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

from fastapi import APIRouter

from mixsync_dagster.api import answers, requests
from mixsync_dagster.api.access import Editor, Viewer
from mixsync_dagster.api.bodies import JsonBody, optional
from mixsync_dagster.api.forms import batch_answer, batch_state, task_answer
from mixsync_dagster.api.operations import operation
from mixsync_dagster.api.paging import Pages, part_of, timed_key, told
from mixsync_dagster.api.repeats import Repeatable
from mixsync_dagster.control.batches import submit
from mixsync_dagster.ports.listing import BatchFilter, Listed

router = APIRouter(prefix="/v1/buckets/{bucket_id}/batches", tags=["Batches"])
_ONE = "/{batch_id}"
_MAX_MEMBERS = 10_000


@operation(
    router,
    "POST",
    "/list",
    summary="List the batches of a bucket, newest first",
    request=requests.ListBatchesRequest,
    body_required=False,
    answer=answers.BatchList,
)
def list_batches(call: Viewer, bucket_id: str, pages: Pages, body: JsonBody) -> dict[str, Any]:
    """List batches."""
    bucket = call.tenant.bucket(bucket_id)
    asked = optional(requests.ListBatchesRequest, body)
    # Older clients page this list by its body.
    offset = pages.offset if asked.offset is None or pages.after is not None else asked.offset
    pages = replace(pages, limit=asked.limit or pages.limit, offset=offset)
    sync_id = asked.sync_config_id
    wanted = BatchFilter(
        state=None if asked.status is None else batch_state(asked.status),
        sync_config_id=None if sync_id is None else call.tenant.sync(bucket, sync_id).sync_config_id,
    )
    known = asked.status is None or wanted.state is not None
    found = call.store.list_batches_part(bucket.bucket_id, wanted, part_of(pages)) if known else Listed((), False, 0)
    paged = told(pages, found, key=lambda one: timed_key(one.created_at, one.batch_id))
    return {"results": [batch_answer(one) for one in found.entries], "pagination": paged, "total_count": found.total}


@operation(router, "GET", _ONE, summary="Get a batch with its objects", answer=answers.BatchAnswer)
def get_batch(call: Viewer, bucket_id: str, batch_id: str) -> dict[str, Any]:
    """Return a batch."""
    found = call.tenant.batch(call.tenant.bucket(bucket_id), batch_id)
    members = islice(call.services.store.batch_members(found.batch_id), _MAX_MEMBERS)
    return batch_answer(found, object_ids=[member.object_id for member in members])


@operation(
    router,
    "POST",
    f"{_ONE}/submit",
    summary="Hand a batch over for processing, once; again tells how it stands",
    request=requests.SubmitBatchRequest,
    body_required=False,
    answer=answers.Task,
    errors=(404, 409),
)
def submit_batch(call: Editor, bucket_id: str, batch_id: str, body: JsonBody, once: Repeatable) -> Any:
    """Submit a batch."""
    bucket = call.tenant.bucket(bucket_id)
    found = call.tenant.batch(bucket, batch_id)
    optional(requests.SubmitBatchRequest, body)
    services = call.services

    def make(_: str) -> dict[str, Any]:
        return task_answer(submit(services.store, found, open_bucket=lambda: services.bucket_for(bucket.bucket_id)))

    return once(reserve=lambda: found.batch_id, make=make, find=lambda _: None)
