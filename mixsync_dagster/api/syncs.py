"""Syncs of a bucket, and what may be done to them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from mixsync_dagster.api import answers, requests
from mixsync_dagster.api.access import Call, Editor, Viewer
from mixsync_dagster.api.bodies import JsonBody, optional, patch, required
from mixsync_dagster.api.forms import sync_answer
from mixsync_dagster.api.operations import operation
from mixsync_dagster.api.paging import Pages, part_of, timed_key, told
from mixsync_dagster.api.repeats import Repeatable
from mixsync_dagster.control import syncs
from mixsync_dagster.control.admitting import admit_sync
from mixsync_dagster.control.jobs import has_begun, next_job_id
from mixsync_dagster.control.owners import new_sync_config_id
from mixsync_dagster.model.syncs import SyncConfiguration, SyncCreateRequest, SyncUpdateRequest
from mixsync_dagster.ports.listing import SyncFilter

router = APIRouter(prefix="/v1/buckets/{bucket_id}/syncs", tags=["Bucket syncs"])
_ONE = "/{sync_config_id}"


def found_sync(call: Call, bucket_id: str, sync_config_id: str) -> SyncConfiguration:
    """Return the sync of a bucket. Raises NotFound."""
    return call.tenant.sync(call.tenant.bucket(bucket_id), sync_config_id)


@operation(
    router,
    "POST",
    "",
    summary="Create a sync; its connection, source path, filters and mapping are checked before",
    request=SyncCreateRequest,
    answer=SyncConfiguration,
    errors=(404, 409),
)
def create_sync(call: Editor, bucket_id: str, body: JsonBody, once: Repeatable) -> Any:
    """Create a sync."""
    bucket = call.tenant.bucket(bucket_id)

    def make(sync_config_id: str) -> dict[str, Any]:
        request = required(SyncCreateRequest, body)
        made = admit_sync(
            call.store,
            request,
            bucket=bucket,
            connection=call.tenant.usable_connection(request.connection_id),
            config_of=call.services.usable_config,
            check=call.check_source,
            now=call.now,
            owner=call.owner,
            sync_config_id=sync_config_id,
        )
        call.made.append(f"sync {made.sync_config_id}")
        return sync_answer(made)

    return once(reserve=new_sync_config_id, make=make, find=lambda made: sync_answer(call.tenant.sync(bucket, made)))


@operation(
    router,
    "POST",
    "/list",
    summary="List the syncs of a bucket, newest first",
    request=requests.ListSyncsRequest,
    body_required=False,
    answer=answers.SyncList,
)
def list_syncs(call: Viewer, bucket_id: str, pages: Pages, body: JsonBody) -> dict[str, Any]:
    """List syncs."""
    bucket = call.tenant.bucket(bucket_id)
    asked = optional(requests.ListSyncsRequest, body)
    wanted = SyncFilter(asked.connection_id, asked.status, asked.is_active)
    found = call.store.list_syncs_part(bucket.bucket_id, wanted, part_of(pages))
    paged = told(pages, found, key=lambda one: timed_key(one.created_at, one.sync_config_id))
    return {"results": [sync_answer(one) for one in found.entries], "pagination": paged, "total": found.total}


@operation(router, "GET", _ONE, summary="Get a sync with its live status", answer=SyncConfiguration)
def get_sync(call: Viewer, bucket_id: str, sync_config_id: str) -> dict[str, Any]:
    """Return a sync."""
    return sync_answer(found_sync(call, bucket_id, sync_config_id))


@operation(
    router,
    "PATCH",
    _ONE,
    summary="Change a sync; the new values count from its next run on",
    request=SyncUpdateRequest,
    answer=SyncConfiguration,
    errors=(404, 409),
)
def update_sync(call: Editor, bucket_id: str, sync_config_id: str, body: JsonBody) -> dict[str, Any]:
    """Change a sync."""
    found = found_sync(call, bucket_id, sync_config_id)
    return sync_answer(syncs.update_sync(call.store, found, patch(SyncUpdateRequest, body), owner=call.owner))


@operation(
    router,
    "DELETE",
    _ONE,
    summary="Delete a sync; its objects and batches stay",
    answer=answers.Deleted,
)
def delete_sync(call: Editor, bucket_id: str, sync_config_id: str) -> dict[str, Any]:
    """Delete a sync."""
    call.store.delete_sync(found_sync(call, bucket_id, sync_config_id).sync_config_id)
    return {"message": "Successfully deleted", "success": True}


@operation(
    router,
    "POST",
    f"{_ONE}/pause",
    summary="Start no new run; one that is under way ends by itself",
    answer=SyncConfiguration,
)
def pause_sync(call: Editor, bucket_id: str, sync_config_id: str) -> dict[str, Any]:
    """Pause a sync."""
    return sync_answer(syncs.pause(call.store, found_sync(call, bucket_id, sync_config_id), owner=call.owner))


@operation(
    router,
    "POST",
    f"{_ONE}/resume",
    summary="Let a paused sync run again; it is due now",
    answer=SyncConfiguration,
)
def resume_sync(call: Editor, bucket_id: str, sync_config_id: str) -> dict[str, Any]:
    """Resume a sync."""
    return sync_answer(syncs.resume(call.store, found_sync(call, bucket_id, sync_config_id), owner=call.owner))


@operation(
    router,
    "POST",
    f"{_ONE}/trigger",
    summary="Ask for a run now, which a running Dagster daemon starts within seconds",
    answer=answers.Triggered,
    errors=(404, 409),
)
def trigger_sync(
    call: Editor,
    bucket_id: str,
    sync_config_id: str,
    once: Repeatable,
    full_sync: Annotated[bool, Query(description="A pass from the start, even if one could be resumed.")] = False,
) -> Any:
    """Ask for a run."""
    found = found_sync(call, bucket_id, sync_config_id)

    def told(job_id: str | None, status: str) -> dict[str, Any]:
        return {
            "sync_job_id": job_id,
            "sync_config_id": found.sync_config_id,
            "status": status,
            "full_sync": full_sync,
        }

    def make(job_id: str) -> dict[str, Any]:
        if syncs.trigger(call.store, found, full_sync=full_sync).accepted:
            return told(job_id, "dispatched")
        return told(found.current_sync_run_id, "skipped_already_running")

    def find(job_id: str) -> dict[str, Any] | None:
        # Once the run has begun, asking again would ask for another one.
        return told(job_id, "dispatched") if has_begun(found, job_id) else None

    return once(reserve=lambda: next_job_id(found), make=make, find=find)


@operation(
    router,
    "POST",
    f"{_ONE}/unlock",
    summary="Take the lock away from its holder, which can then write nothing more",
    answer=answers.Unlocked,
)
def unlock_sync(call: Editor, bucket_id: str, sync_config_id: str) -> dict[str, Any]:
    """Unlock a sync."""
    holder = syncs.unlock(call.store, found_sync(call, bucket_id, sync_config_id))
    return {"success": True, "was_locked": holder is not None, "previous_worker_id": holder}
