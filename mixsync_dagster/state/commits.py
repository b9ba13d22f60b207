"""The one transaction in which effects and progress are recorded together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mixsync_dagster.model.objects import Blob, PutResult, PutStatus
from mixsync_dagster.model.progress import Commit, Counters, Intent
from mixsync_dagster.ports.state import Removal, SyncLock
from mixsync_dagster.state.codec import dump_json, escape, escape_optional, to_micros, unescape
from mixsync_dagster.state.database import Bulk, Transaction
from mixsync_dagster.state.dead_letters import record_failures, resolve
from mixsync_dagster.state.leases import StorePart
from mixsync_dagster.state.progress import add_counters, save_checkpoint
from mixsync_dagster.state.refusals import forget_refusals, record_refusals

_OBJECTS = Bulk(
    "objects",
    {
        "object_id": "text",
        "bucket_id": "text",
        "source_provider": "text",
        "source_object_id": "text",
        "sync_config_id": "text",
        "source_path": "text",
        "version": "text",
        "state": "text",
        "fields": "text",
        "blobs": "text",
        "remote_object_id": "text",
        "created_at": "bigint",
        "updated_at": "bigint",
    },
    # The same step twice leaves the row, and its updated_at, alone.
    """
    ON CONFLICT (object_id) DO UPDATE SET
        sync_config_id = excluded.sync_config_id, source_path = excluded.source_path, version = excluded.version,
        fields = excluded.fields, blobs = excluded.blobs, state = excluded.state, tombstoned_at = NULL,
        remote_object_id = COALESCE(excluded.remote_object_id, objects.remote_object_id),
        batch_id = CASE WHEN objects.version = excluded.version THEN objects.batch_id END,
        created_at = CASE WHEN objects.state = 'active' THEN objects.created_at ELSE excluded.created_at END,
        updated_at = excluded.updated_at
    WHERE objects.version <> excluded.version OR objects.fields <> excluded.fields OR objects.state <> 'active'
        OR objects.blobs <> excluded.blobs OR objects.source_path <> excluded.source_path
        OR objects.sync_config_id <> excluded.sync_config_id
        OR COALESCE(excluded.remote_object_id, '') NOT IN ('', COALESCE(objects.remote_object_id, ''))
    """,
)
_CONTENTS = Bulk("contents", {"sha256": "text", "object_id": "text"}, "ON CONFLICT (sha256, object_id) DO NOTHING")
_INVENTORY = Bulk(
    "inventory",
    {
        "sync_config_id": "text",
        "source_object_id": "text",
        "object_id": "text",
        "path": "text",
        "version": "text",
        "metadata_version": "text",
        "size_bytes": "bigint",
        "duplicate_of": "text",
        "updated_at": "bigint",
    },
    """
    ON CONFLICT (sync_config_id, source_object_id) DO UPDATE SET
        object_id = excluded.object_id, path = excluded.path, version = excluded.version,
        metadata_version = excluded.metadata_version, size_bytes = excluded.size_bytes,
        duplicate_of = excluded.duplicate_of, missing_in_pass = NULL, updated_at = excluded.updated_at
    """,
)
_MEMBERS = Bulk(
    "batch_items",
    {"object_id": "text", "version": "text", "sync_config_id": "text", "added_at": "bigint"},
    "ON CONFLICT (object_id, version) DO NOTHING",
)
_INTENTS = Bulk(
    "intents",
    {"sync_config_id": "text", "object_id": "text", "source_object_id": "text", "version": "text"},
    """
    ON CONFLICT (sync_config_id, object_id) DO UPDATE SET
        source_object_id = excluded.source_object_id, version = excluded.version
    """,
)
# No provider says an empty version, so a row with it is planned again.
_UNSETTLE_DUPLICATES = "UPDATE inventory SET version = '' WHERE duplicate_of IN (:list)"
# Now, for until then the bucket has their bytes under no object, and a sync that is over would never look again. A
# change feed would not name them, so everything has to be listed once.
_ASK_FOR_UNSETTLED = """
    UPDATE syncs SET requested_at = ?, pending_full_sync = (pending_full_sync OR feed_cursor IS NOT NULL)
    WHERE NOT paused AND sync_config_id IN (SELECT sync_config_id FROM inventory WHERE duplicate_of IN (:list))
