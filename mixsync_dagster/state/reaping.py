"""Runs whose worker is gone: what tells it, and taking from them what they still hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from mixsync_dagster.model.progress import Outcome, Trigger
from mixsync_dagster.ports.control import Dispatch
from mixsync_dagster.ports.upkeep import RunSign
from mixsync_dagster.state import schema
from mixsync_dagster.state.codec import escape, unescape
from mixsync_dagster.state.database import Transaction
from mixsync_dagster.state.dispatch import CLAIM_LIFE
from mixsync_dagster.state.leases import StorePart, is_locked

_MICROS = 1_000_000
_RUNNING = "running"
_RUN = schema.runs.c
_SYNC = schema.syncs.c
_EXPIRED_FOR = "SELECT run_id, now_micros() - expires_at FROM leases WHERE run_id IN (:list)"
_REVOKE_EXPIRED = """
    UPDATE leases SET holder = '', run_id = '', expires_at = 0, fence = fence + 1
    WHERE run_id = ? AND expires_at <= now_micros()
    RETURNING sync_config_id
"""


class Reaping(StorePart):
    """The ReapStore."""

    def run_signs(self, sync_run_ids: Sequence[str]) -> Mapping[str, RunSign]:
        """See ReapStore.run_signs."""
        query = sa.select(_RUN.sync_run_id, _RUN.completed_at).where(_RUN.sync_run_id.in_(sync_run_ids))
        with self._database.read() as tx:
            ended = {row.sync_run_id: row.completed_at for row in tx.execute(query)}
            held = {
                unescape(run_id): micros / _MICROS
                for run_id, micros in tx.rows(_EXPIRED_FOR, [escape(one) for one in sync_run_ids])
            }
        return {one: RunSign(one in ended, ended.get(one), held.get(one)) for one in sync_run_ids}

    def give_up_run(self, sync_run_id: str, *, error: str, claim: Dispatch | None = None) -> bool:
        """See ReapStore.give_up_run."""
        closing = {
            "status": Outcome.INTERRUPTED.value,
            "completed_at": self._clock.now(),
            "error": error,
            "error_class": "interrupted",
        }
        this = _RUN.sync_run_id == sync_run_id
        with self._database.write() as tx:
            revoked = [unescape(row[0]) for row in tx.rows(_REVOKE_EXPIRED, escape(sync_run_id))]
            if not revoked and tx.rows("SELECT 1 FROM leases WHERE run_id = ?", escape(sync_run_id)):
                return False
            # The claim that it came from is settled: the sync may be started again at once.
            tx.execute(sa.update(schema.syncs).where(_SYNC.sync_config_id.in_(revoked)).values(dispatched_at=None))
            known = tx.execute(sa.update(schema.runs).where(this & (_RUN.status == _RUNNING)).values(closing)).rowcount
            if claim is not None and not known and not tx.execute(sa.select(_RUN.sync_run_id).where(this)).first():
                self._give_up(tx, claim)
        return True

    def claims_not_taken_up(self, *, older_seconds: float) -> Sequence[Dispatch]:
        """See ReapStore.claims_not_taken_up."""
        now = self._clock.now()
        old = _SYNC.dispatched_at <= now - timedelta(seconds=older_seconds)
        query = sa.select(_SYNC.sync_config_id, _SYNC.dispatch_number).where(
            old & (_SYNC.dispatched_at > now - CLAIM_LIFE) & ~_SYNC.dispatch_taken_up & ~_SYNC.paused
        )
        with self._database.read() as tx:
            # Nothing of what was asked for is used up before a run takes the claim up.
            return [
                Dispatch(row.sync_config_id, row.dispatch_number, Trigger.SCHEDULED, False) for row in tx.execute(query)
            ]

    def give_up_claim(self, claim: Dispatch) -> None:
        """See ReapStore.give_up_claim."""
        with self._database.write() as tx:
            self._give_up(tx, claim)

    def _give_up(self, tx: Transaction, claim: Dispatch) -> None:
        this = (_SYNC.sync_config_id == claim.sync_config_id) & (_SYNC.dispatch_number == claim.number)
        if is_locked(tx, claim.sync_config_id):
            return
        again: dict[str, Any] = {}
        if claim.trigger is Trigger.MANUAL:
            again["requested_at"] = self._clock.now()
        if claim.full_sync:
            again["pending_full_sync"] = True
        tx.execute(sa.update(schema.syncs).where(this).values(dispatched_at=None, **again))
