"""Buckets that another service keeps: what a sync's mapping has to fit there, and how submitted batches do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from mixsync_dagster.control.syncs import check_mapping
from mixsync_dagster.errors import ConfigurationError, MixsyncError, NotFound, Throttled
from mixsync_dagster.model.buckets import BucketDefinition, BucketSchema
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.control import ConfigStore
from mixsync_dagster.ports.hosted import BatchPolls, BatchProgress, UnfinishedBatch

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
AFTER_FAILURE_SECONDS = 60.0
"""Until a batch that could not be asked about is asked about again."""

BATCHES_AT_ONCE = 50
"""Most batches asked about by one call; the others are due for the next one."""

ENDED = frozenset({"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED", "UNKNOWN"})
"""Statuses of batches that nobody asks about any more."""


class ProgressReader(Protocol):
    """A bucket that tells how its batches do."""

    def batch_progress(self, batch: UnfinishedBatch) -> BatchProgress:
        """Return how a batch's processing goes. Raises Throttled, ConfigurationError."""
        ...

    def close(self) -> None:
        """Free connections."""
        ...


@dataclass
class Polled:
    """What asking about batches led to."""

    asked: int = 0
    ended: dict[str, dict[str, int]] = field(default_factory=dict)
    """How many batches ended in each status, by sync."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why a bucket could not be asked, by bucket."""


def fitting(store: ConfigStore, sync: SyncConfiguration, bucket: BucketDefinition) -> Callable[[BucketSchema], None]:
    """Return what raises InvalidInput for a schema that the sync's mapping does not fit."""

    def check(schema: BucketSchema) -> None:
        provider = store.get_connection(sync.connection_id).provider_type
        there = bucket.model_copy(update={"bucket_schema": schema})
        check_mapping(sync.schema_mapping, provider, there, where=f"syncs.{sync.name}.schema_mapping")

    return check


def poll_batches(store: BatchPolls, open_bucket: Callable[[str], ProgressReader], clock: Clock) -> Polled:
    """Ask about the batches that are due and note what is told; a batch is due 1 second after, then up to 30.

    A bucket that fails is asked again a minute later, and no other one waits for it. Raises StoreUnavailable.
    """
    polled = Polled()
    buckets: dict[str, ProgressReader] = {}
    try:
        for batch in store.unfinished_batches(due_at=clock.now(), limit=BATCHES_AT_ONCE):
            if batch.bucket_id in polled.failures:
                _ask_later(store, batch, clock)
                continue
            try:
                if batch.bucket_id not in buckets:
                    buckets[batch.bucket_id] = open_bucket(batch.bucket_id)
                told = buckets[batch.bucket_id].batch_progress(batch)
            except NotFound:
                # The bucket is gone from here; nobody wants to know any more.
                store.record_progress(batch.batch_id, BatchProgress("UNKNOWN", "the bucket is not defined any more"))
            except (Throttled, ConfigurationError) as error:
                polled.failures[batch.bucket_id] = str(error)
                _ask_later(store, batch, clock)
            else:
                _note(store, batch, told, polled, clock)
    finally:
        for bucket in buckets.values():
            with suppress(MixsyncError):
                bucket.close()
    return polled


def processing(store: BatchPolls, sync: SyncConfiguration) -> Mapping[str, int]:
    """Return how many of the sync's submitted batches are in each status of their processing; empty when embedded."""
    return store.task_statuses(sync.sync_config_id)


def _note(store: BatchPolls, batch: UnfinishedBatch, told: BatchProgress, polled: Polled, clock: Clock) -> None:
    polled.asked += 1
    if told.task_status in ENDED:
        store.record_progress(batch.batch_id, told)
        counts = polled.ended.setdefault(batch.sync_config_id, {})
        counts[told.task_status] = counts.get(told.task_status, 0) + 1
        return
    wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(batch.polls, 10))
    store.record_progress(batch.batch_id, replace(told, ask_again_at=clock.now() + timedelta(seconds=wait)))


def _ask_later(store: BatchPolls, batch: UnfinishedBatch, clock: Clock) -> None:
    again = clock.now() + timedelta(seconds=AFTER_FAILURE_SECONDS)
    store.record_progress(batch.batch_id, BatchProgress(None, ask_again_at=again))
