"""How the syncs of a bucket did, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from mixsync_dagster.api import reports
from mixsync_dagster.api.access import Viewer
from mixsync_dagster.api.operations import operation
from mixsync_dagster.control.analytics import Span, bucket_health
from mixsync_dagster.ports.analytics import RunNumbers, SyncNumbers

router = APIRouter(prefix="/v1/analytics/buckets/{bucket_id}", tags=["Analytics"])

_WEEK_HOURS = 168
_MOST_HOURS = 720
_MEGA = 1_000_000
_WITH_ERRORS = "completed_with_errors"

Hours = Annotated[int, Query(ge=1, le=_MOST_HOURS, description="How many hours back are looked at.")]


@operation(
    router,
    "GET",
    "/sync-performance",
    summary="The newest runs of a bucket's syncs, and their sums",
    answer=reports.SyncPerformance,
)
def get_sync_performance(
    call: Viewer,
    bucket_id: str,
    sync_config_id: Annotated[str | None, Query(max_length=100, description="Only this sync, by id or name.")] = None,
    hours: Hours = _WEEK_HOURS,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most runs to tell.")] = 100,
) -> dict[str, Any]:
    """Return runs, newest first."""
    bucket, span = call.tenant.bucket(bucket_id), Span.of_hours(hours, call.now)
    chosen = None if sync_config_id is None else call.tenant.sync(bucket, sync_config_id).sync_config_id
    store = call.services.store
    runs = store.run_numbers(bucket.bucket_id, sync_config_id=chosen, since=span.start, limit=limit)
    syncs = store.sync_numbers(bucket.bucket_id, sync_config_id=chosen, since=span.start)
    return {
        "bucket_id": bucket.bucket_id,
        "sync_config_id": chosen,
        "time_range": _range(span),
        "runs": [_run(run, span.end) for run in runs],
        "summary": _summary(syncs),
    }


@operation(
    router, "GET", "/sync-comparison", summary="A bucket's syncs beside each other", answer=reports.SyncComparison
)
def get_sync_comparison(call: Viewer, bucket_id: str, hours: Hours = _WEEK_HOURS) -> dict[str, Any]:
    """Return the sums of every sync."""
    bucket, span = call.tenant.bucket(bucket_id), Span.of_hours(hours, call.now)
    syncs = call.services.store.sync_numbers(bucket.bucket_id, sync_config_id=None, since=span.start)
    configs = [
        {
            "sync_config_id": one.sync_config_id,
            "provider_type": one.provider_type,
            "avg_duration_seconds": round(one.seconds / max(1, one.finished), 3),
            "avg_throughput_mbps": _throughput(one.bytes, one.seconds),
            "success_rate": _share(one.successful, one.finished),
            "total_files_synced": one.synced,
            "total_bytes_synced": one.bytes,
        }
        for one in syncs
    ]
    return {"bucket_id": bucket.bucket_id, "time_range": _range(span), "configs": configs}


@operation(
    router,
    "GET",
    "/health",
    summary="What failed in a bucket's syncs, and which are stuck",
    answer=reports.BucketHealth,
)
def get_bucket_health(call: Viewer, bucket_id: str, hours: Hours = 24) -> dict[str, Any]:
    """Return the health of a bucket."""
    bucket, span = call.tenant.bucket(bucket_id), Span.of_hours(hours, call.now)
    told = bucket_health(call.services.store, bucket.bucket_id, span)
    total = sum(error.count for error in told.errors)
    return {
        "bucket_id": bucket.bucket_id,
        "time_range": _range(span),
        "overall_health": told.overall,
        "total_errors": total,
        "error_breakdown": [
            {
                "error_type": error.error_type,
                "count": error.count,
                "percentage": round(100 * error.count / total, 2),
                "first_seen": error.first_seen_at.isoformat(),
                "last_seen": error.last_seen_at.isoformat(),
            }
            for error in told.errors
        ],
        "sync_health": [
            {
                "sync_config_id": one.sync_config_id,
                "consecutive_failures": one.consecutive_failures,
                "last_success_at": _moment(one.last_success_at),
                "last_failure_at": _moment(one.last_failure_at),
                "failure_rate": _share(one.finished - one.successful, one.finished),
            }
            for one in told.syncs
        ],
        "stuck_syncs": list(told.stuck),
    }


def _run(run: RunNumbers, now: datetime) -> dict[str, Any]:
    seconds = ((run.completed_at or now) - run.started_at).total_seconds()
    return {
        "sync_run_id": run.sync_run_id,
        "sync_config_id": run.sync_config_id,
        "started_at": run.started_at.isoformat(),
        "duration_seconds": round(max(0.0, seconds), 3),
        "files_discovered": run.discovered,
        "files_synced": run.synced,
        "files_failed": run.failed,
        "bytes_synced": run.bytes,
        "throughput_mbps": _throughput(run.bytes, seconds),
        "status": "completed" if run.status == _WITH_ERRORS else run.status,
        "provider_type": run.provider_type,
    }


def _summary(syncs: Sequence[SyncNumbers]) -> dict[str, Any]:
    finished, seconds = sum(one.finished for one in syncs), sum(one.seconds for one in syncs)
    size = sum(one.bytes for one in syncs)
    return {
        "finished_runs": finished,
        "success_rate": _share(sum(one.successful for one in syncs), finished),
        "avg_duration_seconds": round(seconds / max(1, finished), 3),
        "avg_throughput_mbps": _throughput(size, seconds),
        "total_files_synced": sum(one.synced for one in syncs),
        "total_files_failed": sum(one.failed for one in syncs),
        "total_bytes_synced": size,
    }


def _throughput(size_bytes: int, seconds: float) -> float:
    return round(size_bytes / _MEGA / seconds, 6) if seconds > 0 else 0.0


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _range(span: Span) -> dict[str, str]:
    return {"start": span.start.isoformat(), "end": span.end.isoformat()}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