"""
_KNOWN = "SELECT object_id, version, blobs, remote_object_id FROM objects WHERE object_id IN (:list)"
# Another service made the object anew in the very version that a batch was submitted with: the new one was in none.
_UNCOUNT_REMADE = """
    UPDATE batches SET size = size - 1
    WHERE state = 'submitted' AND batch_id = (SELECT batch_id FROM batch_items WHERE object_id = ? AND version = ?)
"""
_REOPEN_REMADE = """
    UPDATE batch_items SET batch_id = NULL
    WHERE object_id = ? AND version = ? AND batch_id IN (SELECT batch_id FROM batches WHERE state = 'submitted')
"""
_DROP_CONTENT = "DELETE FROM contents WHERE sha256 = ? AND object_id = ?"
_DROP_PENDING = "DELETE FROM batch_items WHERE object_id IN (:list) AND batch_id IS NULL"
_CLOSE_INTENTS = "DELETE FROM intents WHERE sync_config_id = ? AND source_object_id IN (:list)"
_CLEAR_INTENTS = "DELETE FROM intents WHERE sync_config_id = ? AND object_id IN (:list)"
_MARK_MISSING = """
    UPDATE inventory SET missing_in_pass = COALESCE(?, (SELECT last_pass_number FROM syncs WHERE sync_config_id = ?))
    WHERE sync_config_id = ? AND source_object_id IN (:list)
"""
_MARK_LISTED = "UPDATE inventory SET listed_in_pass = ? WHERE sync_config_id = ? AND source_object_id IN (:list)"
_MARK_UNLISTED = """
    UPDATE inventory SET missing_in_pass = ?
    WHERE sync_config_id = ? AND (listed_in_pass IS NULL OR listed_in_pass <> ?)
"""
_DROP_INVENTORY = "DELETE FROM inventory WHERE sync_config_id = ? AND source_object_id IN (:list)"
_HELD_ELSEWHERE = """
    SELECT o.object_id FROM syncs mine
    JOIN syncs other ON other.bucket_id = mine.bucket_id AND other.sync_config_id <> mine.sync_config_id
    JOIN inventory o ON o.sync_config_id = other.sync_config_id
    WHERE mine.sync_config_id = ? AND o.source_object_id IN (:list) AND o.duplicate_of IS NULL
"""
_TOMBSTONE = """
    UPDATE objects SET state = 'tombstoned', tombstoned_at = ?, updated_at = ?
    WHERE object_id IN (:list) AND state = 'active'
