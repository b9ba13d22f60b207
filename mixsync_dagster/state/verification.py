"""Reading how inventory, objects, batches and outbox refer to each other, a page at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mixsync_dagster.model.objects import Blob
from mixsync_dagster.model.progress import DeadLetter
from mixsync_dagster.ports.upkeep import BatchLink, InventoryLink, Leftovers, MemberLink, ObjectLink
from mixsync_dagster.state import schema
from mixsync_dagster.state.codec import escape, from_micros, to_micros, unescape
from mixsync_dagster.state.leases import StorePart

_STRAYS_SHOWN = 100

# Each page is cut from its table first, along its key; what it is joined with is looked up by key, row by row.
_INVENTORY = """
    SELECT i.source_object_id, i.object_id, i.version, i.duplicate_of, o.state, o.bucket_id, o.source_object_id,
        o.version, o.sync_config_id
    FROM (
        SELECT source_object_id, object_id, version, duplicate_of FROM inventory
        WHERE sync_config_id = ? AND source_object_id > ? ORDER BY source_object_id LIMIT ?
    ) i
    LEFT JOIN objects o ON o.object_id = i.object_id
    ORDER BY i.source_object_id
"""
_OBJECTS = """
    SELECT o.object_id, o.source_provider, o.source_object_id, o.sync_config_id, o.version, o.blobs, o.batch_id,
        EXISTS (SELECT 1 FROM syncs s WHERE s.sync_config_id = o.sync_config_id),
        EXISTS (
            SELECT 1 FROM syncs s JOIN inventory i
                ON i.sync_config_id = s.sync_config_id AND i.source_object_id = o.source_object_id
            WHERE s.bucket_id = o.bucket_id AND i.object_id = o.object_id AND i.duplicate_of IS NULL
        ),
        m.object_id, m.batch_id
    FROM (
        SELECT object_id, bucket_id, source_provider, source_object_id, sync_config_id, version, blobs, batch_id
        FROM objects INDEXED BY sqlite_autoindex_objects_1
        WHERE bucket_id = ? AND object_id > ? AND state = 'active' {of_sync} ORDER BY object_id LIMIT ?
    ) o
    LEFT JOIN batch_items m ON m.object_id = o.object_id AND m.version = o.version
    ORDER BY o.object_id
"""
_OBJECTS_OF_BUCKET = _OBJECTS.format(of_sync="")
_OBJECTS_OF_SYNC = _OBJECTS.format(of_sync="AND sync_config_id = ?")
_CONTENTS = "SELECT sha256, object_id FROM contents WHERE sha256 IN (:list)"
_MEMBERS = """
    SELECT m.object_id, m.version, m.added_at, m.batch_id, b.state, o.version, o.updated_at
    FROM (
        SELECT object_id, version, added_at, batch_id FROM batch_items
        WHERE sync_config_id = ? AND (object_id, version) > (?, ?) ORDER BY object_id, version LIMIT ?
    ) m
    LEFT JOIN batches b ON b.batch_id = m.batch_id
    LEFT JOIN objects o ON o.object_id = m.object_id
    ORDER BY m.object_id, m.version
"""
_BATCHES = """
    SELECT b.batch_id, b.state, b.size,
        (SELECT count(*) FROM batch_items m WHERE m.batch_id = b.batch_id),
        EXISTS (SELECT 1 FROM outbox w WHERE w.batch_id = b.batch_id)
    FROM batches b WHERE b.sync_config_id = ? AND b.batch_id > ? ORDER BY b.batch_id LIMIT ?
"""
_STRAY_OUTBOX = """
    SELECT w.batch_id FROM outbox w
    WHERE w.sync_config_id = ? AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.batch_id = w.batch_id)
    ORDER BY w.batch_id LIMIT ?
"""
_LATEST_RUN = """
    SELECT r.status FROM syncs s JOIN runs r ON r.sync_run_id = s.current_sync_run_id WHERE s.sync_config_id = ?
"""
_INTENTS = "SELECT count(*) FROM intents WHERE sync_config_id = ?"
_LOCK = """
    SELECT l.holder, r.status FROM leases l LEFT JOIN runs r ON r.sync_run_id = l.run_id
    WHERE l.sync_config_id = ? AND l.holder <> ''
"""
_VERSIONS = "SELECT source_object_id, version FROM inventory WHERE sync_config_id = ? AND source_object_id IN (:list)"
# CROSS JOIN keeps SQLite from starting at the objects; to PostgreSQL it is a join as any other.
_IN_USE = """
    SELECT DISTINCT c.sha256 FROM contents c CROSS JOIN objects o
    WHERE o.object_id = c.object_id AND c.sha256 IN (:list)
        AND NOT (o.state = 'tombstoned' AND COALESCE(o.tombstoned_at, ?) < ?)
