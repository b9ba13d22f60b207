"""Reading what a sync put where, as Arrow tables in key order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from mixsync_dagster.model.columns import column, empty
from mixsync_dagster.model.progress import INVENTORY_SCHEMA
from mixsync_dagster.ports.state import Removal
from mixsync_dagster.state.codec import escape, unescape
from mixsync_dagster.state.leases import StorePart

_SPAN = """
    SELECT source_object_id, object_id, path, version, metadata_version, size_bytes FROM inventory
    WHERE sync_config_id = ?
"""
_AFTER = " AND source_object_id > ?"
_UPTO = " AND source_object_id <= ?"
_AMONG = " AND source_object_id IN (:list)"
_ORDER = " ORDER BY source_object_id"
_NTH_AFTER = """
    SELECT source_object_id FROM inventory WHERE sync_config_id = ? AND source_object_id > ?
    ORDER BY source_object_id LIMIT 1 OFFSET ?
"""
# An object belongs to whoever placed it under its own identity. Only syncs of the same bucket can hold the same one,
# and then under the same source object id; a row that leans on it as a duplicate never holds it.
_REMOVALS = """
    SELECT i.source_object_id, i.object_id,
        i.duplicate_of IS NOT NULL OR EXISTS (
            SELECT 1 FROM syncs mine
            JOIN syncs other ON other.bucket_id = mine.bucket_id AND other.sync_config_id <> mine.sync_config_id
            JOIN inventory o ON o.sync_config_id = other.sync_config_id AND o.source_object_id = i.source_object_id
            WHERE mine.sync_config_id = i.sync_config_id AND o.object_id = i.object_id AND o.duplicate_of IS NULL
        )
    FROM inventory i INDEXED BY ix_inventory_missing WHERE i.sync_config_id = ? AND i.missing_in_pass = ?
    ORDER BY i.source_object_id LIMIT ?
"""
_COUNT_MISSING = """
    SELECT count(*) FROM inventory INDEXED BY ix_inventory_missing WHERE sync_config_id = ? AND missing_in_pass = ?
"""
_ESCAPED_COLUMNS = (0, 2, 3, 4)


def table_of(rows: Sequence[tuple[Any, ...]], schema: pa.Schema, escaped: Sequence[int]) -> pa.Table:
    """Return driver rows in the column order of a schema as a table of it; `escaped` are the columns of any text."""
    if not rows:
        return empty(schema)
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for index in escaped:
        # Escapes are rare: one search over a whole column, and work only where there are some.
        if "\x01" in "".join(filter(None, columns[index])):
            columns[index] = [None if text is None else unescape(text) for text in columns[index]]
    arrays = [column(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def within(after: str | None, upto: str | None) -> tuple[str, list[str]]:
    """Return the SQL condition for after < source_object_id <= upto (None: unbounded), and its values."""
    condition, values = "", []
    for bound, one in ((after, _AFTER), (upto, _UPTO)):
        if bound is not None:
            condition += one
            values.append(escape(bound))
    return condition, values


class InventoryReads(StorePart):
    """The inventory part of RunStore."""

    def inventory_span(self, sync_config_id: str, after: str | None, upto: str | None) -> pa.Table:
        """See RunStore.inventory_span."""
        condition, bounds = within(after, upto)
        with self._database.read() as tx:
            rows = tx.rows(_SPAN + condition + _ORDER, sync_config_id, *bounds)
        return table_of(rows, INVENTORY_SCHEMA, _ESCAPED_COLUMNS)

    def inventory_of(self, sync_config_id: str, source_object_ids: Sequence[str]) -> pa.Table:
        """See RunStore.inventory_of."""
        wanted = [escape(identifier) for identifier in source_object_ids]
        with self._database.read() as tx:
            rows = tx.rows(_SPAN + _AMONG + _ORDER, sync_config_id, wanted) if wanted else []
        return table_of(rows, INVENTORY_SCHEMA, _ESCAPED_COLUMNS)

    def inventory_size(self, sync_config_id: str) -> int:
        """See RunStore.inventory_size."""
        with self._database.read() as tx:
            found = tx.rows("SELECT count(*) FROM inventory WHERE sync_config_id = ?", sync_config_id)
        return int(found[0][0])

    def inventory_splits(self, sync_config_id: str, rows_per_part: int) -> Sequence[str]:
        """See RunStore.inventory_splits."""
        splits: list[str] = []
        with self._database.read() as tx:
            # Stepping along the key reads each row once, in order, and keeps none of them.
            last = ""
            while found := tx.rows(_NTH_AFTER, sync_config_id, last, rows_per_part - 1):
                last = found[0][0]
                splits.append(unescape(last))
        return splits

    def next_removals(self, sync_config_id: str, pass_number: int, *, limit: int) -> Sequence[Removal]:
        """See RunStore.next_removals."""
        with self._database.read() as tx:
            rows = tx.rows(_REMOVALS, sync_config_id, pass_number, limit)
        return [Removal(unescape(source), object_id, bool(shared)) for source, object_id, shared in rows]

    def count_missing(self, sync_config_id: str, pass_number: int) -> int:
        """See RunStore.count_missing."""
        with self._database.read() as tx:
            found = tx.rows(_COUNT_MISSING, sync_config_id, pass_number)
        return int(found[0][0])
