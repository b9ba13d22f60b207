"""The JSON forms of answers: the contract's names, with ours beside them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from mixsync_dagster.control.measuring import Measures
from mixsync_dagster.control.presenting import batch_form, object_form
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.objects import Batch, Blob, StoredObject
from mixsync_dagster.model.progress import MAX_RETRIES, DeadLetter, RunRecord
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.tracing import ItemOutcome

_MAX_ERROR_CHARS = 1000
_WITH_ERRORS = "completed_with_errors"
_BATCH_STATUS = {"sealed": "PENDING", "submitted": "COMPLETED", "failed": "FAILED"}


def sync_answer(sync: SyncConfiguration) -> dict[str, Any]:
    """Return a sync."""
    return sync.model_dump(mode="json")


def bucket_answer(bucket: BucketDefinition, *, object_count: int) -> dict[str, Any]:
    """Return a bucket with its count of objects."""
    return {
        **bucket.model_dump(mode="json", exclude={"mixpeek", "name", "destination"}),
        "bucket_name": bucket.name or bucket.bucket_id,
        "object_count": object_count,
        # What the objects weigh together is not kept; the vendor's client reads no bucket without it.
        "total_size_bytes": 0,
        "status": "ACTIVE",
        "is_locked": False,
    }


def job_status(run: RunRecord) -> str:
    """Return a run's status in the API's words, which know no completed_with_errors."""
    return "completed" if run.status == _WITH_ERRORS else run.status


def statuses_of(status: str) -> tuple[str, ...]:
    """Return the statuses of runs that `job_status` tells so."""
    return (status, _WITH_ERRORS) if status == "completed" else (status,)


def job_answer(sync: SyncConfiguration, run: RunRecord, *, job_id: str | None = None) -> dict[str, Any]:
    """Return a run as a job, under the id that it was asked for by."""
    done, counters = run.completed_at, run.counters
    placed = counters.created + counters.replaced + counters.moved
    seconds = 0.0 if done is None else (done - run.started_at).total_seconds()
    return {
        **_job(sync, job_id or run.sync_run_id),
        "sync_run_id": run.sync_run_id,
        "status": job_status(run),
        "trigger": run.trigger,
        "phase": "downloading" if done is None else "idle",
        "total_files": counters.discovered,
        "files_synced": placed,
        "files_failed": counters.failed,
        "files_verified": counters.unchanged,
        "started_at": _moment(run.started_at),
        "completed_at": _moment(done),
        "updated_at": _moment(done or run.started_at),
        "error": None if run.error is None else run.error[:_MAX_ERROR_CHARS],
        "progress_percent": None if done is None else 100.0,
        "throughput_files_per_min": round(placed * 60 / seconds, 3) if seconds else None,
        "counters": counters.as_dict(),
    }


def queued_job_answer(sync: SyncConfiguration, job_id: str) -> dict[str, Any]:
    """Return a job that was asked for and has not begun."""
    return {**_job(sync, job_id), "status": "running", "phase": "queued"}


def _job(sync: SyncConfiguration, job_id: str) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("sync_run_id", "trigger", "started_at", "completed_at", "updated_at", "error", "resumed_via", "lag_seconds")
    )
    counts = dict.fromkeys(("total_files", "files_synced", "files_failed", "files_verified"), 0)
    return {
        "sync_job_id": job_id,
        "sync_config_id": sync.sync_config_id,
        "internal_id": sync.internal_id,
        "namespace_id": sync.namespace_id,
        **empty,
        **counts,
        "progress_percent": None,
        "throughput_files_per_min": None,
        "current_cursor": None,
        "progress": None,
        "metadata": {},
    }


def metrics_answer(sync: SyncConfiguration, measures: Measures) -> dict[str, Any]:
    """Return a sync's numbers."""
    live = (
        "sync_config_id", "status", "is_active", "paused", "total_files_discovered", "total_files_synced",
        "total_files_failed", "total_bytes_synced", "batches_created", "sync_run_counter", "consecutive_failures",
        "last_error",
    )  # fmt: skip
    return {
        **{name: getattr(sync, name) for name in live},
        "last_sync_at": _moment(sync.last_sync_at),
        "next_sync_at": _moment(sync.next_sync_at),
        "seconds_since_last_sync": measures.seconds_since_last_sync,
        "intervals_since_last_sync": measures.intervals_since_last_sync,
        "stale_after_seconds": measures.stale_after_seconds,
        "is_stale": measures.is_stale,
        "failure_rate": round(measures.failure_rate, 6),
        "healthy": measures.healthy,
        "dlq_total": measures.dead_letters,
        "dlq_by_error": dict(measures.dead_letters_by_error),
        "running_job": measures.running,
        "stalled": measures.stalled,
        "stalled_reason": measures.stalled_reason,
        "last_job": None if measures.last_run is None else job_answer(sync, measures.last_run),
    }


