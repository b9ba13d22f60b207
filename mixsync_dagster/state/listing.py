"""Parts of long lists: filtered, ordered, found by their key and counted by the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.connections import StorageConnection
from mixsync_dagster.model.objects import Batch, StoredObject
from mixsync_dagster.model.progress import DeadLetter, Outcome, RunRecord
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.listing import BatchFilter, ConnectionFilter, Listed, ObjectFilter, Part, SyncFilter
from mixsync_dagster.state import schema, sync_rows
from mixsync_dagster.state.catalog import OBJECT_COLUMNS, to_batch, to_stored_object
from mixsync_dagster.state.codec import escape, to_micros
from mixsync_dagster.state.database import Transaction
from mixsync_dagster.state.dead_letters import letter_ids, letters_by_id
from mixsync_dagster.state.leases import StorePart, run_under_way
from mixsync_dagster.state.runs import RECORD, as_it_is, record_of

_CONNECTION = schema.connections.c
_SYNC = schema.syncs.c
_RUN = schema.runs.c
_BATCH = schema.batches.c
_RUNNING = "running"
# Along the primary key, as `state.catalog` reads: by the bucket's index, each page would sort the whole bucket.
_OBJECTS = "FROM objects INDEXED BY sqlite_autoindex_objects_1 WHERE bucket_id = ? AND state = 'active'"
# A batch's objects are few against its bucket's, and an index knows them.
_OBJECTS_OF_BATCH = """
    FROM objects WHERE bucket_id = ? AND state = 'active'
        AND object_id IN (SELECT object_id FROM batch_items WHERE batch_id = ?)
"""
_COUNT_LETTERS = """
    SELECT error_type, count(*) FROM dead_letters WHERE sync_config_id = ? AND state IN (:list) GROUP BY error_type
