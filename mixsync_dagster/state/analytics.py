"""Sums over the runs and failures of a bucket's syncs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mixsync_dagster.ports.analytics import ErrorNumbers, RunNumbers, SyncNumbers
from mixsync_dagster.state.codec import escape, from_micros, to_micros, unescape
from mixsync_dagster.state.database import Transaction
from mixsync_dagster.state.leases import GONE_AFTER_SECONDS, StorePart

_MICROS = 1_000_000
_COUNTED = ("discovered", "created", "replaced", "moved", "failed", "bytes")
# A run whose worker is gone is told as interrupted, as everywhere.
_RUNS = """
    SELECT r.sync_run_id, r.sync_config_id,
        CASE WHEN r.status = 'running' AND NOT EXISTS (
            SELECT 1 FROM leases l WHERE l.sync_config_id = r.sync_config_id AND l.run_id = r.sync_run_id
                AND l.holder <> '' AND l.expires_at + ? > now_micros()
        ) THEN 'interrupted' ELSE r.status END AS status,
        r.started_at, r.completed_at, {counters}
    FROM syncs s JOIN runs r ON r.sync_config_id = s.sync_config_id
    WHERE s.bucket_id = ? {of_sync} AND r.started_at >= ?
"""
_NEWEST = "SELECT * FROM ({runs}) newest ORDER BY started_at DESC, sync_run_id DESC LIMIT ?"
_SUMS = """
    SELECT s.sync_config_id, s.consecutive_failures,
        sum(CASE WHEN d.status IN ('completed', 'completed_with_errors', 'failed', 'interrupted') THEN 1 ELSE 0 END),
        sum(CASE WHEN d.status IN ('completed', 'completed_with_errors') THEN 1 ELSE 0 END),
        sum(CASE WHEN d.completed_at IS NOT NULL THEN d.completed_at - d.started_at ELSE 0 END),
        sum(COALESCE(d.created, 0) + COALESCE(d.replaced, 0) + COALESCE(d.moved, 0)),
        sum(COALESCE(d.failed, 0)), sum(COALESCE(d.bytes, 0)),
        (SELECT max(completed_at) FROM runs e WHERE e.sync_config_id = s.sync_config_id
            AND e.status IN ('completed', 'completed_with_errors')),
        (SELECT max(completed_at) FROM runs e WHERE e.sync_config_id = s.sync_config_id AND e.status = 'failed')
    FROM syncs s LEFT JOIN ({runs}) d ON d.sync_config_id = s.sync_config_id
    WHERE s.bucket_id = ? {of_sync} GROUP BY s.sync_config_id, s.consecutive_failures ORDER BY s.sync_config_id
"""
_ERRORS = """
    SELECT kind, sum(number), min(first_at), max(last_at) FROM (
        SELECT d.error_type AS kind, count(*) AS number,
            min(d.first_seen_at) AS first_at, max(d.last_seen_at) AS last_at
        FROM syncs s JOIN dead_letters d ON d.sync_config_id = s.sync_config_id
        WHERE s.bucket_id = ? AND d.last_seen_at >= ? GROUP BY d.error_type
        UNION ALL
        SELECT COALESCE(r.error_class, 'run_failed'), count(*), min(r.started_at), max(r.completed_at)
        FROM syncs s JOIN runs r ON r.sync_config_id = s.sync_config_id
        WHERE s.bucket_id = ? AND r.started_at >= ? AND r.status = 'failed' GROUP BY r.error_class
    ) met GROUP BY kind ORDER BY 2 DESC, kind
"""
_PROVIDERS = """
    SELECT s.sync_config_id, c.provider_type FROM syncs s JOIN connections c ON c.connection_id = s.connection_id
    WHERE s.bucket_id = ?
"""


class Analytics(StorePart):
    """The AnalyticsStore."""

    def run_numbers(
        self, bucket_id: str, *, sync_config_id: str | None, since: datetime, limit: int
    ) -> Sequence[RunNumbers]:
        """See AnalyticsStore.run_numbers."""
        with self._database.read() as tx:
            runs, values = _runs(tx, bucket_id, sync_config_id, since)
            rows = tx.rows(_NEWEST.format(runs=runs), *values, limit)
            providers = dict(tx.rows(_PROVIDERS, escape(bucket_id)))
        return [_run_numbers(row, providers) for row in rows]

    def sync_numbers(self, bucket_id: str, *, sync_config_id: str | None, since: datetime) -> Sequence[SyncNumbers]:
        """See AnalyticsStore.sync_numbers."""
        of_sync, chosen = _of_sync(sync_config_id)
        with self._database.read() as tx:
            runs, values = _runs(tx, bucket_id, sync_config_id, since)
            rows = tx.rows(_SUMS.format(runs=runs, of_sync=of_sync), *values, escape(bucket_id), *chosen)
            providers = dict(tx.rows(_PROVIDERS, escape(bucket_id)))
        return [_sync_numbers(row, providers) for row in rows]

    def error_numbers(self, bucket_id: str, *, since: datetime) -> Sequence[ErrorNumbers]:
        """See AnalyticsStore.error_numbers."""
        bucket, start = escape(bucket_id), to_micros(since)
        with self._database.read() as tx:
            rows = tx.rows(_ERRORS, bucket, start, bucket, start)
        return [
            ErrorNumbers(unescape(kind), int(number), from_micros(int(first)), from_micros(int(last)))
            for kind, number, first, last in rows
        ]


def _runs(tx: Transaction, bucket_id: str, sync_config_id: str | None, since: datetime) -> tuple[str, list[Any]]:
    """Return the query for the runs since a time, with a column for each counter."""
    # The one place where the database looks into JSON of ours: sums over many runs are not made here.
    told = "(r.counters::jsonb->>'{0}')::bigint AS {0}" if tx.postgres else "json_extract(r.counters, '$.{0}') AS {0}"
    of_sync, chosen = _of_sync(sync_config_id)
    sql = _RUNS.format(counters=", ".join(told.format(name) for name in _COUNTED), of_sync=of_sync)
    return sql, [int(GONE_AFTER_SECONDS * _MICROS), escape(bucket_id), *chosen, to_micros(since)]


def _of_sync(sync_config_id: str | None) -> tuple[str, list[str]]:
    return ("", []) if sync_config_id is None else ("AND s.sync_config_id = ?", [escape(sync_config_id)])


def _run_numbers(row: tuple[Any, ...], providers: dict[str, str]) -> RunNumbers:
    run, sync, status, started, completed, *counters = row
    discovered, created, replaced, moved, failed, size = (int(count or 0) for count in counters)
    return RunNumbers(
        sync_run_id=unescape(run),
        sync_config_id=sync,
        provider_type=providers.get(sync, ""),
        status=status,
        started_at=from_micros(started),
        completed_at=None if completed is None else from_micros(completed),
        discovered=discovered,
        synced=created + replaced + moved,
        failed=failed,
        bytes=size,
    )


def _sync_numbers(row: tuple[Any, ...], providers: dict[str, str]) -> SyncNumbers:
    sync, consecutive, finished, successful, micros, synced, failed, size, success, failure = row
    return SyncNumbers(
        sync_config_id=sync,
        provider_type=providers.get(sync, ""),
        finished=int(finished or 0),
        successful=int(successful or 0),
        seconds=int(micros or 0) / _MICROS,
        synced=int(synced or 0),
        failed=int(failed or 0),
        bytes=int(size or 0),
        consecutive_failures=int(consecutive),
        last_success_at=None if success is None else from_micros(int(success)),
        last_failure_at=None if failure is None else from_micros(int(failure)),
    )
