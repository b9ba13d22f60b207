"""The state store: locks, progress, inventory, catalog, dead letters, batches, configuration, dispatching.

One database serves all of it, so that effects and progress commit together. Each consumer gets the small protocol it
needs; one adapter implements them all. Every method is one transaction unless it says otherwise; reads see committed
data only. Any of them may raise StoreUnavailable. Times are aware UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from mixsync_dagster.model.objects import Batch, BatchMember, StoredObject
from mixsync_dagster.model.progress import (
    Checkpoint,
    Commit,
    Counters,
    DeadLetter,
    Intent,
    Outcome,
    RunRecord,
)
from mixsync_dagster.model.syncs import SyncConfiguration


@dataclass(frozen=True, slots=True)
class SyncLock:
    """The right to run one sync until `expires_at`; `generation` grows with every acquisition and fences writes."""

    sync_config_id: str
    worker_id: str
    sync_run_id: str
    generation: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Removal:
    """An inventory row whose item is gone. `shared`: another sync still holds the object, which therefore stays."""

    source_object_id: str
    object_id: str
    shared: bool


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A sealed batch that waits to be submitted; `batch_id` is its idempotency key."""

    batch_id: str
    bucket_id: str
    attempts: int


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What finish_run decided; written with the release of the lock in one transaction."""

    outcome: Outcome
    error: str | None
    error_class: str | None
    """configuration, credential, outage, guard or internal; None without an error."""
    status: str
    """The sync's TaskStatus value from now on."""
    is_active: bool
    next_sync_at: datetime | None
    successful: bool
    """Whether last_sync_at moves to the run's start.

    consecutive_failures follows the outcome: FAILED adds one, COMPLETED and COMPLETED_WITH_ERRORS set it to 0, the
    others leave it.
    """
    paused_reason: str | None = None
    """Set when the run pauses its sync (guard, credential, five failures in a row)."""
    feed_cursor: str | None = None
    """Where the change feed goes on after this pass; None leaves that as it is."""
    full_pass: bool = False
    """Whether the pass listed everything, without a gap."""
    keep_checkpoint: bool = False
    """True when the pass goes on in the next run (cap reached, interrupted)."""


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """Where a sync's change feed goes on, and when everything was listed last, by the start of that run."""

    cursor: str
    full_pass_at: datetime