"""


class Verification(StorePart):
    """The VerifyStore."""

    def inventory_links(self, sync_config_id: str, *, after: str | None, limit: int) -> Sequence[InventoryLink]:
        """See VerifyStore.inventory_links."""
        with self._database.read() as tx:
            rows = tx.rows(_INVENTORY, sync_config_id, escape(after or ""), limit)
        return [InventoryLink(*map(_told, row)) for row in rows]

    def object_links(
        self, bucket_id: str, *, sync_config_id: str | None, after: str | None, limit: int
    ) -> Sequence[ObjectLink]:
        """See VerifyStore.object_links."""
        with self._database.read() as tx:
            if sync_config_id is None:
                rows = tx.rows(_OBJECTS_OF_BUCKET, bucket_id, after or "", limit)
            else:
                rows = tx.rows(_OBJECTS_OF_SYNC, bucket_id, after or "", sync_config_id, limit)
        return [_object_link(row) for row in rows]

    def recorded_contents(self, sha256s: Sequence[str]) -> frozenset[tuple[str, str]]:
        """See VerifyStore.recorded_contents."""
        with self._database.read() as tx:
            return frozenset((sha256, object_id) for sha256, object_id in tx.rows(_CONTENTS, list(sha256s)))

    def member_links(self, sync_config_id: str, *, after: tuple[str, str] | None, limit: int) -> Sequence[MemberLink]:
        """See VerifyStore.member_links."""
        object_id, version = after or ("", "")
        with self._database.read() as tx:
            rows = tx.rows(_MEMBERS, sync_config_id, object_id, escape(version), limit)
        return [
            MemberLink(
                object_id=row[0],
                version=unescape(row[1]),
                added_at=from_micros(row[2]),
                batch_id=row[3],
                batch_state=row[4],
                object_version=_told(row[5]),
                object_updated_at=None if row[6] is None else from_micros(row[6]),
            )
            for row in rows
        ]

    def batch_links(self, sync_config_id: str, *, after: str | None, limit: int) -> Sequence[BatchLink]:
        """See VerifyStore.batch_links."""
        with self._database.read() as tx:
            rows = tx.rows(_BATCHES, sync_config_id, after or "", limit)
        return [
            BatchLink(batch_id, state, size, members, bool(waits)) for batch_id, state, size, members, waits in rows
        ]

    def leftovers(self, sync_config_id: str) -> Leftovers:
        """See VerifyStore.leftovers."""
        with self._database.read() as tx:
            latest = tx.rows(_LATEST_RUN, sync_config_id)
            intents = tx.rows(_INTENTS, sync_config_id)
            lock = tx.rows(_LOCK, sync_config_id)
            strays = tx.rows(_STRAY_OUTBOX, sync_config_id, _STRAYS_SHOWN)
        holder, locked_status = lock[0] if lock else (None, None)
        return Leftovers(
            run_status=latest[0][0] if latest else None,
            intents=int(intents[0][0]),
            lock_holder=_told(holder),
            locked_run_status=locked_status,
            stray_outbox=[row[0] for row in strays],
        )

    def all_dead_letters(self, sync_config_id: str, *, after: str | None, limit: int) -> Sequence[DeadLetter]:
        """See VerifyStore.all_dead_letters."""
        columns = schema.dead_letters.c
        wanted = [columns[name] for name in DeadLetter.__dataclass_fields__]
        statement = sa.select(*wanted).where(columns.sync_config_id == sync_config_id)
        statement = statement.where(columns.dead_letter_id > (after or "")).order_by(columns.dead_letter_id)
        with self._database.read() as tx:
            return [DeadLetter(**row._asdict()) for row in tx.execute(statement.limit(limit)).all()]

    def versions_in_inventory(self, sync_config_id: str, source_object_ids: Sequence[str]) -> Mapping[str, str]:
        """See VerifyStore.versions_in_inventory."""
        wanted = [escape(item) for item in source_object_ids]
        with self._database.read() as tx:
            rows = tx.rows(_VERSIONS, sync_config_id, wanted)
        return {unescape(item): unescape(version) for item, version in rows}

    def contents_in_use(self, sha256s: Sequence[str], *, tombstoned_before: datetime | None = None) -> frozenset[str]:
        """See VerifyStore.contents_in_use."""
        before = 0 if tombstoned_before is None else to_micros(tombstoned_before)
        with self._database.read() as tx:
            return frozenset(row[0] for row in tx.rows(_IN_USE, list(sha256s), before, before))


def _told(value: Any) -> Any:
    return unescape(value) if isinstance(value, str) else value


def _object_link(row: tuple[Any, ...]) -> ObjectLink:
    object_id, provider, source_object_id, sync_config_id, version, blobs, batch_id, *rest = row
    sync_exists, in_inventory, member, member_batch_id = rest
    return ObjectLink(
        object_id=object_id,
        source_provider=provider,
        source_object_id=unescape(source_object_id),
        sync_config_id=sync_config_id,
        version=unescape(version),
        blobs=tuple(Blob(**blob) for blob in json.loads(blobs)),
        batch_id=batch_id,
        sync_exists=bool(sync_exists),
        in_inventory=bool(in_inventory),
        member=member is not None,
        member_batch_id=member_batch_id,
    )
