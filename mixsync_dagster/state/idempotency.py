"""Requests that name themselves, and the answers that their repeats are given."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from mixsync_dagster.ports.idempotency import Begun, Named, Standing
from mixsync_dagster.state import schema
from mixsync_dagster.state.codec import escape, to_micros
from mixsync_dagster.state.leases import StorePart

_REQUEST = schema.idempotency.c
_INSERT = """
    INSERT INTO idempotency (scope, request_key, fingerprint, reserved, token, held_until, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (scope, request_key) DO NOTHING
"""


class Idempotency(StorePart):
    """The IdempotencyStore."""

    def begin_request(
        self, name: Named, *, fingerprint: str, reserved: str, token: str, hold_seconds: float, keep_since: datetime
    ) -> Begun:
        """See IdempotencyStore.begin_request."""
        now = self._clock.now()
        until = now + timedelta(seconds=hold_seconds)
        this = _this(name)
        with self._database.write() as tx:
            tx.execute(sa.delete(schema.idempotency).where(_REQUEST.created_at < keep_since))
            # On PostgreSQL, several at once queue up here; on SQLite, at the beginning of the transaction.
            row = tx.execute(sa.select(schema.idempotency).where(this).with_for_update()).one_or_none()
            if row is None:
                texts = [escape(text) for text in (name.scope, name.key, fingerprint, reserved, token)]
                if tx.run(_INSERT, *texts, to_micros(until), to_micros(now)):
                    return Begun(Standing.NEW, reserved)
                row = tx.execute(sa.select(schema.idempotency).where(this).with_for_update()).one()
            if row.fingerprint != fingerprint:
                return Begun(Standing.DIFFERENT, row.reserved)
            if row.status is not None:
                return Begun(Standing.DONE, row.reserved, row.status, row.body)
            if row.held_until > now:
                return Begun(Standing.RUNNING, row.reserved)
            tx.execute(sa.update(schema.idempotency).where(this).values(token=token, held_until=until))
            return Begun(Standing.RESUMED, row.reserved)

    def finish_request(self, name: Named, token: str, *, status: int, body: str) -> None:
        """See IdempotencyStore.finish_request."""
        held = _this(name) & (_REQUEST.token == token)
        with self._database.write() as tx:
            tx.execute(sa.update(schema.idempotency).where(held).values(status=status, body=body))

    def end_request(self, name: Named, token: str, *, forget: bool) -> None:
        """See IdempotencyStore.end_request."""
        held = _this(name) & (_REQUEST.token == token) & _REQUEST.status.is_(None)
        with self._database.write() as tx:
            if forget:
                tx.execute(sa.delete(schema.idempotency).where(held))
            else:
                tx.execute(sa.update(schema.idempotency).where(held).values(held_until=self._clock.now()))


def _this(name: Named) -> sa.ColumnElement[bool]:
    return (_REQUEST.scope == name.scope) & (_REQUEST.request_key == name.key)
