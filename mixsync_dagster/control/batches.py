"""Handing a batch over on demand, as the run that sealed it would have done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mixsync_dagster.control.owners import new_sync_run_id
from mixsync_dagster.errors import AlreadyLocked, Conflict
from mixsync_dagster.model.objects import Batch
from mixsync_dagster.model.progress import Counters
from mixsync_dagster.ports.bucket import Bucket
from mixsync_dagster.ports.listing import ListingStore
from mixsync_dagster.ports.state import RunStore

_LEASE_SECONDS = 60.0
_WORKER = "submission"


class SubmitStore(RunStore, ListingStore, Protocol):
    """What submitting works on."""


def submit(store: SubmitStore, batch: Batch, *, open_bucket: Callable[[], Bucket]) -> Batch:
    """Hand a sealed batch over and return it as it stands then; one that was handed over stays as it is.

    While a run holds the sync's lock, nothing is done here: the batch is in the outbox, and the run hands it over. Its
    id is the idempotency key, so that a submission repeated after a crash is the same one. Raises Conflict for a batch
    whose sync was deleted before it was handed over, StoreUnavailable.
    """
    if batch.state == "failed":
        raise Conflict(f"batch {batch.batch_id} cannot be submitted, for its sync was deleted before.")
    if batch.state == "submitted":
        return batch
    run_id = new_sync_run_id()
    try:
        lock = store.acquire(batch.sync_config_id, f"{_WORKER}:{run_id}", run_id, ttl_seconds=_LEASE_SECONDS)
    except AlreadyLocked:
        return store.get_batch(batch.batch_id)
    try:
        # Whoever held the lock before may have done it meanwhile.
        if store.get_batch(batch.batch_id).state == "sealed":
            store.claim_submission(lock, batch.batch_id)
            bucket = open_bucket()
            try:
                members = store.batch_members(batch.batch_id)
                done = bucket.submit_batch(batch.batch_id, members, idempotency_key=batch.batch_id)
            finally:
                bucket.close()
            store.record_submission(lock, batch.batch_id, done.task_id, Counters(batches_created=1))
    finally:
        store.release(lock)
    return store.get_batch(batch.batch_id)
