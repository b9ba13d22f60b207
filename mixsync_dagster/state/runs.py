"""Runs: their records, and what their end makes of a sync."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.progress import WORKER_GONE, Counters, Outcome, RunRecord
from mixsync_dagster.ports.state import RunEnd, SyncLock
from mixsync_dagster.state import schema
from mixsync_dagster.state.connection_use import note_end
from mixsync_dagster.state.database import Transaction
from mixsync_dagster.state.leases import StorePart, release_lease, run_under_way

_ERROR_CHARACTERS = 1000
_RUNNING = "running"
_GONE = f"{WORKER_GONE}; the next run goes on from the last commit."
_RUN = schema.runs.c
_SYNC = schema.syncs.c
RECORD = (
    _RUN.sync_run_id,
    _RUN.sync_config_id,
    _RUN.status,
    _RUN.trigger,
    _RUN.started_at,
    _RUN.completed_at,
    _RUN.counters,
    _RUN.error,
    _RUN.dagster_run_id,
    _RUN.worker_id,
)
"""The columns that `record_of` reads."""


class Runs(StorePart):
    """The run records of RunStore and ControlStore."""

    def start_run(self, lock: SyncLock, run: RunRecord) -> None:
        """See RunStore.start_run; the same run twice is counted once."""
        sync = _SYNC.sync_config_id == lock.sync_config_id
        with self._fenced(lock) as tx:
            if tx.execute(sa.select(_RUN.sync_run_id).where(_RUN.sync_run_id == run.sync_run_id)).first():
                return
            older = (_RUN.sync_config_id == lock.sync_config_id) & (_RUN.status == _RUNNING)
            closing = {
                "status": Outcome.INTERRUPTED.value,
                "completed_at": self._clock.now(),
                "error": _GONE,
                "error_class": "interrupted",
            }
            tx.execute(sa.update(schema.runs).where(older).values(closing))
            tx.execute(sa.insert(schema.runs).values(_values(run)))
            counting = {"current_sync_run_id": run.sync_run_id, "sync_run_counter": _SYNC.sync_run_counter + 1}
            tx.execute(sa.update(schema.syncs).where(sync).values(counting))

    def finish_run(self, lock: SyncLock, end: RunEnd) -> RunRecord:
        """See RunStore.finish_run. Raises NotFound when the run was never started."""
        now = self._clock.now()
        error = None if end.error is None else end.error[:_ERROR_CHARACTERS]
        closing = {
            "status": end.outcome.value,
            "completed_at": now,
            "error": error,
            "error_class": end.error_class,
        }
        with self._fenced(lock) as tx:
            this = _RUN.sync_run_id == lock.sync_run_id
            if tx.execute(sa.update(schema.runs).where(this).values(closing)).rowcount == 0:
                raise NotFound(f"run {lock.sync_run_id} of sync {lock.sync_config_id} was never started.")
            record = _record(tx, lock.sync_run_id)
            # First, for it may pause the sync, which the run's own end then leaves as it is.
            note_end(tx, lock.sync_config_id, end, now=now)
            _settle_sync(tx, lock, end, error=error, started_at=record.started_at, now=now)
            if not end.keep_checkpoint:
                tx.run("DELETE FROM checkpoints WHERE sync_config_id = ?", lock.sync_config_id)
            release_lease(tx, lock)
        return record

    def list_runs(self, sync_config_id: str, *, limit: int = 20) -> Sequence[RunRecord]:
        """See ControlStore.list_runs."""
        newest = (_RUN.started_at.desc(), _RUN.sync_run_id.desc())
        statement = sa.select(*RECORD).where(_RUN.sync_config_id == sync_config_id).order_by(*newest).limit(limit)
        with self._database.read() as tx:
            under_way = run_under_way(tx, sync_config_id)
            return [as_it_is(record_of(row), under_way) for row in tx.execute(statement)]

    def get_run(self, sync_run_id: str) -> RunRecord:
        """See ControlStore.get_run."""
        with self._database.read() as tx:
            return _record(tx, sync_run_id)


def _settle_sync(
    tx: Transaction, lock: SyncLock, end: RunEnd, *, error: str | None, started_at: datetime, now: datetime
) -> None:
    this = _SYNC.sync_config_id == lock.sync_config_id
    state = tx.execute(sa.select(_SYNC.paused, _SYNC.pending_full_sync).where(this)).one()
    # The claim that this run came from is settled; without this, a sync due at once would wait out its two minutes.
    values: dict[str, Any] = {"dispatched_at": None, "updated_at": now}
    if end.paused_reason is not None and not state.paused:
        values |= {"paused": True, "pause_reason": end.paused_reason, "paused_at": now, "is_active": False}
        values |= {"status": end.status, "next_sync_at": None}
    elif not state.paused:
        # A full sync that was asked for during the run is due now, even where the run was to be the last one.
        due = now if state.pending_full_sync else end.next_sync_at
        values |= {"status": end.status, "next_sync_at": due}
        values["is_active"] = end.is_active or bool(state.pending_full_sync)
    if end.feed_cursor is not None:
        values["feed_cursor"] = end.feed_cursor
    if end.full_pass:
        values["full_pass_at"] = started_at
    if end.successful:
        values |= {"last_sync_at": started_at, "last_error": error}
    elif error is not None:
        values["last_error"] = error
    if end.outcome is Outcome.FAILED:
        values["consecutive_failures"] = _SYNC.consecutive_failures + 1
    elif end.outcome in (Outcome.COMPLETED, Outcome.COMPLETED_WITH_ERRORS):
        values["consecutive_failures"] = 0
    if not end.keep_checkpoint:
        values["resume_cursor"] = None
    tx.execute(sa.update(schema.syncs).where(this).values(values))


def _record(tx: Transaction, sync_run_id: str) -> RunRecord:
    row = tx.execute(sa.select(*RECORD).where(_RUN.sync_run_id == sync_run_id)).one_or_none()
    if row is None:
        raise NotFound(f"run {sync_run_id} does not exist.")
    return record_of(row)


def as_it_is(record: RunRecord, under_way: str | None) -> RunRecord:
    """Return the record, told as interrupted when it says running and its worker is gone without a word."""
    if record.status != _RUNNING or record.sync_run_id == under_way:
        return record
    return replace(record, status=Outcome.INTERRUPTED.value, error=_GONE)


def record_of(row: sa.Row[Any]) -> RunRecord:
    """Return the record of a row of RECORD, as it is written."""
    values = row._asdict()
    values["counters"] = Counters.from_dict(values["counters"])
    return RunRecord(**values)


def _values(run: RunRecord) -> dict[str, Any]:
    return {
        "sync_run_id": run.sync_run_id,
        "sync_config_id": run.sync_config_id,
        "status": run.status,
        "trigger": str(run.trigger),
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "counters": run.counters.as_dict(),
        "error": run.error,
        "dagster_run_id": run.dagster_run_id,
        "worker_id": run.worker_id,
    }
