"""Forgetting tombstones, and the locks that garbage collection has to look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from mixsync_dagster.state.codec import to_micros, unescape
from mixsync_dagster.state.leases import StorePart

_MICROS = 1_000_000

_LOCKED = """
    SELECT COALESCE(s.name, l.sync_config_id) FROM leases l LEFT JOIN syncs s ON s.sync_config_id = l.sync_config_id
    WHERE l.holder <> '' AND l.expires_at > now_micros() ORDER BY 1
"""
_END_EXPIRED = """
    UPDATE leases SET holder = '', run_id = '', expires_at = 0, fence = fence + 1
    WHERE holder <> '' AND expires_at < now_micros() - ?
"""
_TOMBSTONES = """
    SELECT o.object_id FROM objects o
    WHERE o.object_id > ? AND o.state = 'tombstoned' AND o.tombstoned_at < ? AND NOT EXISTS (
        SELECT 1 FROM batch_items m JOIN outbox w ON w.batch_id = m.batch_id WHERE m.object_id = o.object_id
    )
    ORDER BY o.object_id LIMIT ?
"""
# On PostgreSQL a commit that revives one of them waits for the row, finds it gone, and makes it anew.
_TO_FORGET = """
    SELECT object_id, blobs FROM objects WHERE object_id IN (:list) AND state = 'tombstoned' AND tombstoned_at < ?
    ORDER BY object_id
"""
_DROP_OBJECTS = "DELETE FROM objects WHERE object_id IN (:list)"
_DROP_CONTENT = "DELETE FROM contents WHERE sha256 = ? AND object_id = ?"


class Collection(StorePart):
    """The CollectStore, but for what Verification reads as well."""

    def locked_syncs(self) -> Sequence[str]:
        """See CollectStore.locked_syncs."""
        with self._database.read() as tx:
            return [unescape(row[0]) for row in tx.rows(_LOCKED)]

    def end_expired_locks(self, *, idle_seconds: float) -> int:
        """See CollectStore.end_expired_locks."""
        with self._database.write() as tx:
            return tx.run(_END_EXPIRED, int(idle_seconds * _MICROS))

    def tombstones(self, *, before: datetime, after: str | None, limit: int) -> Sequence[str]:
        """See CollectStore.tombstones."""
        with self._database.read() as tx:
            return [row[0] for row in tx.rows(_TOMBSTONES, after or "", to_micros(before), limit)]

    def forget_tombstones(self, object_ids: Sequence[str], *, before: datetime) -> int:
        """See CollectStore.forget_tombstones."""
        with self._database.write() as tx:
            locking = _TO_FORGET + " FOR UPDATE" if tx.postgres else _TO_FORGET
            found = tx.rows(locking, list(object_ids), to_micros(before))
            contents = {(blob["sha256"], object_id) for object_id, blobs in found for blob in json.loads(blobs)}
            tx.run_many(_DROP_CONTENT, sorted(contents))
            tx.run(_DROP_OBJECTS, [object_id for object_id, _ in found])
        return len(found)
