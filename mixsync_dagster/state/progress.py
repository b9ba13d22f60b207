"""Checkpoints and counters: how far a run came, written with what it did."""

from __future__ import annotations

import json

import sqlalchemy as sa

from mixsync_dagster.model.progress import Checkpoint, Counters, PassKind
from mixsync_dagster.ports.state import FeedPosition, SyncLock
from mixsync_dagster.state import schema
from mixsync_dagster.state.codec import dump_json, escape_optional
from mixsync_dagster.state.database import Transaction
from mixsync_dagster.state.leases import StorePart

_ADVANCE = """
    UPDATE syncs SET resume_cursor = ?, resume_objects_processed = ?,
        last_pass_number = CASE WHEN last_pass_number < ? THEN ? ELSE last_pass_number END
    WHERE sync_config_id = ?
"""
_ADD_TOTALS = """
    UPDATE syncs SET total_files_discovered = total_files_discovered + ?, total_files_synced = total_files_synced + ?,
        total_files_failed = total_files_failed + ?, total_bytes_synced = total_bytes_synced + ?,
        batches_created = batches_created + ?
    WHERE sync_config_id = ?
"""


def load_checkpoint(tx: Transaction, sync_config_id: str) -> Checkpoint | None:
    """Return the sync's checkpoint, or None."""
    columns = schema.checkpoints.c
    row = tx.execute(sa.select(schema.checkpoints).where(columns.sync_config_id == sync_config_id)).one_or_none()
    if row is None:
        return None
    values = row._asdict()
    del values["sync_config_id"]
    values["kind"] = PassKind(values["kind"])
    return Checkpoint(**values)


def save_checkpoint(tx: Transaction, sync_config_id: str, checkpoint: Checkpoint) -> None:
    """Replace the sync's checkpoint, and what the sync shows of it."""
    values = {
        "sync_config_id": sync_config_id,
        "pass_number": checkpoint.pass_number,
        "kind": checkpoint.kind.value,
        "cursor": checkpoint.cursor,
        "feed_head": checkpoint.feed_head,
        "shards_done": checkpoint.shards_done,
        "objects_processed": checkpoint.objects_processed,
        "complete_so_far": checkpoint.complete_so_far,
        "listed_to_end": checkpoint.listed_to_end,
    }
    table = schema.checkpoints
    updated = tx.execute(sa.update(table).where(table.c.sync_config_id == sync_config_id).values(values))
    if updated.rowcount == 0:
        tx.execute(sa.insert(table).values(values))
    current, number = checkpoint.pass_number, checkpoint.objects_processed
    cursor = escape_optional(checkpoint.cursor)
    tx.run(_ADVANCE, cursor, number, current, current, sync_config_id)


def add_counters(tx: Transaction, lock: SyncLock, counters: Counters, *, quarantined: int) -> None:
    """Add to the counters of the lock's run and to the totals of its sync; failed files count once quarantined."""
    if counters == Counters() and not quarantined:
        return
    found = tx.rows("SELECT counters FROM runs WHERE sync_run_id = ?", lock.sync_run_id)
    if found:
        total = Counters.from_dict(json.loads(found[0][0])) + counters
        tx.run("UPDATE runs SET counters = ? WHERE sync_run_id = ?", dump_json(total.as_dict()), lock.sync_run_id)
    synced = counters.created + counters.replaced
    tx.run(
        _ADD_TOTALS,
        counters.discovered,
        synced,
        quarantined,
        counters.bytes,
        counters.batches_created,
        lock.sync_config_id,
    )


class Progress(StorePart):
    """The checkpoint part of RunStore."""

    def load_checkpoint(self, sync_config_id: str) -> Checkpoint | None:
        """See RunStore.load_checkpoint."""
        with self._database.read() as tx:
            return load_checkpoint(tx, sync_config_id)

    def load_feed(self, sync_config_id: str) -> FeedPosition | None:
        """See RunStore.load_feed."""
        columns = schema.syncs.c
        found = sa.select(columns.feed_cursor, columns.full_pass_at).where(columns.sync_config_id == sync_config_id)
        with self._database.read() as tx:
            row = tx.execute(found).one_or_none()
        if row is None or row.feed_cursor is None or row.full_pass_at is None:
            return None
        return FeedPosition(row.feed_cursor, row.full_pass_at)

    def last_pass_number(self, sync_config_id: str) -> int:
        """See RunStore.last_pass_number."""
        with self._database.read() as tx:
            found = tx.rows("SELECT last_pass_number FROM syncs WHERE sync_config_id = ?", sync_config_id)
        return int(found[0][0]) if found else 0
