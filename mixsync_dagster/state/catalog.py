"""Reading the objects of a bucket."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.objects import Batch, Blob, StoredObject
from mixsync_dagster.state import schema
from mixsync_dagster.state.codec import from_micros, unescape
from mixsync_dagster.state.database import Transaction
from mixsync_dagster.state.leases import StorePart

_TIME = pa.timestamp("us", tz="UTC")
OBJECTS_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("object_id", pa.string(), nullable=False),
        pa.field("source_object_id", pa.string(), nullable=False),
        pa.field("source_path", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("fields", pa.string(), nullable=False),
        pa.field("blobs", pa.string(), nullable=False),
        pa.field("batch_id", pa.string(), nullable=True),
        pa.field("created_at", _TIME, nullable=False),
        pa.field("updated_at", _TIME, nullable=False),
    ]
)
"""Columns of `objects_table`; `fields` is a JSON object, `blobs` a JSON list of objects."""

OBJECT_COLUMNS = """
    SELECT object_id, bucket_id, source_provider, source_object_id, source_path, version, state, fields, blobs,
        batch_id, created_at, updated_at
"""
"""The columns that `to_stored_object` reads."""
_BY_ID = OBJECT_COLUMNS + " FROM objects WHERE object_id IN (:list) AND state = 'active'"
# Along the primary key: by the bucket's index, each page would sort the whole bucket.
_OF_BUCKET = (
    OBJECT_COLUMNS
    + """
    FROM objects INDEXED BY sqlite_autoindex_objects_1
    WHERE bucket_id = ? AND object_id > ? AND state = 'active'
"""
)
_OF_SYNC = " AND sync_config_id = ?"
_PAGE = " ORDER BY object_id LIMIT ?"
_VERSIONS = "SELECT object_id, version FROM objects WHERE object_id IN (:list) AND state = 'active'"
_COUNT = "SELECT count(*) FROM objects WHERE bucket_id = ? AND state = 'active'"
# CROSS JOIN keeps SQLite from starting at the bucket; to PostgreSQL it is a join as any other.
_OWNERS = """
    SELECT c.sha256, min(c.object_id) FROM contents c CROSS JOIN objects o
    WHERE o.object_id = c.object_id AND c.sha256 IN (:list) AND o.bucket_id = ? AND o.state = 'active'
    GROUP BY c.sha256
"""
_TABLE_PAGE = 20_000


class CatalogReads(StorePart):
    """The Catalog."""

    def objects_by_id(self, object_ids: Sequence[str]) -> Sequence[StoredObject]:
        """See Catalog.objects_by_id."""
        with self._database.read() as tx:
            rows = tx.rows(_BY_ID, list(object_ids))
        return [to_stored_object(row) for row in rows]

    def versions_by_id(self, object_ids: Sequence[str]) -> Mapping[str, str]:
        """See Catalog.versions_by_id."""
        with self._database.read() as tx:
            rows = tx.rows(_VERSIONS, list(object_ids))
        return {object_id: unescape(version) for object_id, version in rows}

    def owners_of_content(self, bucket_id: str, sha256s: Sequence[str]) -> Mapping[str, str]:
        """See Catalog.owners_of_content."""
        with self._database.read() as tx:
            return dict(tx.rows(_OWNERS, list(sha256s), bucket_id))

    def list_objects(
        self, bucket_id: str, *, after: str | None = None, limit: int = 100, sync_config_id: str | None = None
    ) -> Sequence[StoredObject]:
        """See Catalog.list_objects; an object of two syncs counts as that of the one which wrote it last."""
        with self._database.read() as tx:
            rows = _page(tx, bucket_id, after or "", limit, sync_config_id)
        return [to_stored_object(row) for row in rows]

    def count_objects(self, bucket_id: str, *, sync_config_id: str | None = None) -> int:
        """See Catalog.count_objects."""
        with self._database.read() as tx:
            if sync_config_id is None:
                return int(tx.rows(_COUNT, bucket_id)[0][0])
            return int(tx.rows(_COUNT + _OF_SYNC, bucket_id, sync_config_id)[0][0])

    def objects_table(self, bucket_id: str, *, sync_config_id: str | None = None) -> pa.Table:
        """See Catalog.objects_table; the columns are OBJECTS_SCHEMA."""
        parts, after = [], ""
        with self._database.read() as tx:
            while rows := _page(tx, bucket_id, after, _TABLE_PAGE, sync_config_id):
                parts.append(_objects_part(rows))
                after = rows[-1][0]
        return pa.concat_tables(parts) if parts else OBJECTS_SCHEMA.empty_table()

    def list_batches(self, bucket_id: str, *, after: str | None = None, limit: int = 100) -> Sequence[Batch]:
        """See Catalog.list_batches. Raises NotFound for an unknown `after`."""
        columns = schema.batches.c
        key = (columns.created_at, columns.position, columns.batch_id)
        statement = sa.select(schema.batches).where(columns.bucket_id == bucket_id)
        with self._database.read() as tx:
            if after is not None:
                last = tx.execute(sa.select(*key).where(columns.batch_id == after)).one_or_none()
                if last is None:
                    raise NotFound(f"batch {after} does not exist.")
                statement = statement.where(sa.tuple_(*key) < sa.tuple_(*last, types=[c.type for c in key]))
            rows = tx.execute(statement.order_by(*(column.desc() for column in key)).limit(limit)).all()
        return [to_batch(row) for row in rows]


def to_batch(row: sa.Row[Any]) -> Batch:
    """Return the batch of a row of the table."""
    return Batch(
        batch_id=row.batch_id,
        sync_config_id=row.sync_config_id,
        bucket_id=row.bucket_id,
        size=row.size,
        state=row.state,
        task_id=row.task_id,
        created_at=row.created_at,
        submitted_at=row.submitted_at,
        remote_batch_id=row.remote_batch_id,
        task_status=row.task_status,
        task_error=row.task_error,
    )


def _page(tx: Transaction, bucket_id: str, after: str, limit: int, sync_config_id: str | None) -> list[tuple[Any, ...]]:
    if sync_config_id is None:
        return tx.rows(_OF_BUCKET + _PAGE, bucket_id, after, limit)
    return tx.rows(_OF_BUCKET + _OF_SYNC + _PAGE, bucket_id, after, sync_config_id, limit)


def to_stored_object(row: tuple[Any, ...]) -> StoredObject:
    """Return the object of a row of OBJECT_COLUMNS."""
    object_id, bucket_id, provider, source_object_id, path, version, state, fields, blobs, *rest = row
    batch_id, created, updated = rest
    return StoredObject(
        object_id=object_id,
        bucket_id=bucket_id,
        source_provider=provider,
        source_object_id=unescape(source_object_id),
        source_path=unescape(path),
        version=unescape(version),
        state=state,
        fields=json.loads(fields),
        blobs=tuple(Blob(**blob) for blob in json.loads(blobs)),
        batch_id=batch_id,
        created_at=from_micros(created),
        updated_at=from_micros(updated),
    )


def _objects_part(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    arrays = [
        pa.array(columns[0], pa.string()),
        *(pa.array([unescape(text) for text in columns[index]], pa.string()) for index in (3, 4, 5)),
        *(pa.array(columns[index], pa.string()) for index in (7, 8, 9)),
        *(pa.array(columns[index], pa.int64()).cast(_TIME) for index in (10, 11)),
    ]
    return pa.Table.from_arrays(arrays, schema=OBJECTS_SCHEMA)
