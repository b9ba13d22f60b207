"""What a sync would do, why an item is or is not in the bucket, and what a run did with each."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from threading import BoundedSemaphore
from typing import Annotated, Any

from fastapi import APIRouter, Query

from mixsync_dagster.api import reports
from mixsync_dagster.api.access import Viewer
from mixsync_dagster.api.failures import ApiError, invalid_query
from mixsync_dagster.api.forms import outcome_answer
from mixsync_dagster.api.operations import operation
from mixsync_dagster.api.paging import Pages, pagination
from mixsync_dagster.api.syncs import found_sync
from mixsync_dagster.control.jobs import find_job
from mixsync_dagster.engine.dry_run import plan_sync
from mixsync_dagster.engine.explaining import explain_item
from mixsync_dagster.errors import NotFound

router = APIRouter(prefix="/v1/buckets/{bucket_id}/syncs/{sync_config_id}", tags=["Explaining"])

LOOK_SECONDS = 30.0
"""How long a request lists a source; commands take all the time that they need."""
LOOKS_AT_ONCE = 4
_LOOKS = BoundedSemaphore(LOOKS_AT_ONCE)
_PLAN = "Tell what a run would do now; nothing is written, and no content is read"


@contextmanager
def _looking() -> Iterator[None]:
    """Let few requests at once list their sources: each holds a thread that others need for answers in no time."""
    if not _LOOKS.acquire(blocking=False):
        said = "other requests list their sources at the moment; come back in a few seconds."
        raise ApiError(503, "busy", said)
    try:
        yield
    finally:
        _LOOKS.release()


def plan(call: Viewer, bucket_id: str, sync_config_id: str) -> dict[str, Any]:
    """Plan a run."""
    sync = found_sync(call, bucket_id, sync_config_id)
    tools = call.services.tools_for(sync, patient=False)
    try:
        with _looking():
            return asdict(plan_sync(tools, sync, seconds=LOOK_SECONDS))
    finally:
        tools.close()


@operation(router, "GET", "/plan", summary=_PLAN, answer=reports.Plan)
def plan_run(call: Viewer, bucket_id: str, sync_config_id: str) -> dict[str, Any]:
    """Plan a run."""
    return plan(call, bucket_id, sync_config_id)


@operation(router, "POST", "/plan", summary=_PLAN, answer=reports.Plan)
def plan_run_by_post(call: Viewer, bucket_id: str, sync_config_id: str) -> dict[str, Any]:
    """Plan a run."""
    return plan(call, bucket_id, sync_config_id)


@operation(router, "GET", "/explain", summary="Tell why an item is or is not in the bucket", answer=reports.Explanation)
def explain(
    call: Viewer,
    bucket_id: str,
    sync_config_id: str,
    path: Annotated[
        str,
        Query(
            min_length=1,
            max_length=4096,
            description="The item's path at its source, or its source object id.",
            examples=["films/a.txt"],
        ),
    ],
    from_source: Annotated[
        bool, Query(description="Whether the source is listed too, for half a minute at most.")
    ] = False,
) -> dict[str, Any]:
    """Explain one item."""
    sync = found_sync(call, bucket_id, sync_config_id)
    tools = call.services.tools_for(sync, patient=False)
    seconds = LOOK_SECONDS if from_source else None
    try:
        with _looking() if from_source else nullcontext():
            told = explain_item(tools, call.services.store, sync, path, look_seconds=seconds)
    finally:
        tools.close()
    return {"sync_config_id": sync.sync_config_id, **told.as_dict()}


@operation(
    router,
    "GET",
    "/runs/{sync_job_id}/report",
    summary="Tell what a run did with each item",
    answer=reports.RunReport,
)
def report_run(call: Viewer, bucket_id: str, sync_config_id: str, sync_job_id: str, pages: Pages) -> dict[str, Any]:
    """Report on a run, by its id or by the id that trigger answered with."""
    sync = found_sync(call, bucket_id, sync_config_id)
    run = find_job(call.tenant, sync, sync_job_id)
    if run is None:
        raise NotFound("the run has not begun; there is nothing to report.")
    store = call.services.store
    found, more = store.run_outcomes(run, after=_pair(pages.after), offset=pages.offset, limit=pages.limit)
    last = _key(found[-1].outcome, found[-1].source_object_id) if found and more else None
    total = store.count_run_outcomes(run) if pages.include_total else None
    return {
        "sync_run_id": run.sync_run_id,
        "sync_config_id": run.sync_config_id,
        "status": run.status,
        "counters": run.counters.as_dict(),
        "results": [outcome_answer(one) for one in found],
        "pagination": pagination(pages, last=last, total=total),
    }


def _key(outcome: str, source_object_id: str) -> str:
    # A source object id may hold anything, and a cursor ASCII only.
    return f"{outcome}:{base64.b16encode(source_object_id.encode('utf-8', 'surrogatepass')).decode('ascii')}"


def _pair(key: str | None) -> tuple[str, str] | None:
    if key is None:
        return None
    outcome, colon, encoded = key.partition(":")
    try:
        identifier = base64.b16decode(encoded).decode("utf-8", "surrogatepass")
    except ValueError:
        colon = ""
    if not colon:
        raise invalid_query("cursor", "give a page's next_cursor as it is")
    return identifier, outcome
