"""How using a connection went: failures are counted, and a connection that only fails is suspended with its syncs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.connections import SUSPEND_AFTER_FAILURES, StorageConnection, cut_error
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.ports.state import RunEnd
from mixsync_dagster.state import schema
from mixsync_dagster.state.database import Transaction
from mixsync_dagster.state.leases import StorePart

PAUSE_REASON = "connection_suspended"
"""Why a sync is paused whose connection may not be used; it goes on when the connection does."""

_CONNECTION = schema.connections.c
_SYNC = schema.syncs.c


class ConnectionUse(StorePart):
    """The part of ConfigStore that hears how connections do."""

    def connection_used(self, connection_id: str, *, error: str | None) -> StorageConnection:
        """See ConfigStore.connection_used."""
        with self._database.write() as tx:
            noted = note_use(tx, connection_id, error=error, now=self._clock.now())
        if noted is None:
            raise NotFound(f"connection {connection_id} does not exist.")
        return noted


def note_use(tx: Transaction, connection_id: str, *, error: str | None, now: datetime) -> StorageConnection | None:
    """Note that a connection worked, or with what it failed; None when it is not there or archived."""
    this = (_CONNECTION.connection_id == connection_id) & _CONNECTION.archived.is_(False)
    definition = tx.execute(sa.select(_CONNECTION.definition).where(this).with_for_update()).scalar_one_or_none()
    if definition is None:
        return None
    before = StorageConnection.model_validate(definition)
    after = before.model_copy(update=_changes(before, error, now))
    values = {"definition": after.model_dump(mode="json"), "status": after.status.value}
    tx.execute(sa.update(schema.connections).where(this).values(values))
    follow(tx, before, after, now=now)
    return after


def note_end(tx: Transaction, sync_config_id: str, end: RunEnd, *, now: datetime) -> None:
    """Note what the end of a run says of its sync's connection: credentials that were refused, or a success."""
    # With a reason to pause of this name, it was the bucket's service that refused its key.
    refused = end.error_class == "credential" and end.paused_reason != "credential"
    if not (refused or end.successful):
        return
    connection_id = tx.execute(sa.select(_SYNC.connection_id).where(_SYNC.sync_config_id == sync_config_id)).scalar()
    if connection_id is not None:
        note_use(tx, connection_id, error=end.error if refused else None, now=now)


def follow(tx: Transaction, before: StorageConnection | None, after: StorageConnection, *, now: datetime) -> None:
    """Pause the syncs of a connection that may not be used any more, and let them go on when it may be again."""
    if before is None or before.is_active == after.is_active:
        return
    using = _SYNC.connection_id == after.connection_id
    if after.is_active:
        ours = using & _SYNC.paused & (_SYNC.pause_reason == PAUSE_REASON)
        tx.execute(sa.update(schema.syncs).where(ours).values(resumed_values(now)))
        return
    why = f": {after.last_error}" if after.last_error else "."
    told = f"connection {after.name} is {after.status} and may not be used; test or change it{why}"
    values = {**paused_values(PAUSE_REASON, None, now), "last_error": cut_error(told)}
    # Those that are paused have a reason of their own, and those that are over would not run anyway.
    tx.execute(sa.update(schema.syncs).where(using & ~_SYNC.paused & _SYNC.is_active).values(values))


def paused_values(reason: str | None, user_id: str | None, now: datetime) -> dict[str, Any]:
    """Return what pausing makes of a sync's row."""
    return {
        "paused": True,
        "pause_reason": reason,
        "paused_at": now,
        "paused_by_user_id": user_id,
        "is_active": False,
        "status": TaskStatus.SUSPENDED.value,
        "next_sync_at": None,
        "dispatched_at": None,
        "updated_at": now,
    }


def resumed_values(now: datetime) -> dict[str, Any]:
    """Return what resuming makes of a sync's row."""
    before_first = _SYNC.sync_run_counter == 0
    return {
        "paused": False,
        "pause_reason": None,
        "paused_at": None,
        "paused_by_user_id": None,
        "is_active": True,
        "status": sa.case((before_first, TaskStatus.PENDING.value), else_=TaskStatus.ACTIVE.value),
        "consecutive_failures": 0,
        "next_sync_at": now,
        "updated_at": now,
    }


def _changes(connection: StorageConnection, error: str | None, now: datetime) -> Mapping[str, Any]:
    if error is None:
        worked: dict[str, Any] = {"last_used_at": now, "last_error": None, "consecutive_failures": 0}
        return worked | ({"status": TaskStatus.ACTIVE} if connection.suspended_for_failures else {})
    failures = connection.consecutive_failures + 1
    failed: dict[str, Any] = {"last_error": cut_error(error), "consecutive_failures": failures}
    ends = connection.is_active and failures >= SUSPEND_AFTER_FAILURES
    return failed | ({"status": TaskStatus.SUSPENDED} if ends else {})
