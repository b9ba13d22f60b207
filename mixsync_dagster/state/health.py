"""How syncs stand: the age of what waits, of locks and of full passes, and how many items are kept aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mixsync_dagster.ports.upkeep import Standing
from mixsync_dagster.state.codec import escape, from_micros, unescape
from mixsync_dagster.state.database import Transaction
from mixsync_dagster.state.leases import StorePart

_MICROS = 1_000_000
_UNSUBMITTED = """
    SELECT sync_config_id, MIN(created_at) FROM outbox WHERE sync_config_id IN (:list) GROUP BY sync_config_id
"""
_LOCKS = """
    SELECT sync_config_id, now_micros() - acquired_at, now_micros() - expires_at
    FROM leases WHERE sync_config_id IN (:list) AND holder <> ''
"""
# One index range a state: the letters themselves are not read.
_LETTERS = """
    SELECT sync_config_id, COUNT(*) FROM dead_letters
    WHERE sync_config_id IN (:list) AND state = ? GROUP BY sync_config_id
"""
_PASSES = "SELECT sync_config_id, full_pass_at FROM syncs WHERE sync_config_id IN (:list)"


class Health(StorePart):
    """The HealthStore."""

    def standings(self, sync_config_ids: Sequence[str]) -> Mapping[str, Standing]:
        """See HealthStore.standings."""
        wanted = [escape(one) for one in sync_config_ids]
        with self._database.read() as tx:
            unsubmitted = _by_sync(tx, _UNSUBMITTED, wanted)
            locks = _by_sync(tx, _LOCKS, wanted)
            waiting = _by_sync(tx, _LETTERS, wanted, "waiting")
            quarantined = _by_sync(tx, _LETTERS, wanted, "quarantined")
            passes = _by_sync(tx, _PASSES, wanted)
        nothing = (None, None)
        return {
            one: Standing(
                oldest_unsubmitted_at=_moment(unsubmitted.get(one, nothing)[0]),
                lock_age_seconds=_seconds(locks.get(one, nothing)[0]),
                lock_expired_seconds=_seconds(locks.get(one, nothing)[1]),
                waiting=waiting.get(one, (0,))[0],
                quarantined=quarantined.get(one, (0,))[0],
                full_pass_at=_moment(passes.get(one, nothing)[0]),
            )
            for one in sync_config_ids
        }


def _by_sync(tx: Transaction, sql: str, *values: Any) -> dict[str, tuple[Any, ...]]:
    return {unescape(row[0]): row[1:] for row in tx.rows(sql, *values)}


def _moment(micros: int | None) -> Any:
    return None if micros is None else from_micros(micros)


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / _MICROS
