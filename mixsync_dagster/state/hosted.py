"""What another service calls our objects and batches, and how their processing goes there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.progress import Intent
from mixsync_dagster.ports.hosted import BatchProgress, RemoteBatch, RemoteObject, UnfinishedBatch
from mixsync_dagster.ports.state import SyncLock
from mixsync_dagster.state.codec import escape, escape_optional, to_micros, unescape
from mixsync_dagster.state.leases import StorePart

_REMOTE_OBJECTS = """
    SELECT object_id, version, remote_object_id FROM objects
    WHERE object_id IN (:list) AND state = 'active' AND remote_object_id IS NOT NULL
"""
_REMOTE_BATCH = """
    SELECT b.remote_batch_id, COALESCE(w.attempts, 0) FROM batches b LEFT JOIN outbox w ON w.batch_id = b.batch_id
    WHERE b.batch_id = ?
"""
_RECORD = "UPDATE batches SET remote_batch_id = ? WHERE batch_id = ? AND COALESCE(remote_batch_id, '') = ?"
_UNFINISHED = """
    SELECT batch_id, bucket_id, sync_config_id, remote_batch_id, task_id, COALESCE(polls, 0) FROM batches
    WHERE ask_again_at IS NOT NULL AND ask_again_at <= ? AND remote_batch_id IS NOT NULL
    ORDER BY ask_again_at, batch_id LIMIT ?
"""
_PROGRESS = """
    UPDATE batches SET task_status = COALESCE(?, task_status), task_error = ?, ask_again_at = ?,
        polls = COALESCE(polls, 0) + 1
    WHERE batch_id = ? AND ask_again_at IS NOT NULL
"""
_STATUSES = """
    SELECT COALESCE(task_status, 'PENDING'), count(*) FROM batches
    WHERE sync_config_id = ? AND remote_batch_id IS NOT NULL AND state = 'submitted'
    GROUP BY COALESCE(task_status, 'PENDING')
"""

_FORGET_REMOTE = "UPDATE objects SET remote_object_id = NULL WHERE object_id IN (:list)"
# No provider says an empty version, so a row with it is planned again.
_UNSETTLE = "UPDATE inventory SET version = '' WHERE sync_config_id = ? AND source_object_id IN (:list)"
# A change feed would not name them: everything has to be listed once.
_LIST_UNSETTLED = "UPDATE syncs SET pending_full_sync = TRUE WHERE feed_cursor IS NOT NULL AND sync_config_id = ?"


class Hosted(StorePart):
    """RemoteIds, but for what the Catalog reads as well, BatchPolls, and RunStore.forget_placed."""

    def forget_placed(self, lock: SyncLock, intents: Sequence[Intent]) -> None:
        """See RunStore.forget_placed."""
        with self._fenced(lock) as tx:
            tx.run(_FORGET_REMOTE, [intent.object_id for intent in intents])
            tx.run(_UNSETTLE, lock.sync_config_id, [escape(intent.source_object_id) for intent in intents])
            tx.run(_LIST_UNSETTLED, lock.sync_config_id)

    def remote_objects(self, object_ids: Sequence[str]) -> Mapping[str, RemoteObject]:
        """See RemoteIds.remote_objects."""
        with self._database.read() as tx:
            rows = tx.rows(_REMOTE_OBJECTS, list(object_ids))
        return {object_id: RemoteObject(unescape(version), unescape(remote)) for object_id, version, remote in rows}

    def remote_batch(self, batch_id: str) -> RemoteBatch:
        """See RemoteIds.remote_batch."""
        with self._database.read() as tx:
            rows = tx.rows(_REMOTE_BATCH, batch_id)
        if not rows:
            raise NotFound(f"batch {batch_id} does not exist.")
        remote, attempts = rows[0]
        return RemoteBatch(None if remote is None else unescape(remote), attempts)

    def record_remote_batch(self, batch_id: str, remote_batch_id: str, *, instead_of: str | None) -> bool:
        """See RemoteIds.record_remote_batch."""
        with self._database.write() as tx:
            return tx.run(_RECORD, escape(remote_batch_id), batch_id, escape(instead_of or "")) == 1

    def unfinished_batches(self, *, due_at: datetime, limit: int) -> Sequence[UnfinishedBatch]:
        """See BatchPolls.unfinished_batches."""
        with self._database.read() as tx:
            rows = tx.rows(_UNFINISHED, to_micros(due_at), limit)
        return [
            UnfinishedBatch(
                batch_id, bucket_id, sync, unescape(remote), None if task is None else unescape(task), polls
            )
            for batch_id, bucket_id, sync, remote, task, polls in rows
        ]

    def record_progress(self, batch_id: str, progress: BatchProgress) -> None:
        """See BatchPolls.record_progress."""
        again = None if progress.ask_again_at is None else to_micros(progress.ask_again_at)
        with self._database.write() as tx:
            tx.run(_PROGRESS, escape_optional(progress.task_status), escape_optional(progress.error), again, batch_id)

    def task_statuses(self, sync_config_id: str) -> Mapping[str, int]:
        """See BatchPolls.task_statuses."""
        with self._database.read() as tx:
            return {unescape(status): count for status, count in tx.rows(_STATUSES, sync_config_id)}
