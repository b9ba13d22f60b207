"""Batches for processing: sealed with an outbox entry in one transaction, submitted once each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.identifiers import batch_id_for
from mixsync_dagster.model.objects import Batch, BatchMember
from mixsync_dagster.model.progress import Counters
from mixsync_dagster.ports.state import OutboxEntry, SyncLock
from mixsync_dagster.state.codec import escape_optional, to_micros, unescape
from mixsync_dagster.state.database import Transaction
from mixsync_dagster.state.leases import StorePart
from mixsync_dagster.state.progress import add_counters

_MEMBER_PAGE = 1000

_PENDING = """
    SELECT object_id, version, added_at FROM batch_items
    WHERE sync_config_id = ? AND batch_id IS NULL AND (added_at, object_id) > (?, ?)
    ORDER BY added_at, object_id LIMIT ?
"""
_SEAL_MEMBER = "UPDATE batch_items SET batch_id = ? WHERE object_id = ? AND version = ?"
_SEAL_OBJECT = "UPDATE objects SET batch_id = ? WHERE object_id = ? AND version = ?"
_INSERT_BATCH = """
    INSERT INTO batches (batch_id, sync_config_id, bucket_id, size, state, created_at, position)
    VALUES (?, ?, ?, ?, 'sealed', ?, ?)
"""
_INSERT_OUTBOX = """
    INSERT INTO outbox (batch_id, sync_config_id, bucket_id, attempts, created_at, position) VALUES (?, ?, ?, 0, ?, ?)
"""
_WAITING = """
    SELECT batch_id, bucket_id, attempts FROM outbox WHERE sync_config_id = ? ORDER BY created_at, position LIMIT ?
"""
_MEMBERS = """
    SELECT object_id, version FROM batch_items WHERE batch_id = ? AND object_id > ? ORDER BY object_id LIMIT ?
"""
_CLAIM = "UPDATE outbox SET attempts = attempts + 1 WHERE batch_id = ? AND sync_config_id = ?"
# A batch at another service is asked about from now on.
_SUBMITTED = """
    UPDATE batches SET state = 'submitted', task_id = ?, submitted_at = ?,
        ask_again_at = CASE WHEN remote_batch_id IS NULL THEN NULL ELSE CAST(? AS BIGINT) END
    WHERE batch_id = ? AND sync_config_id = ? AND state <> 'submitted'
"""
_DONE = "DELETE FROM outbox WHERE batch_id = ? AND sync_config_id = ?"


class Batches(StorePart):
    """The batch part of RunStore."""

    def seal_batches(self, lock: SyncLock, *, chunk_size: int, include_partial: bool) -> Sequence[Batch]:
        """See RunStore.seal_batches."""
        now = self._clock.now()
        sealed: list[Batch] = []
        with self._fenced(lock) as tx:
            found = tx.rows("SELECT bucket_id FROM syncs WHERE sync_config_id = ?", lock.sync_config_id)
            if not found:
                raise NotFound(f"sync {lock.sync_config_id} does not exist.")
            # On from the last one: looking from the start would pass again what this transaction has sealed.
            last = (-1, "")
            while members := tx.rows(_PENDING, lock.sync_config_id, *last, chunk_size):
                if len(members) < chunk_size and not include_partial:
                    break
                last = (members[-1][2], members[-1][0])
                sealed.append(_seal(tx, lock, found[0][0], members, now=now, position=len(sealed)))
        return sealed

    def pending_submissions(self, sync_config_id: str, *, limit: int) -> Sequence[OutboxEntry]:
        """See RunStore.pending_submissions."""
        with self._database.read() as tx:
            return [OutboxEntry(*row) for row in tx.rows(_WAITING, sync_config_id, limit)]

    def batch_members(self, batch_id: str) -> Iterator[BatchMember]:
        """See RunStore.batch_members; members do not change, so that each page is a read of its own."""
        after = ""
        while True:
            with self._database.read() as tx:
                page = tx.rows(_MEMBERS, batch_id, after, _MEMBER_PAGE)
            for object_id, version in page:
                yield BatchMember(object_id, unescape(version))
            if len(page) < _MEMBER_PAGE:
                return
            after = page[-1][0]

    def claim_submission(self, lock: SyncLock, batch_id: str) -> None:
        """See RunStore.claim_submission."""
        with self._fenced(lock) as tx:
            tx.run(_CLAIM, batch_id, lock.sync_config_id)

    def record_submission(self, lock: SyncLock, batch_id: str, task_id: str | None, counters: Counters) -> None:
        """See RunStore.record_submission."""
        now = to_micros(self._clock.now())
        with self._fenced(lock) as tx:
            tx.run(_SUBMITTED, escape_optional(task_id), now, now, batch_id, lock.sync_config_id)
            tx.run(_DONE, batch_id, lock.sync_config_id)
            add_counters(tx, lock, counters, quarantined=0)


def _seal(
    tx: Transaction,
    lock: SyncLock,
    bucket_id: str,
    members: Sequence[tuple[Any, ...]],
    *,
    now: datetime,
    position: int,
) -> Batch:
    sync, micros = lock.sync_config_id, to_micros(now)
    batch_id = _new_batch_id(tx, sync, [(object_id, unescape(version)) for object_id, version, _ in members])
    tx.run(_INSERT_BATCH, batch_id, sync, bucket_id, len(members), micros, position)
    # Row by row: no plan of a statement over many rows survives what this transaction does to the index of the pending.
    rows = [(batch_id, object_id, version) for object_id, version, _ in members]
    tx.run_many(_SEAL_MEMBER, rows)
    tx.run_many(_SEAL_OBJECT, rows)
    tx.run(_INSERT_OUTBOX, batch_id, sync, bucket_id, micros, position)
    return Batch(
        batch_id=batch_id,
        sync_config_id=sync,
        bucket_id=bucket_id,
        size=len(members),
        state="sealed",
        task_id=None,
        created_at=now,
        submitted_at=None,
    )


def _new_batch_id(tx: Transaction, sync_config_id: str, members: Sequence[tuple[str, str]]) -> str:
    """Return an id that follows from the members, and from how often the very same ones were a batch before.

    That is so where another service made all of a batch's objects anew.
    """
    batch_id, before = batch_id_for(sync_config_id, members), 0
    while tx.rows("SELECT 1 FROM batches WHERE batch_id = ?", batch_id):
        before += 1
        batch_id = batch_id_for(sync_config_id, [*members, ("", str(before))])
    return batch_id
