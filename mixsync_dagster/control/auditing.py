"""Recording who changed what."""

from __future__ import annotations

import logging
import secrets
from datetime import datetime, timedelta
from threading import Lock

from mixsync_dagster.control.owners import LOCAL_OWNER, Owner
from mixsync_dagster.ports.audit import AuditEntry, AuditStore
from mixsync_dagster.ports.clock import Clock

_LOG = logging.getLogger(__name__)
_FORGET_EVERY = timedelta(hours=1)
_FIRST_FAILURE = 500


class Recorder:
    """Adds entries, each as a line of the log as well, and forgets those that are older than `days`.

    For any number of threads.
    """

    def __init__(self, store: AuditStore, clock: Clock, *, days: float) -> None:
        self._store = store
        self._clock = clock
        self._kept_for = timedelta(days=days)
        self._forgotten_at: datetime | None = None
        self._lock = Lock()

    def record(
        self,
        operation: str,
        resource: str | None = None,
        *,
        owner: Owner = LOCAL_OWNER,
        key_prefix: str | None = None,
        origin: str = "command",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        """Record what was asked for and what came of it: a status of 400 or more was refused, of 500 failed.

        Raises StoreUnavailable; the line of the log is written before.
        """
        now = self._clock.now()
        entry = AuditEntry(
            entry_id=f"aud_{int(now.timestamp() * 1_000_000):016x}{secrets.token_hex(4)}",
            at=now,
            internal_id=owner.internal_id,
            namespace_id=owner.namespace_id,
            user_id=owner.user_id,
            key_prefix=key_prefix,
            origin=origin,
            operation=operation,
            resource=resource,
            outcome=_outcome(status),
            status=status,
            request_id=request_id,
        )
        _LOG.info(
            "audit %s: %s %s of %s by %s (%s) in %s/%s, request %s",
            entry.entry_id,
            entry.outcome,
            operation,
            resource or "-",
            owner.user_id,
            key_prefix or origin,
            owner.internal_id,
            owner.namespace_id,
            request_id or "-",
        )
        self._store.add_entry(entry)
        self._forget(now)

    def _forget(self, now: datetime) -> None:
        with self._lock:
            if self._forgotten_at is not None and now - self._forgotten_at < _FORGET_EVERY:
                return
            self._forgotten_at = now
        self._store.forget_entries(before=now - self._kept_for)


def _outcome(status: int | None) -> str:
    if status is None or status < 400:  # noqa: PLR2004 - client errors
        return "done"
    return "refused" if status < _FIRST_FAILURE else "failed"
