"""What became of single items, read from what commits have left: inventory, objects, dead letters and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mixsync_dagster.model.progress import DeadLetter, RunRecord
from mixsync_dagster.ports.tracing import ItemOutcome, Trace
from mixsync_dagster.state.catalog import OBJECT_COLUMNS, to_stored_object
from mixsync_dagster.state.codec import escape, from_micros, to_micros, unescape
from mixsync_dagster.state.database import Transaction
from mixsync_dagster.state.dead_letters import dead_letter_id_for, letters_by_id
from mixsync_dagster.state.leases import StorePart

_ITEM = "SELECT source_object_id, path, version, duplicate_of, object_id FROM inventory WHERE sync_config_id = ?"
_BY_ID = _ITEM + " AND source_object_id = ?"
_BY_PATH = _ITEM + " AND path = ? ORDER BY source_object_id LIMIT 1"
_LETTER_BY_PATH = """
    SELECT dead_letter_id FROM dead_letters
    WHERE sync_config_id = ? AND state IN ('waiting', 'quarantined', 'discarded') AND source_path = ?
    ORDER BY dead_letter_id LIMIT 1
"""
_OBJECT = OBJECT_COLUMNS + " FROM objects WHERE object_id = ? AND state = 'active'"
_REFUSED = "SELECT 1 FROM refusals WHERE sync_config_id = ? AND source_object_id = ?"

# An object that an older run had removed counts as created when it comes back.
_PLACED = """
    SELECT i.source_object_id AS item, i.path AS path,
        CASE WHEN i.duplicate_of IS NOT NULL THEN 'duplicate'
            WHEN o.created_at >= ? THEN 'created' ELSE 'updated' END AS outcome,
        i.object_id AS object_id, i.size_bytes AS size_bytes, NULL AS error_type, NULL AS error_message,
        i.updated_at AS at
    FROM inventory i LEFT JOIN objects o ON o.object_id = i.object_id
    WHERE i.sync_config_id = ? AND i.updated_at >= ? AND i.updated_at <= ?
"""
_REMOVED = """
    SELECT source_object_id, source_path, 'removed', object_id, NULL, NULL, NULL, tombstoned_at
    FROM objects WHERE sync_config_id = ? AND state <> 'active' AND tombstoned_at >= ? AND tombstoned_at <= ?
"""
_FAILED = """
    SELECT source_object_id, source_path, 'failed', NULL, NULL, error_type, error_message, last_seen_at
    FROM dead_letters WHERE sync_config_id = ? AND sync_run_id = ? AND state <> 'resolved'
"""
_BEHIND = "WHERE (item, outcome) > (?, ?) ORDER BY item, outcome LIMIT ? OFFSET ?"
_FOR_EVER = 2**62


class Tracing(StorePart):
    """The TraceStore."""

    def trace_item(self, sync_config_id: str, path_or_id: str) -> Trace:
        """See TraceStore.trace_item."""
        asked = escape(path_or_id)
        with self._database.read() as tx:
            found = tx.rows(_BY_ID, sync_config_id, asked) or tx.rows(_BY_PATH, sync_config_id, asked)
            if not found:
                return _unplaced(tx, sync_config_id, path_or_id)
            item, path, version, duplicate_of, object_id = found[0]
            objects = tx.rows(_OBJECT, object_id)
            return Trace(
                source_object_id=unescape(item),
                path=unescape(path),
                version=unescape(version),
                duplicate_of=duplicate_of,
                placed=to_stored_object(objects[0]) if objects else None,
                letter=_letter(tx, dead_letter_id_for(sync_config_id, unescape(item))),
                refused=bool(tx.rows(_REFUSED, sync_config_id, item)),
            )

    def run_outcomes(
        self, run: RunRecord, *, after: tuple[str, str] | None, offset: int, limit: int
    ) -> tuple[Sequence[ItemOutcome], bool]:
        """See TraceStore.run_outcomes."""
        sql, values = _outcomes(run)
        item, outcome = after or ("", "")
        sql = f"SELECT * FROM ({sql}) done {_BEHIND}"  # noqa: S608 - constants
        with self._database.read() as tx:
            rows = tx.rows(sql, *values, escape(item), outcome, limit + 1, offset)
        return [_outcome(row) for row in rows[:limit]], len(rows) > limit

    def count_run_outcomes(self, run: RunRecord) -> int:
        """See TraceStore.count_run_outcomes."""
        sql, values = _outcomes(run)
        with self._database.read() as tx:
            return int(tx.rows(f"SELECT count(*) FROM ({sql}) done", *values)[0][0])  # noqa: S608 - constants


def _unplaced(tx: Transaction, sync_config_id: str, path_or_id: str) -> Trace:
    letter = _letter(tx, dead_letter_id_for(sync_config_id, path_or_id))
    if letter is None:
        found = tx.rows(_LETTER_BY_PATH, sync_config_id, escape(path_or_id))
        letter = _letter(tx, found[0][0]) if found else None
    if letter is not None:
        return Trace(source_object_id=letter.source_object_id, path=letter.source_path, letter=letter)
    refused = bool(tx.rows(_REFUSED, sync_config_id, escape(path_or_id)))
    return Trace(source_object_id=path_or_id if refused else None, refused=refused)


def _letter(tx: Transaction, dead_letter_id: str) -> DeadLetter | None:
    found = letters_by_id(tx, [dead_letter_id])
    return found[0] if found and found[0].state != "resolved" else None


def _outcomes(run: RunRecord) -> tuple[str, list[Any]]:
    """Return the query for what a run did, without the parts that its counters say are empty."""
    start = to_micros(run.started_at)
    end = _FOR_EVER if run.completed_at is None else to_micros(run.completed_at)
    sql, values = _PLACED, [start, run.sync_config_id, start, end]
    if run.counters.removed:
        sql, values = sql + " UNION ALL " + _REMOVED, [*values, run.sync_config_id, start, end]
    if run.counters.failed:
        sql, values = sql + " UNION ALL " + _FAILED, [*values, run.sync_config_id, escape(run.sync_run_id)]
    return sql, values


def _outcome(row: tuple[Any, ...]) -> ItemOutcome:
    item, path, outcome, object_id, size_bytes, error_type, error_message, at = row
    return ItemOutcome(
        source_object_id=unescape(item),
        source_path=unescape(path),
        outcome=outcome,
        object_id=object_id,
        size_bytes=size_bytes,
        error_type=error_type,
        error_message=None if error_message is None else unescape(error_message),
        at=from_micros(at),
    )