"""


class Listing(StorePart):
    """The ListingStore, but for buckets."""

    def list_connections_part(
        self, internal_id: str, wanted: ConnectionFilter, part: Part
    ) -> Listed[StorageConnection]:
        """See ListingStore.list_connections_part."""
        where = [_CONNECTION.internal_id == internal_id, _CONNECTION.archived.is_(False)]
        for column, value in ((_CONNECTION.provider_type, wanted.provider_type), (_CONNECTION.status, wanted.status)):
            if value is not None:
                where.append(column == value)
        if wanted.is_active is not None:
            active = _CONNECTION.status == TaskStatus.ACTIVE.value
            where.append(active if wanted.is_active else ~active)
        with self._database.read() as tx:
            key = (_CONNECTION.created_at, _CONNECTION.connection_id)
            rows, more, total = _newest(tx, sa.select(_CONNECTION.definition), where, key, part)
        return Listed([StorageConnection.model_validate(row.definition) for row in rows], more, total)

    def list_syncs_part(self, bucket_id: str, wanted: SyncFilter, part: Part) -> Listed[SyncConfiguration]:
        """See ListingStore.list_syncs_part."""
        where = [_SYNC.bucket_id == bucket_id]
        if wanted.connection_id is not None:
            where.append(_SYNC.connection_id == wanted.connection_id)
        if wanted.status is not None:
            where.append(_SYNC.status == wanted.status)
        if wanted.is_active is not None:
            where.append(_SYNC.is_active.is_(wanted.is_active))
        with self._database.read() as tx:
            key = (_SYNC.created_at, _SYNC.sync_config_id)
            rows, more, total = _newest(tx, sync_rows.SELECT, where, key, part)
            return Listed([sync_rows.from_row(tx, row, with_batches=True) for row in rows], more, total)

    def list_runs_part(self, sync_config_id: str, statuses: Sequence[str] | None, part: Part) -> Listed[RunRecord]:
        """See ListingStore.list_runs_part."""
        with self._database.read() as tx:
            under_way = run_under_way(tx, sync_config_id)
            where = [_RUN.sync_config_id == sync_config_id]
            if statuses is not None:
                where.append(_told_as(statuses, under_way))
            rows, more, total = _newest(tx, sa.select(*RECORD), where, (_RUN.started_at, _RUN.sync_run_id), part)
        return Listed([as_it_is(record_of(row), under_way) for row in rows], more, total)

    def list_batches_part(self, bucket_id: str, wanted: BatchFilter, part: Part) -> Listed[Batch]:
        """See ListingStore.list_batches_part."""
        where = [_BATCH.bucket_id == bucket_id]
        if wanted.state is not None:
            where.append(_BATCH.state == wanted.state)
        if wanted.sync_config_id is not None:
            where.append(_BATCH.sync_config_id == wanted.sync_config_id)
        key: tuple[sa.ColumnElement[Any], ...] = (_BATCH.created_at, _BATCH.position, _BATCH.batch_id)
        with self._database.read() as tx:
            last: tuple[Any, ...] | None = None
            if part.after is not None:
                # Of batches that were sealed together, the position says which came first.
                created_at, batch_id = part.after
                found = tx.execute(sa.select(_BATCH.position).where(_BATCH.batch_id == batch_id)).scalar()
                last = (created_at, found or 0, batch_id)
            rows, more, total = _ordered(tx, sa.select(schema.batches), where, key, (last, part))
        return Listed([to_batch(row) for row in rows], more, total)

    def get_batch(self, batch_id: str) -> Batch:
        """See ListingStore.get_batch."""
        with self._database.read() as tx:
            row = tx.execute(sa.select(schema.batches).where(_BATCH.batch_id == batch_id)).one_or_none()
        if row is None:
            raise NotFound(f"batch {batch_id} does not exist.")
        return to_batch(row)

    def list_objects_part(
        self, bucket_id: str, wanted: ObjectFilter, *, after: str | None, offset: int, limit: int
    ) -> tuple[Sequence[StoredObject], bool]:
        """See ListingStore.list_objects_part."""
        condition, values = _objects_where(bucket_id, wanted)
        sql = f"{OBJECT_COLUMNS} {condition} AND object_id > ? ORDER BY object_id LIMIT ? OFFSET ?"
        with self._database.read() as tx:
            rows = tx.rows(sql, *values, escape(after or ""), limit + 1, offset)
        return [to_stored_object(row) for row in rows[:limit]], len(rows) > limit

    def count_objects_where(self, bucket_id: str, wanted: ObjectFilter) -> int:
        """See ListingStore.count_objects_where."""
        condition, values = _objects_where(bucket_id, wanted)
        with self._database.read() as tx:
            return int(tx.rows(f"SELECT count(*) {condition}", *values)[0][0])

    def list_letters(
        self,
        sync_config_id: str,
        *,
        states: Sequence[str],
        error_types: Sequence[str] | None,
        limit: int,
        after: str | None = None,
    ) -> Listed[DeadLetter]:
        """See ListingStore.list_letters."""
        with self._database.read() as tx:
            ids = letter_ids(tx, sync_config_id, states, error_types, after=after, limit=limit + 1)
            counts = _letter_counts(tx, sync_config_id, states)
            letters = letters_by_id(tx, ids[:limit])
        total = sum(count for kind, count in counts.items() if error_types is None or kind in error_types)
        return Listed(letters, len(ids) > limit, total)

    def count_letters(self, sync_config_id: str, *, states: Sequence[str]) -> Mapping[str, int]:
        """See ListingStore.count_letters."""
        with self._database.read() as tx:
            return _letter_counts(tx, sync_config_id, states)


def _newest(
    tx: Transaction,
    query: sa.Select[Any],
    where: Sequence[sa.ColumnElement[bool]],
    key: tuple[sa.ColumnElement[Any], ...],
    part: Part,
) -> tuple[list[sa.Row[Any]], bool, int]:
    return _ordered(tx, query, where, key, (part.after, part))


def _ordered(
    tx: Transaction,
    query: sa.Select[Any],
    where: Sequence[sa.ColumnElement[bool]],
    key: tuple[sa.ColumnElement[Any], ...],
    place: tuple[tuple[Any, ...] | None, Part],
) -> tuple[list[sa.Row[Any]], bool, int]:
    """Return the rows of the part behind a key, whether there are more, and how many the whole list has."""
    last, part = place
    [table] = {column.table for column in key}
    total = tx.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one()
    wanted = query.where(*where)
    if last is not None:
        wanted = wanted.where(sa.tuple_(*key) < sa.tuple_(*last, types=[column.type for column in key]))
    ordered = wanted.order_by(*(column.desc() for column in key)).limit(part.limit + 1).offset(part.offset)
    rows = list(tx.execute(ordered).all())
    return rows[: part.limit], len(rows) > part.limit, int(total)


def _told_as(statuses: Sequence[str], under_way: str | None) -> sa.ColumnElement[bool]:
    """Return whether a run is told in one of these statuses: one whose worker is gone is told as interrupted."""
    stored = _RUN.status.in_([status for status in statuses if status != _RUNNING])
    here = (_RUN.status == _RUNNING) & (_RUN.sync_run_id == (under_way or ""))
    gone = (_RUN.status == _RUNNING) & (_RUN.sync_run_id != (under_way or ""))
    told = stored | here if _RUNNING in statuses else stored
    return told | gone if Outcome.INTERRUPTED.value in statuses else told


def _objects_where(bucket_id: str, wanted: ObjectFilter) -> tuple[str, list[Any]]:
    condition: str = _OBJECTS
    values: list[Any] = [bucket_id]
    if wanted.batch_id is not None:
        condition, values = _OBJECTS_OF_BATCH, [bucket_id, escape(wanted.batch_id)]
    tests: list[tuple[str, Any]] = [
        ("sync_config_id = ?", None if wanted.sync_config_id is None else escape(wanted.sync_config_id)),
        ("updated_at > ?", None if wanted.updated_after is None else to_micros(wanted.updated_after)),
        ("updated_at < ?", None if wanted.updated_before is None else to_micros(wanted.updated_before)),
    ]
    for test, value in tests:
        if value is not None:
            condition, values = f"{condition} AND {test}", [*values, value]
    if wanted.path_prefix:
        prefix = escape(wanted.path_prefix)
        condition, values = f"{condition} AND substr(source_path, 1, ?) = ?", [*values, len(prefix), prefix]
    return condition, values


def _letter_counts(tx: Transaction, sync_config_id: str, states: Sequence[str]) -> dict[str, int]:
    return {kind: int(count) for kind, count in tx.rows(_COUNT_LETTERS, sync_config_id, list(states))}
