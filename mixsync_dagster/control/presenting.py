"""The JSON forms of what is listed: the names that scripts and clients hold on to."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from mixsync_dagster.model.objects import Batch, StoredObject
from mixsync_dagster.model.progress import DeadLetter, RunRecord


def run_form(run: RunRecord) -> dict[str, Any]:
    """Return a run with its counters beside its other fields; `duration_seconds` is None while it is running."""
    ended = run.completed_at
    return {
        "sync_run_id": run.sync_run_id,
        "sync_config_id": run.sync_config_id,
        "status": run.status,
        "trigger": run.trigger,
        "started_at": _moment(run.started_at),
        "completed_at": _moment(ended),
        "duration_seconds": None if ended is None else round((ended - run.started_at).total_seconds(), 3),
        **run.counters.as_dict(),
        "error": run.error,
        "dagster_run_id": run.dagster_run_id,
        "worker_id": run.worker_id,
    }


def object_form(stored: StoredObject) -> dict[str, Any]:
    """Return an object with its fields and blobs."""
    return {
        "object_id": stored.object_id,
        "bucket_id": stored.bucket_id,
        "source_provider": stored.source_provider,
        "source_object_id": stored.source_object_id,
        "source_path": stored.source_path,
        "version": stored.version,
        "state": stored.state,
        "fields": dict(stored.fields),
        "blobs": [asdict(blob) for blob in stored.blobs],
        "batch_id": stored.batch_id,
        "created_at": _moment(stored.created_at),
        "updated_at": _moment(stored.updated_at),
    }


def batch_form(batch: Batch) -> dict[str, Any]:
    """Return a batch."""
    return {name: _plain(value) for name, value in asdict(batch).items()}


def dead_letter_form(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter."""
    return {name: _plain(value) for name, value in asdict(letter).items()}


def _plain(value: Any) -> Any:
    return _moment(value) if isinstance(value, datetime) else value


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
