"""Which syncs are due, who may start them, and pausing and starting them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from mixsync_dagster.errors import Conflict, NotFound
from mixsync_dagster.model.progress import Trigger
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.control import Dispatch
from mixsync_dagster.state import schema, sync_rows
from mixsync_dagster.state.connection_use import paused_values, resumed_values
from mixsync_dagster.state.database import Transaction, lease_now_sql
from mixsync_dagster.state.leases import StorePart, is_locked, revoke

CLAIM_LIFE = timedelta(minutes=2)
"""How long a claim waits for its run; then the sync is due again under the next number."""

_SYNC = schema.syncs.c
_LEASE = schema.leases.alias("held").c


def _unlocked(*, postgres: bool) -> sa.ColumnElement[bool]:
    # The lease's clock is the database's, where the schedule's is ours.
    now = sa.literal_column(lease_now_sql(postgres=postgres), sa.BigInteger)
    held = (_LEASE.sync_config_id == _SYNC.sync_config_id) & (_LEASE.expires_at > now)
    return ~sa.exists().where(held).correlate(schema.syncs)


def _due(now: datetime) -> sa.ColumnElement[bool]:
    return _SYNC.is_active & (_SYNC.next_sync_at <= now) & _startable(now)


def _requested(now: datetime) -> sa.ColumnElement[bool]:
    return _SYNC.requested_at.is_not(None) & _startable(now)


def _startable(now: datetime) -> sa.ColumnElement[bool]:
    # A claim holds the sync for its whole life, taken up or not: between taking it up and locking it, a run has
    # nothing else to show. The end of the run gives it up early.
    claimed = _SYNC.dispatched_at.is_not(None) & (_SYNC.dispatched_at > now - CLAIM_LIFE)
    return ~_SYNC.paused & ~claimed


class Dispatching(StorePart):
    """The DispatchStore."""

    def due_syncs(
        self, *, limit: int, exclude: Sequence[str] = (), only: Sequence[str] | None = None
    ) -> Sequence[SyncConfiguration]:
        """See DispatchStore.due_syncs; batch ids are left out."""
        query = sync_rows.SELECT.where(_due(self._clock.now()), self._unlocked())
        if exclude:
            query = query.where(_SYNC.sync_config_id.not_in(exclude))
        if only is not None:
            query = query.where(_SYNC.sync_config_id.in_(only))
        with self._database.read() as tx:
            ordered = query.order_by(_SYNC.next_sync_at, _SYNC.sync_config_id).limit(limit)
            return sync_rows.several(tx, ordered, with_batches=False)

    def requested_syncs(self, *, limit: int, exclude: Sequence[str] = ()) -> Sequence[SyncConfiguration]:
        """See DispatchStore.requested_syncs; batch ids are left out."""
        query = sync_rows.SELECT.where(_requested(self._clock.now()), self._unlocked())
        if exclude:
            query = query.where(_SYNC.sync_config_id.not_in(exclude))
        with self._database.read() as tx:
            ordered = query.order_by(_SYNC.requested_at, _SYNC.sync_config_id).limit(limit)
            return sync_rows.several(tx, ordered, with_batches=False)

    def claim_dispatch(self, sync_config_id: str, *, expected_number: int) -> Dispatch | None:
        """See DispatchStore.claim_dispatch."""
        now = self._clock.now()
        current = (_SYNC.sync_config_id == sync_config_id) & (_SYNC.dispatch_number == expected_number)
        with self._database.write() as tx:
            ready = (_due(now) | _requested(now)) & self._unlocked()
            if not _claim(tx, current & ready, expected_number + 1, now):
                return None
            resumes = bool(tx.rows("SELECT 1 FROM checkpoints WHERE sync_config_id = ?", sync_config_id))
            asked = sa.select(_SYNC.pending_full_sync, _SYNC.requested_at)
            row = tx.execute(asked.where(_SYNC.sync_config_id == sync_config_id)).one()
        unasked = Trigger.RESUME if resumes else Trigger.SCHEDULED
        trigger = Trigger.MANUAL if row.pending_full_sync or row.requested_at else unasked
        return Dispatch(sync_config_id, expected_number + 1, trigger, row.pending_full_sync)

    def take_up_dispatch(self, sync_config_id: str, number: int) -> bool:
        """See DispatchStore.take_up_dispatch; again for the same claim, by a retry of its run, is granted."""
        now = self._clock.now()
        fresh = _SYNC.dispatched_at.is_not(None) & (_SYNC.dispatched_at > now - CLAIM_LIFE)
        current = (_SYNC.sync_config_id == sync_config_id) & (_SYNC.dispatch_number == number)
        valid = current & ~_SYNC.paused & (fresh | _SYNC.dispatch_taken_up)
        values = {"dispatch_taken_up": True, "pending_full_sync": False, "requested_at": None}
        with self._database.write() as tx:
            return tx.execute(sa.update(schema.syncs).where(valid).values(values)).rowcount == 1

    def dispatch_number(self, sync_config_id: str) -> int:
        """See DispatchStore.dispatch_number."""
        with self._database.read() as tx:
            found = tx.rows("SELECT dispatch_number FROM syncs WHERE sync_config_id = ?", sync_config_id)
        return int(found[0][0]) if found else 0

    def postpone(self, sync_config_id: str, next_sync_at: datetime) -> None:
        """See DispatchStore.postpone; an inactive sync stays without a time, too."""
        free = (_SYNC.sync_config_id == sync_config_id) & _SYNC.is_active & ~_SYNC.paused & self._unlocked()
        with self._database.write() as tx:
            tx.execute(sa.update(schema.syncs).where(free).values(next_sync_at=next_sync_at))

    def _unlocked(self) -> sa.ColumnElement[bool]:
        return _unlocked(postgres=self._database.postgres)


class Control(StorePart):
    """The pausing, starting and unlocking part of ControlStore."""

    def set_paused(
        self, sync_config_id: str, paused: bool, *, reason: str | None, user_id: str | None
    ) -> SyncConfiguration:
        """See ControlStore.set_paused; pausing a paused sync keeps the first reason. Raises NotFound."""
        now = self._clock.now()
        this = _SYNC.sync_config_id == sync_config_id
        with self._database.write() as tx:
            if paused:
                values = paused_values(reason, user_id, now)
                tx.execute(sa.update(schema.syncs).where(this & ~_SYNC.paused).values(values))
            else:
                tx.execute(sa.update(schema.syncs).where(this).values(resumed_values(now)))
            return sync_rows.one(tx, sync_config_id)

    def request_run(self, sync_config_id: str, *, full_sync: bool) -> bool:
        """See ControlStore.request_run; a claim that no run took up yet is superseded. Raises NotFound."""
        now = self._clock.now()
        this = _SYNC.sync_config_id == sync_config_id
        query = sa.select(_SYNC.paused, _SYNC.pending_full_sync, _SYNC.dispatch_number).where(this)
        with self._database.write() as tx:
            row = tx.execute(query.with_for_update()).one_or_none()
            if row is None:
                raise NotFound(f"sync {sync_config_id} does not exist.")
            if row.paused:
                raise Conflict(f"sync {sync_config_id} is paused; resume it first.")
            full = full_sync or row.pending_full_sync
            tx.execute(sa.update(schema.syncs).where(this).values(pending_full_sync=full))
            if is_locked(tx, sync_config_id):
                return False
            # Under the next number: a run on its way was started without knowing what is asked for now.
            values = {"requested_at": now, "dispatch_number": row.dispatch_number + 1, "dispatched_at": None}
            tx.execute(sa.update(schema.syncs).where(this).values(values))
        return True

    def unlock(self, sync_config_id: str) -> str | None:
        """See ControlStore.unlock; the sync may be started again at once."""
        this = _SYNC.sync_config_id == sync_config_id
        with self._database.write() as tx:
            holder = revoke(tx, sync_config_id)
            if holder is not None:
                tx.execute(sa.update(schema.syncs).where(this).values(dispatched_at=None))
            return holder


def _claim(tx: Transaction, condition: sa.ColumnElement[bool], number: int, now: datetime) -> bool:
    values = {"dispatch_number": number, "dispatched_at": now, "dispatch_taken_up": False}
    return tx.execute(sa.update(schema.syncs).where(condition).values(values)).rowcount == 1
