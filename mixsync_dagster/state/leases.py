"""Locks as leases: a holder until a time for liveness, an ever-growing fence for safety."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mixsync_dagster.errors import AlreadyLocked, LockLost, NotFound
from mixsync_dagster.ports.state import SyncLock
from mixsync_dagster.state.codec import escape, from_micros, unescape
from mixsync_dagster.state.database import Database, Transaction

_ACQUIRE = """
    INSERT INTO leases (sync_config_id, holder, run_id, fence, expires_at, acquired_at)
    VALUES (?, ?, ?, 1, now_micros() + ?, now_micros())
    ON CONFLICT (sync_config_id) DO UPDATE SET
        holder = excluded.holder, run_id = excluded.run_id, fence = leases.fence + 1,
        expires_at = excluded.expires_at, acquired_at = excluded.acquired_at
    WHERE leases.expires_at <= now_micros()
    RETURNING fence, expires_at
"""
_RENEW = """
    UPDATE leases SET expires_at = now_micros() + ?
    WHERE sync_config_id = ? AND fence = ? AND holder = ?
    RETURNING expires_at
"""
_FENCE = "SELECT fence, holder FROM leases WHERE sync_config_id = ?"
# SQLite's writer is alone already; here a takeover waits for this row.
_FENCE_ON_POSTGRES = "SELECT fence, holder FROM leases WHERE sync_config_id = ? FOR UPDATE"
_RELEASE = """
    UPDATE leases SET holder = '', run_id = '', expires_at = 0
    WHERE sync_config_id = ? AND fence = ? AND holder = ?
"""
_REVOKE = """
    UPDATE leases SET holder = '', run_id = '', expires_at = 0, fence = fence + 1
    WHERE sync_config_id = ? AND holder <> ''
"""
_UNDER_WAY = "SELECT run_id FROM leases WHERE sync_config_id = ? AND holder <> '' AND expires_at + ? > now_micros()"
_MICROS = 1_000_000

GONE_AFTER_SECONDS = 300.0
"""How long after its lock's end a worker that nobody superseded may still come back: steps of a run can wait for each
other in a queue meanwhile, and nobody renews the lock between them."""


class StorePart:
    """What every part of the store shares: the database, and the guard in front of fenced writes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._clock = database.clock

    @contextmanager
    def _fenced(self, lock: SyncLock) -> Iterator[Transaction]:
        """Give a write transaction that only the lock's generation may use. Raises LockLost."""
        with self._database.write() as tx:
            check_fence(tx, lock)
            yield tx


def check_fence(tx: Transaction, lock: SyncLock) -> None:
    """Keep the lease as it is until the transaction ends. Raises LockLost when it is not the lock's any more.

    Expiry is not asked: a holder that nobody superseded may finish what it does.
    """
    found = tx.rows(_FENCE_ON_POSTGRES if tx.postgres else _FENCE, lock.sync_config_id)
    if found != [(lock.generation, escape(lock.worker_id))]:
        raise lock_lost(lock)


def lock_lost(lock: SyncLock) -> LockLost:
    """Return the error for a lock whose generation is over."""
    return LockLost(
        f"sync {lock.sync_config_id}: generation {lock.generation} of worker {lock.worker_id} is over; "
        "nothing was written."
    )


def revoke(tx: Transaction, sync_config_id: str) -> str | None:
    """Take the lock from whoever holds it, expired or not, and return the holder; None when nobody did."""
    found = tx.rows("SELECT holder FROM leases WHERE sync_config_id = ? AND holder <> ''", sync_config_id)
    if not found:
        return None
    tx.run(_REVOKE, sync_config_id)
    return unescape(found[0][0])


def is_locked(tx: Transaction, sync_config_id: str) -> bool:
    """Return whether somebody holds an unexpired lock."""
    return bool(tx.rows("SELECT 1 FROM leases WHERE sync_config_id = ? AND expires_at > now_micros()", sync_config_id))


def run_under_way(tx: Transaction, sync_config_id: str) -> str | None:
    """Return the run that holds the sync's lock; None when nobody does, or its worker must be thought gone."""
    found = tx.rows(_UNDER_WAY, sync_config_id, int(GONE_AFTER_SECONDS * _MICROS))
    return unescape(found[0][0]) if found else None


def release_lease(tx: Transaction, lock: SyncLock) -> None:
    """Free the lock if it is still this one."""
    tx.run(_RELEASE, lock.sync_config_id, lock.generation, escape(lock.worker_id))


class Leases(StorePart):
    """Acquiring, renewing and releasing the right to run a sync."""

    def acquire(self, sync_config_id: str, worker_id: str, sync_run_id: str, *, ttl_seconds: float) -> SyncLock:
        """See RunStore.acquire."""
        ttl = int(ttl_seconds * _MICROS)
        with self._database.write() as tx:
            if not tx.rows("SELECT 1 FROM syncs WHERE sync_config_id = ?", sync_config_id):
                raise NotFound(f"sync {sync_config_id} does not exist.")
            taken = tx.rows(_ACQUIRE, sync_config_id, escape(worker_id), escape(sync_run_id), ttl)
            if not taken:
                query = "SELECT holder, expires_at FROM leases WHERE sync_config_id = ?"
                holder, until = tx.rows(query, sync_config_id)[0]
                raise AlreadyLocked(sync_config_id, unescape(holder), from_micros(until))
        fence, expires_at = taken[0]
        return SyncLock(sync_config_id, worker_id, sync_run_id, fence, from_micros(expires_at))

    def renew(self, lock: SyncLock, *, ttl_seconds: float) -> SyncLock:
        """See RunStore.renew."""
        ttl = int(ttl_seconds * _MICROS)
        with self._database.write() as tx:
            renewed = tx.rows(_RENEW, ttl, lock.sync_config_id, lock.generation, escape(lock.worker_id))
            if not renewed:
                raise lock_lost(lock)
        return replace(lock, expires_at=from_micros(renewed[0][0]))

    def release(self, lock: SyncLock) -> None:
        """See RunStore.release."""
        with self._database.write() as tx:
            release_lease(tx, lock)