"""


@dataclass
class _Rows:
    """What results become, keyed so that no row is written twice by one statement."""

    known: Mapping[str, tuple[str, str]]
    """(version, blobs) as stored before, by object id; tombstoned objects count."""
    remote: Mapping[str, str]
    """What another service called them, by object id."""
    objects: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    contents: set[tuple[str, str]] = field(default_factory=set)
    stale_contents: set[tuple[str, str]] = field(default_factory=set)
    inventory: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    members: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    """Objects that had other content before."""
    remade: list[tuple[str, str]] = field(default_factory=list)
    """(object_id, version) of objects that another service has under a new id."""


class Commits(StorePart):
    """The writing part of RunStore that goes with transfers and removals."""

    def commit(self, lock: SyncLock, step: Commit) -> None:
        """See RunStore.commit."""
        now = self._clock.now()
        micros = to_micros(now)
        with self._fenced(lock) as tx:
            rows = _Rows(*_known(tx, (*step.placed, *step.moved)))
            for result in step.placed:
                _collect(rows, lock, result, micros, for_batches=step.for_batches)
            for result in step.moved:
                _collect_moved(rows, lock, result, micros)
            _write(tx, rows, now)
            touched = [result.draft.item.source_object_id for result in (*step.placed, *step.moved)]
            settled = [*touched, *step.vanished, *(refusal.source_object_id for refusal in step.refused)]
            if settled:
                resolve(tx, lock.sync_config_id, settled, now)
            quarantined = record_failures(tx, lock, step.failed, now)
            settled += [failure.item.source_object_id for failure in step.failed]
            if settled:
                tx.run(_CLOSE_INTENTS, lock.sync_config_id, [escape(item) for item in settled])
            # Not for what is missing: an item that is refused may at once lose the object that it had.
            forget_refusals(tx, lock.sync_config_id, [*touched, *step.forgotten])
            record_refusals(tx, lock.sync_config_id, step.refused)
            if step.missing:
                current = None if step.checkpoint is None else step.checkpoint.pass_number
                missing = [escape(item) for item in step.missing]
                tx.run(_MARK_MISSING, current, lock.sync_config_id, lock.sync_config_id, missing)
            if step.listed and step.checkpoint is not None:
                listed = [escape(item) for item in step.listed]
                tx.run(_MARK_LISTED, step.checkpoint.pass_number, lock.sync_config_id, listed)
            if step.checkpoint is not None:
                save_checkpoint(tx, lock.sync_config_id, step.checkpoint)
            add_counters(tx, lock, step.counters, quarantined=quarantined)

    def mark_unlisted(self, lock: SyncLock, pass_number: int) -> None:
        """See RunStore.mark_unlisted."""
        with self._fenced(lock) as tx:
            tx.run(_MARK_UNLISTED, pass_number, lock.sync_config_id, pass_number)

    def commit_removals(self, lock: SyncLock, removals: Sequence[Removal], counters: Counters) -> None:
        """See RunStore.commit_removals."""
        now = self._clock.now()
        items = [removal.source_object_id for removal in removals]
        escaped = [escape(item) for item in items]
        candidates = sorted({removal.object_id for removal in removals if not removal.shared})
        with self._fenced(lock) as tx:
            if tx.postgres and candidates:
                # A sync that is placing the same object either comes first and is seen below, or waits and revives it.
                tx.rows("SELECT 1 FROM objects WHERE object_id IN (:list) ORDER BY object_id FOR UPDATE", candidates)
            held = {row[0] for row in tx.rows(_HELD_ELSEWHERE, lock.sync_config_id, escaped)}
            gone = [object_id for object_id in candidates if object_id not in held]
            if gone:
                tx.run(_TOMBSTONE, to_micros(now), to_micros(now), gone)
                tx.run(_DROP_PENDING, gone)
                _unsettle_duplicates(tx, gone, now)
            tx.run(_DROP_INVENTORY, lock.sync_config_id, escaped)
            tx.run(_CLOSE_INTENTS, lock.sync_config_id, escaped)
            resolve(tx, lock.sync_config_id, items, now)
            add_counters(tx, lock, counters, quarantined=0)

    def record_intents(self, lock: SyncLock, intents: Sequence[Intent]) -> None:
        """See RunStore.record_intents."""
        rows = {
            intent.object_id: (
                lock.sync_config_id,
                intent.object_id,
                escape(intent.source_object_id),
                escape(intent.version),
            )
            for intent in intents
        }
        with self._fenced(lock) as tx:
            tx.insert(_INTENTS, list(rows.values()))

    def open_intents(self, sync_config_id: str) -> Sequence[Intent]:
        """See RunStore.open_intents."""
        query = "SELECT object_id, source_object_id, version FROM intents WHERE sync_config_id = ? ORDER BY object_id"
        with self._database.read() as tx:
            rows = tx.rows(query, sync_config_id)
        return [Intent(object_id, unescape(item), unescape(version)) for object_id, item, version in rows]

    def clear_intents(self, lock: SyncLock, object_ids: Sequence[str]) -> None:
        """See RunStore.clear_intents."""
        with self._fenced(lock) as tx:
            tx.run(_CLEAR_INTENTS, lock.sync_config_id, list(object_ids))


def _known(tx: Transaction, results: Sequence[PutResult]) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    if not results:
        return {}, {}
    found = tx.rows(_KNOWN, [result.object_id for result in results])
    known = {object_id: (version, blobs) for object_id, version, blobs, _ in found}
    return known, {object_id: remote for object_id, _, _, remote in found if remote is not None}


def _collect(rows: _Rows, lock: SyncLock, result: PutResult, micros: int, *, for_batches: bool) -> None:
    _collect_inventory(rows, lock, result, micros)
    if result.status is PutStatus.DUPLICATE:
        return
    draft, object_id = result.draft, result.object_id
    version = escape(draft.item.version)
    blobs = dump_json([_blob_values(blob) for blob in draft.blobs])
    _collect_object(rows, lock, result, micros, blobs=blobs)
    contents = {(blob.sha256, object_id) for blob in draft.blobs}
    rows.contents |= contents
    known = rows.known.get(object_id)
    if known is not None and known != (version, blobs):
        rows.changed.append(object_id)
        rows.stale_contents |= {(blob["sha256"], object_id) for blob in json.loads(known[1])} - contents
    # Present already in a version that was never recorded: a crash took the commit of the put.
    unrecorded = known is None or known[0] != version
    remote = escape_optional(result.remote_object_id)
    if remote is not None and rows.remote.get(object_id) != remote:
        unrecorded = True
        rows.remade.append((object_id, version))
    if for_batches and (unrecorded or result.status is not PutStatus.ALREADY_PRESENT):
        rows.members[object_id, version] = (object_id, version, lock.sync_config_id, micros)


def _blob_values(blob: Blob) -> dict[str, Any]:
    return {
        "property": blob.property,
        "type": blob.type,
        "filename": blob.filename,
        "mime_type": blob.mime_type,
        "size_bytes": blob.size_bytes,
        "sha256": blob.sha256,
    }


def _collect_moved(rows: _Rows, lock: SyncLock, result: PutResult, micros: int) -> None:
    _collect_inventory(rows, lock, result, micros)
    if result.status is not PutStatus.DUPLICATE:
        known = rows.known.get(result.object_id)
        stored = dump_json([_blob_values(blob) for blob in result.draft.blobs]) if known is None else known[1]
        _collect_object(rows, lock, result, micros, blobs=stored)


def _collect_inventory(rows: _Rows, lock: SyncLock, result: PutResult, micros: int) -> None:
    item = result.draft.item
    source_object_id = escape(item.source_object_id)
    rows.inventory[source_object_id] = (
        lock.sync_config_id,
        source_object_id,
        result.object_id,
        escape(item.path),
        escape(item.version),
        escape_optional(item.metadata_version),
        item.size_bytes,
        result.object_id if result.status is PutStatus.DUPLICATE else None,
        micros,
    )


def _collect_object(rows: _Rows, lock: SyncLock, result: PutResult, micros: int, *, blobs: str) -> None:
    draft, item = result.draft, result.draft.item
    rows.objects[result.object_id] = (
        result.object_id,
        draft.bucket_id,
        draft.source_provider,
        escape(item.source_object_id),
        lock.sync_config_id,
        escape(item.path),
        escape(item.version),
        "active",
        dump_json(dict(draft.fields)),
        blobs,
        escape_optional(result.remote_object_id),
        micros,
        micros,
    )


def _write(tx: Transaction, rows: _Rows, now: datetime) -> None:
    # Sorted, so that two syncs that feed one bucket lock its objects in one order.
    tx.insert(_OBJECTS, [rows.objects[object_id] for object_id in sorted(rows.objects)])
    tx.run_many(_DROP_CONTENT, sorted(rows.stale_contents))
    tx.insert(_CONTENTS, sorted(rows.contents))
    tx.insert(_INVENTORY, [rows.inventory[key] for key in sorted(rows.inventory)])
    if rows.changed:
        _unsettle_duplicates(tx, rows.changed, now)
        tx.run(_DROP_PENDING, rows.changed)
    tx.run_many(_UNCOUNT_REMADE, rows.remade)
    tx.run_many(_REOPEN_REMADE, rows.remade)
    tx.insert(_MEMBERS, [rows.members[key] for key in sorted(rows.members)])


def _unsettle_duplicates(tx: Transaction, object_ids: Sequence[str], now: datetime) -> None:
    """Make the items that these objects stood in for look changed, and ask for runs that place them."""
    tx.run(_ASK_FOR_UNSETTLED, to_micros(now), object_ids)
    tx.run(_UNSETTLE_DUPLICATES, object_ids)