def dead_letter_answer(sync: SyncConfiguration, letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter."""
    return {
        "dlq_id": letter.dead_letter_id,
        "sync_config_id": letter.sync_config_id,
        "sync_job_id": letter.sync_run_id,
        "source_object_id": letter.source_object_id,
        "source_path": letter.source_path,
        "version": letter.version,
        "state": letter.state,
        "error_type": letter.error_type,
        "error_message": letter.error_message,
        "error_stack_trace": None,
        "first_seen_at": _moment(letter.first_seen_at),
        "last_seen_at": _moment(letter.last_seen_at),
        "last_reattempt_at": _moment(letter.last_reattempt_at),
        "retry_count": min(letter.retry_count, MAX_RETRIES),
        "max_retries_reached": letter.state == "quarantined",
        "requeued_at": _moment(letter.requeued_at),
        "resolved_at": _moment(letter.resolved_at),
        "disposal_reason": None,
        "internal_id": sync.internal_id,
        "namespace_id": sync.namespace_id,
        "bucket_id": sync.bucket_id,
    }


def object_answer(stored: StoredObject) -> dict[str, Any]:
    """Return an object, whose fields stand at the root too, where no name of ours stands in their way."""
    own = {
        **object_form(stored),
        "key_prefix": None,
        "status": "COMPLETED",
        "error": None,
        "source_details": [{"type": "bucket", "source_id": stored.bucket_id}],
        "blobs": [_blob(blob) for blob in stored.blobs],
    }
    return {**stored.fields, **own}


def batch_answer(batch: Batch, *, object_ids: list[str] | None = None) -> dict[str, Any]:
    """Return a batch, with its objects where they were asked for."""
    return {
        **batch_form(batch),
        "status": _BATCH_STATUS[batch.state],
        "type": "BUCKET",
        "object_ids": object_ids or [],
        "metadata": {},
        "error": None,
        # The vendor's client does not read a batch without these.
        "max_node_death_resubmits": 0,
        "max_deploy_resubmits": 0,
        "updated_at": _moment(batch.submitted_at or batch.created_at),
    }


def batch_state(status: TaskStatus) -> str | None:
    """Return the state of batches that are told in this status; None: of none."""
    return next((state for state, told in _BATCH_STATUS.items() if told == status), None)


def outcome_answer(outcome: ItemOutcome) -> dict[str, Any]:
    """Return what a run did with an item."""
    return {**asdict(outcome), "at": _moment(outcome.at)}


def task_answer(batch: Batch) -> dict[str, Any]:
    """Return how a batch that was to be handed over stands."""
    return {
        "task_id": batch.task_id or batch.batch_id,
        "task_type": "api_buckets_batches_process",
        "status": _BATCH_STATUS[batch.state],
        "batch_id": batch.batch_id,
        "submitted_at": _moment(batch.submitted_at),
    }


def _blob(blob: Blob) -> dict[str, Any]:
    return {
        "blob_id": blob.sha256,
        "property": blob.property,
        "type": blob.type,
        "filename": blob.filename,
        "mime_type": blob.mime_type,
        "size_bytes": blob.size_bytes,
        "sha256": blob.sha256,
        "properties": {},
        "details": {
            "filename": blob.filename,
            "size_bytes": blob.size_bytes,
            "mime_type": blob.mime_type,
            "hash": blob.sha256,
        },
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
