"""What runs of a sync did, and which items they failed with."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from mixsync_dagster.api import answers, requests
from mixsync_dagster.api.access import Editor, Viewer
from mixsync_dagster.api.bodies import JsonBody, optional, required
from mixsync_dagster.api.forms import dead_letter_answer, job_answer, metrics_answer, queued_job_answer, statuses_of
from mixsync_dagster.api.operations import operation
from mixsync_dagster.api.paging import LongPages, Pages, part_of, timed_key, told
from mixsync_dagster.api.syncs import found_sync
from mixsync_dagster.control.dead_letters import OPEN_STATES, Choice, discard, requeue
from mixsync_dagster.control.jobs import find_job
from mixsync_dagster.control.measuring import measure

router = APIRouter(prefix="/v1/buckets/{bucket_id}/syncs/{sync_config_id}", tags=["Sync jobs"])

_GIVEN_UP = "marked as failed through the API"


@operation(
    router,
    "POST",
    "/jobs",
    summary="List the runs of a sync, newest first",
    request=requests.ListJobsRequest,
    body_required=False,
    answer=answers.JobList,
)
def list_jobs(call: Viewer, bucket_id: str, sync_config_id: str, pages: Pages, body: JsonBody) -> dict[str, Any]:
    """List runs."""
    sync = found_sync(call, bucket_id, sync_config_id)
    asked = optional(requests.ListJobsRequest, body)
    statuses = None if asked.status is None else statuses_of(asked.status)
    found = call.store.list_runs_part(sync.sync_config_id, statuses, part_of(pages))
    paged = told(pages, found, key=lambda run: timed_key(run.started_at, run.sync_run_id))
    return {"results": [job_answer(sync, run) for run in found.entries], "pagination": paged, "total": found.total}


@operation(
    router,
    "GET",
    "/jobs/{sync_job_id}",
    summary="Get a run, by its id or by the id that trigger answered with",
    answer=answers.Job,
)
def get_job(call: Viewer, bucket_id: str, sync_config_id: str, sync_job_id: str) -> dict[str, Any]:
    """Return a run."""
    sync = found_sync(call, bucket_id, sync_config_id)
    run = find_job(call.tenant, sync, sync_job_id)
    return queued_job_answer(sync, sync_job_id) if run is None else job_answer(sync, run, job_id=sync_job_id)


@operation(router, "GET", "/metrics", summary="Get a sync's numbers and whether it is well", answer=answers.SyncMetrics)
def get_metrics(call: Viewer, bucket_id: str, sync_config_id: str) -> dict[str, Any]:
    """Return the numbers of a sync."""
    sync = found_sync(call, bucket_id, sync_config_id)
    return metrics_answer(sync, measure(call.services.store, sync, call.now))


@operation(
    router,
    "POST",
    "/dlq",
    summary="List the dead letters of a sync: items that failed, with their reasons",
    request=requests.ListDeadLettersRequest,
    body_required=False,
    answer=answers.DeadLetterList,
)
def list_dead_letters(
    call: Viewer, bucket_id: str, sync_config_id: str, pages: LongPages, body: JsonBody
) -> dict[str, Any]:
    """List dead letters that are waiting or out of retries, by id."""
    sync = found_sync(call, bucket_id, sync_config_id)
    asked = optional(requests.ListDeadLettersRequest, body)
    states = ("quarantined",) if asked.only_max_retries else OPEN_STATES
    found = call.store.list_letters(
        sync.sync_config_id, states=states, error_types=asked.error_types, limit=pages.limit, after=pages.after
    )
    paged = told(pages, found, key=lambda letter: letter.dead_letter_id)
    results = [dead_letter_answer(sync, letter) for letter in found.entries]
    return {"results": results, "pagination": paged, "total": found.total}


@operation(
    router,
    "POST",
    "/dlq/requeue",
    summary="Let dead letters that are out of retries be tried again",
    request=requests.RequeueRequest,
    body_required=False,
    answer=answers.Requeued,
)
def requeue_dead_letters(call: Editor, bucket_id: str, sync_config_id: str, body: JsonBody) -> dict[str, Any]:
    """Requeue dead letters."""
    sync = found_sync(call, bucket_id, sync_config_id)
    asked = optional(requests.RequeueRequest, body)
    return {"requeued": requeue(call.store, sync.sync_config_id, Choice(error_types=asked.error_types))}


@operation(
    router,
    "POST",
    "/dlq/bulk-mark-failed",
    summary="Give dead letters up; their items are left alone until they change",
    request=requests.BulkMarkFailedRequest,
    answer=answers.MarkedFailed,
)
def mark_dead_letters_failed(call: Editor, bucket_id: str, sync_config_id: str, body: JsonBody) -> dict[str, Any]:
    """Give dead letters up."""
    sync = found_sync(call, bucket_id, sync_config_id)
    asked = required(requests.BulkMarkFailedRequest, body)
    choice = Choice(error_types=asked.error_types)
    return {"updated": discard(call.store, sync.sync_config_id, choice, reason=_GIVEN_UP)}
