"""Refusals: what the metadata filters took out, so that nobody has to ask for it again."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from mixsync_dagster.model.progress import REFUSAL_SCHEMA, Refusal
from mixsync_dagster.ports.state import SyncLock
from mixsync_dagster.state.codec import escape, escape_optional
from mixsync_dagster.state.database import Bulk, Transaction
from mixsync_dagster.state.inventory import table_of, within
from mixsync_dagster.state.leases import StorePart

_REFUSALS = Bulk(
    "refusals",
    {
        "sync_config_id": "text",
        "source_object_id": "text",
        "version": "text",
        "metadata_version": "text",
        "rules": "text",
    },
    """
    ON CONFLICT (sync_config_id, source_object_id) DO UPDATE SET
        version = excluded.version, metadata_version = excluded.metadata_version, rules = excluded.rules
    """,
)
_SPAN = "SELECT source_object_id, version, metadata_version, rules FROM refusals WHERE sync_config_id = ?"
_AMONG = " AND source_object_id IN (:list)"
_ORDER = " ORDER BY source_object_id"
_ESCAPED_COLUMNS = (0, 1, 2, 3)
_ANY = "SELECT 1 FROM refusals WHERE sync_config_id = ? LIMIT 1"
_FORGET = "DELETE FROM refusals WHERE sync_config_id = ? AND source_object_id IN (:list)"
_CLEAR = "DELETE FROM refusals WHERE sync_config_id = ?"
_TAKE_UP = "UPDATE syncs SET pending_full_sync = FALSE WHERE sync_config_id = ? AND pending_full_sync"


def record_refusals(tx: Transaction, sync_config_id: str, refusals: Sequence[Refusal]) -> None:
    """Remember the refusals, each in place of the item's earlier one."""
    rows = {
        escape(one.source_object_id): (
            sync_config_id,
            escape(one.source_object_id),
            escape(one.version),
            escape_optional(one.metadata_version),
            escape(one.rules),
        )
        for one in refusals
    }
    tx.insert(_REFUSALS, [rows[key] for key in sorted(rows)])


def forget_refusals(tx: Transaction, sync_config_id: str, source_object_ids: Sequence[str]) -> None:
    """Forget the refusals of these items; most syncs have none, and then nothing is looked up."""
    if source_object_ids and tx.rows(_ANY, sync_config_id):
        tx.run(_FORGET, sync_config_id, [escape(item) for item in source_object_ids])


class Refusals(StorePart):
    """The refusals part of RunStore."""

    def refusals_span(self, sync_config_id: str, after: str | None, upto: str | None) -> pa.Table:
        """See RunStore.refusals_span."""
        condition, bounds = within(after, upto)
        with self._database.read() as tx:
            rows = tx.rows(_SPAN + condition + _ORDER, sync_config_id, *bounds)
        return table_of(rows, REFUSAL_SCHEMA, _ESCAPED_COLUMNS)

    def refusals_of(self, sync_config_id: str, source_object_ids: Sequence[str]) -> pa.Table:
        """See RunStore.refusals_of."""
        wanted = [escape(identifier) for identifier in source_object_ids]
        with self._database.read() as tx:
            rows = tx.rows(_SPAN + _AMONG + _ORDER, sync_config_id, wanted) if wanted else []
        return table_of(rows, REFUSAL_SCHEMA, _ESCAPED_COLUMNS)

    def begin_full_sync(self, lock: SyncLock) -> None:
        """See RunStore.begin_full_sync."""
        with self._fenced(lock) as tx:
            tx.run(_CLEAR, lock.sync_config_id)
            tx.run(_TAKE_UP, lock.sync_config_id)