class RunStore(Protocol):
    """What a run needs. All writes take the lock and raise LockLost, writing nothing, when its generation is stale."""

    def acquire(self, sync_config_id: str, worker_id: str, sync_run_id: str, *, ttl_seconds: float) -> SyncLock:
        """Take the sync's lock if it is free or expired. Raises AlreadyLocked, NotFound."""
        ...

    def renew(self, lock: SyncLock, *, ttl_seconds: float) -> SyncLock:
        """Extend a held lock, expired or not, as long as no newer generation took over. Raises LockLost."""
        ...

    def release(self, lock: SyncLock) -> None:
        """Free the lock, keeping its generation. Twice, or after a takeover, does nothing."""
        ...

    def load_sync(self, sync_config_id: str) -> SyncConfiguration:
        """Return the configuration with its live status and counters. Raises NotFound."""
        ...

    def start_run(self, lock: SyncLock, run: RunRecord) -> None:
        """Record a running run, make it the sync's current one and count it.

        Closes older runs left `running` as interrupted.
        """
        ...

    def get_run(self, sync_run_id: str) -> RunRecord:
        """Return one run with its counters so far. Raises NotFound."""
        ...

    def list_runs(self, sync_config_id: str, *, limit: int = 20) -> Sequence[RunRecord]:
        """Do as `ControlStore.list_runs`."""
        ...

    def load_checkpoint(self, sync_config_id: str) -> Checkpoint | None:
        """Return the progress of an unfinished pass, or None; `pass_number` counting goes on by `last_pass_number`."""
        ...

    def load_feed(self, sync_config_id: str) -> FeedPosition | None:
        """Return where the sync's change feed goes on.

        None before the first pass over everything, and from a change of the sync's configuration to the next one.
        """
        ...

    def last_pass_number(self, sync_config_id: str) -> int:
        """Return the number of the newest pass ever begun, 0 before the first."""
        ...

    def inventory_span(self, sync_config_id: str, after: str | None, upto: str | None) -> pa.Table:
        """Return the inventory rows with after < id <= upto (None: unbounded) as INVENTORY_SCHEMA, in id order."""
        ...

    def inventory_of(self, sync_config_id: str, source_object_ids: Sequence[str]) -> pa.Table:
        """Return those inventory rows as INVENTORY_SCHEMA, in id order."""
        ...

    def inventory_size(self, sync_config_id: str) -> int:
        """Return the number of inventory rows of the sync."""
        ...

    def inventory_splits(self, sync_config_id: str, rows_per_part: int) -> Sequence[str]:
        """Return every rows_per_part-th source object id, ascending; empty for a small or empty inventory."""
        ...

    def refusals_span(self, sync_config_id: str, after: str | None, upto: str | None) -> pa.Table:
        """Return the refusals with after < id <= upto (None: unbounded) as REFUSAL_SCHEMA, in id order."""
        ...

    def refusals_of(self, sync_config_id: str, source_object_ids: Sequence[str]) -> pa.Table:
        """Return the refusals of these items as REFUSAL_SCHEMA, in id order."""
        ...

    def begin_full_sync(self, lock: SyncLock) -> None:
        """Forget every refusal of the sync, and that a full sync of it is asked for: it begins now."""
        ...

    def dead_letters_of(self, sync_config_id: str, source_object_ids: Sequence[str]) -> Mapping[str, DeadLetter]:
        """Return standing dead letters (waiting, quarantined or discarded) among these ids, by id."""
        ...

    def list_dead_letters(
        self,
        sync_config_id: str,
        *,
        state: str | None = None,
        error_type: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Sequence[DeadLetter]:
        """Return dead letters (None: all but resolved and discarded) in dead letter id order after an id."""
        ...

    def standing_dead_letter_ids(self, sync_config_id: str, after: str | None, upto: str | None) -> Sequence[str]:
        """Return the source object ids with after < id <= upto (None: unbounded) that have a standing dead letter."""
        ...

    def has_open_dead_letters(self, sync_config_id: str) -> bool:
        """Return whether any item of the sync is waiting or quarantined."""
        ...

    def has_standing_dead_letters(self, sync_config_id: str) -> bool:
        """Return whether any item of the sync is waiting, quarantined or discarded."""
        ...

    def count_retries(self, lock: SyncLock, source_object_ids: Sequence[str]) -> None:
        """Count a retry on these waiting dead letters, before it is made; absent ids are ignored."""
        ...

    def take_back_retries(self, lock: SyncLock, source_object_ids: Sequence[str]) -> None:
        """Count one retry less on these waiting dead letters: what ended it was no fault of theirs.

        Absent ids are ignored. Twice takes two back.
        """
        ...

    def record_intents(self, lock: SyncLock, intents: Sequence[Intent]) -> None:
        """Announce puts. The same intent twice is one."""
        ...

    def open_intents(self, sync_config_id: str) -> Sequence[Intent]:
        """Return intents whose outcome was never committed."""
        ...

    def clear_intents(self, lock: SyncLock, object_ids: Sequence[str]) -> None:
        """Forget settled intents."""
        ...

    def forget_placed(self, lock: SyncLock, intents: Sequence[Intent]) -> None:
        """Take note that the destination lacks these objects: their items look changed, and are put again if there."""
        ...

    def commit(self, lock: SyncLock, step: Commit) -> None:
        """Record effects and progress in one transaction.

        For every placed result: object and blobs in the catalog (not for DUPLICATE), inventory row, dead letter
        resolved, intent closed, and a pending batch member for a created or replaced version. For every failure: a
        dead letter (waiting, or quarantined when permanent or when its third retry failed; a newer version of the item
        starts anew at zero retries), intent closed. For every refusal: the item's earlier one replaced, dead letter
        resolved, intent closed; it is kept until the item is placed, moved or named as forgotten, or refusals are
        cleared: one of an item that is gone may stay, and means nothing. An object whose content changed or which is
        removed makes the inventory rows that lean on it as duplicates look changed. Counters go to the run and to the
        sync's totals. The same step twice changes nothing but counters.
        """
        ...

    def next_removals(self, sync_config_id: str, pass_number: int, *, limit: int) -> Sequence[Removal]:
        """Return removal candidates that this pass marked missing, in id order."""
        ...

    def mark_unlisted(self, lock: SyncLock, pass_number: int) -> None:
        """Mark as missing every inventory row that no commit of this pass named as listed."""
        ...

    def count_missing(self, sync_config_id: str, pass_number: int) -> int:
        """Return how many inventory rows this pass marked missing."""
        ...

    def commit_removals(self, lock: SyncLock, removals: Sequence[Removal], counters: Counters) -> None:
        """Drop the inventory rows and tombstone the objects that are not shared.

        Repeats change nothing but counters.
        """
        ...

    def seal_batches(self, lock: SyncLock, *, chunk_size: int, include_partial: bool) -> Sequence[Batch]:
        """Cut the sync's pending members into batches, each with an outbox entry, and return the new ones.

        Oldest members first, `chunk_size` a batch; with `include_partial` the rest makes a smaller last one.

        A version is in one batch for ever.
        """
        ...

    def pending_submissions(self, sync_config_id: str, *, limit: int) -> Sequence[OutboxEntry]:
        """Return sealed batches that are not submitted, oldest first."""
        ...

    def batch_members(self, batch_id: str) -> Iterator[BatchMember]:
        """Yield a batch's members in object id order."""
        ...

    def claim_submission(self, lock: SyncLock, batch_id: str) -> None:
        """Count a submission attempt before it is made."""
        ...

    def record_submission(self, lock: SyncLock, batch_id: str, task_id: str | None, counters: Counters) -> None:
        """Record that the destination took the batch. Twice changes nothing but counters."""
        ...

    def finish_run(self, lock: SyncLock, end: RunEnd) -> RunRecord:
        """Close the run, set the sync's status and next_sync_at, drop or keep the checkpoint, release the lock."""
        ...


class Catalog(Protocol):
    """The objects of a bucket, for the embedded bucket and for readers."""

    def objects_by_id(self, object_ids: Sequence[str]) -> Sequence[StoredObject]:
        """Return those objects that exist and are active, in any order."""
        ...

    def versions_by_id(self, object_ids: Sequence[str]) -> Mapping[str, str]:
        """Return {object_id: version} of the active ones; cheap."""
        ...

    def owners_of_content(self, bucket_id: str, sha256s: Sequence[str]) -> Mapping[str, str]:
        """Return {sha256: object_id} for blobs that belong to an active object of the bucket (the smallest id)."""
        ...

    def list_objects(
        self, bucket_id: str, *, after: str | None = None, limit: int = 100, sync_config_id: str | None = None
    ) -> Sequence[StoredObject]:
        """Return active objects in object id order after an id."""
        ...

    def count_objects(self, bucket_id: str, *, sync_config_id: str | None = None) -> int:
        """Return how many active objects the bucket has, of one sync when asked."""
        ...

    def objects_table(self, bucket_id: str, *, sync_config_id: str | None = None) -> pa.Table:
        """Return the active objects in object id order, as an Arrow table.

        Columns: object_id, source_object_id, source_path, version, fields (JSON), blobs (JSON), batch_id, created_at,
        updated_at.
        """
        ...

    def list_batches(self, bucket_id: str, *, after: str | None = None, limit: int = 100) -> Sequence[Batch]:
        """Return batches, newest first, after a batch id."""
        ...
