"""Quiet times: until when the workers of a connection, wherever they run, leave its provider alone."""

from __future__ import annotations

from mixsync_dagster.state.codec import escape
from mixsync_dagster.state.leases import StorePart

_MICROS = 1_000_000
# A time that was set in the future was set by a clock that has been put back since: it means nothing any more.
_LEFT = """
    SELECT frozen_until - now_micros() FROM limits
    WHERE connection_id = ? AND frozen_until > now_micros() AND frozen_at <= now_micros()
"""
_FREEZE = """
    INSERT INTO limits (connection_id, frozen_at, frozen_until) VALUES (?, now_micros(), now_micros() + ?)
    ON CONFLICT (connection_id) DO UPDATE SET frozen_at = excluded.frozen_at, frozen_until = excluded.frozen_until
    WHERE limits.frozen_until < excluded.frozen_until OR limits.frozen_at > excluded.frozen_at
"""


class Limits(StorePart):
    """The QuietStore port, measured by the clock of the leases."""

    def quiet_seconds(self, connection_id: str) -> float:
        """See QuietStore.quiet_seconds."""
        with self._database.read() as tx:
            left = tx.rows(_LEFT, escape(connection_id))
        return int(left[0][0]) / _MICROS if left else 0.0

    def keep_quiet(self, connection_id: str, seconds: float) -> None:
        """See QuietStore.keep_quiet."""
        with self._database.write() as tx:
            tx.run(_FREEZE, escape(connection_id), int(seconds * _MICROS))
