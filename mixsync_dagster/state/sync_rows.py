"""Between a sync's row, with its lease, and the configuration that everybody else sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE, Namespace
from mixsync_dagster.state import schema
from mixsync_dagster.state.codec import from_micros
from mixsync_dagster.state.database import Transaction

RECENT_BATCHES = 100
"""How many batch ids a sync shows; all of them are listed with the bucket."""

_SYNC = schema.syncs.c
_LEASE = schema.leases.c
_COLUMNS = frozenset(column.key for column in schema.syncs.columns)
_OWN_COLUMNS = frozenset(
    {"sync_config_id", "internal_id", "namespace_id", "name", "bucket_id", "connection_id", "created_at"}
)
_STORE_ONLY = frozenset(
    {
        "config",
        "dispatch_number",
        "dispatched_at",
        "dispatch_taken_up",
        "requested_at",
        "last_pass_number",
        "feed_cursor",
        "full_pass_at",
    }
)
LIVE_FIELDS = (_COLUMNS - _OWN_COLUMNS - _STORE_ONLY) | {
    "locked",
    "locked_by_worker_id",
    "locked_at",
    "lock_expires_at",
    "batch_ids",
    "task_ids",
    "resume_last_primary_key",
}
"""Fields that runs, pausing and locking set; no configuration change does."""

SELECT = sa.select(schema.syncs, _LEASE.holder, _LEASE.acquired_at, _LEASE.expires_at).outerjoin(
    schema.leases, _LEASE.sync_config_id == _SYNC.sync_config_id
)
"""Rows for `from_row`."""

_RECENT = """
    SELECT batch_id, task_id FROM batches WHERE sync_config_id = ? ORDER BY created_at DESC, position DESC LIMIT ?
"""


def to_values(sync: SyncConfiguration) -> dict[str, Any]:
    """Return the columns of a new row."""
    fields = {name: getattr(sync, name) for name in _COLUMNS if name in SyncConfiguration.model_fields}
    return {
        **fields,
        "status": sync.status.value,
        "config": config_of(sync),
        "dispatch_number": 0,
        "dispatched_at": None,
        "dispatch_taken_up": False,
        "requested_at": None,
        "feed_cursor": None,
        "full_pass_at": None,
        "last_pass_number": 0,
    }


def config_of(sync: SyncConfiguration) -> dict[str, Any]:
    """Return the fields that have no column of their own, as JSON values."""
    return sync.model_dump(mode="json", exclude=set(LIVE_FIELDS | _COLUMNS))


def from_row(tx: Transaction, row: sa.Row[Any], *, with_batches: bool = False) -> SyncConfiguration:
    """Return the configuration with its live status; `with_batches` adds its newest batches, oldest first."""
    values = row._asdict()
    config, holder = values.pop("config"), values.pop("holder")
    acquired_at, expires_at = values.pop("acquired_at"), values.pop("expires_at")
    for name in _STORE_ONLY - {"config"}:
        del values[name]
    for name in ("last_error", "pause_reason", "resume_cursor"):
        # The models refuse NUL, and an empty cursor is none; a sync must be readable whatever a provider said.
        values[name] = values[name].replace("\x00", "\ufffd") or None if values[name] else None
    if holder and expires_at > tx.lease_now():
        values |= {
            "locked": True,
            "locked_by_worker_id": holder,
            "locked_at": from_micros(acquired_at),
            "lock_expires_at": from_micros(expires_at),
        }
    if with_batches:
        recent = tx.rows(_RECENT, values["sync_config_id"], RECENT_BATCHES)[::-1]
        values["batch_ids"] = [batch_id for batch_id, _ in recent]
        values["task_ids"] = [task_id for _, task_id in recent if task_id]
    return SyncConfiguration.model_validate({**config, **values})


def of_namespace(columns: Any, within: Namespace) -> list[sa.ColumnElement[bool]]:
    """Return what holds for the rows of a namespace."""
    return [columns.internal_id == within.internal_id, columns.namespace_id == within.namespace_id]


def lookups(
    key: sa.Column[Any], columns: Any, id_or_name: str, within: Namespace | None
) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Return the conditions for the row of this id, and for the one of this name; None looks as `ConfigStore` says."""
    by_id = [] if within is None else of_namespace(columns, within)
    by_name = of_namespace(columns, within or LOCAL_NAMESPACE)
    return sa.and_(key == id_or_name, *by_id), sa.and_(columns.name == id_or_name, *by_name)


def one(tx: Transaction, id_or_name: str, *, within: Namespace | None = None) -> SyncConfiguration:
    """Return the sync of this id, else of this name. Raises NotFound."""
    for condition in lookups(_SYNC.sync_config_id, _SYNC, id_or_name, within):
        row = tx.execute(SELECT.where(condition)).one_or_none()
        if row is not None:
            return from_row(tx, row, with_batches=True)
    raise NotFound(f"sync {id_or_name} does not exist.")


def several(tx: Transaction, statement: sa.Select[Any], *, with_batches: bool) -> Sequence[SyncConfiguration]:
    """Return the syncs that a narrowed SELECT finds."""
    return [from_row(tx, row, with_batches=with_batches) for row in tx.execute(statement).all()]
