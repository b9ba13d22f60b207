"""The numbers of one sync, and whether they say that it is well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mixsync_dagster.control.dead_letters import OPEN_STATES
from mixsync_dagster.control.health import health_of, is_stuck
from mixsync_dagster.model.progress import RunRecord
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.control import ControlStore
from mixsync_dagster.ports.listing import ListingStore
from mixsync_dagster.ports.upkeep import HealthStore

STALE_INTERVALS = 2
STALE_SECONDS = 120


class MeasureStore(ControlStore, HealthStore, ListingStore, Protocol):
    """What the numbers are read from."""


@dataclass(frozen=True, slots=True)
class Measures:
    """How a sync does."""

    seconds_since_last_sync: int | None
    """Since the last successful run began; None: none was successful yet."""
    intervals_since_last_sync: float | None
    stale_after_seconds: int
    is_stale: bool
    """Whether it should have run successfully since, counted from its creation before the first time."""
    failure_rate: float
    """Items out of retries among all that were found, 0 to 1."""
    healthy: bool
    dead_letters: int
    dead_letters_by_error: Mapping[str, int]
    running: bool
    stalled: bool
    stalled_reason: str | None
    """One sentence; None: it is not stalled."""
    last_run: RunRecord | None


def measure(store: MeasureStore, sync: SyncConfiguration, now: datetime) -> Measures:
    """Return the numbers of a sync. Raises StoreUnavailable."""
    health = health_of(store, [sync], now)[sync.sync_config_id]
    since = None if sync.last_sync_at is None else max(0, int((now - sync.last_sync_at).total_seconds()))
    waited = since if since is not None else int((now - sync.created_at).total_seconds())
    stale_after = max(STALE_INTERVALS * sync.polling_interval_seconds, STALE_SECONDS)
    polls = sync.is_active and not sync.paused
    stale, stalled = polls and waited > stale_after, is_stuck(sync, health)
    runs = store.list_runs(sync.sync_config_id, limit=1)
    return Measures(
        seconds_since_last_sync=since,
        intervals_since_last_sync=None if since is None else round(since / sync.polling_interval_seconds, 2),
        stale_after_seconds=stale_after,
        is_stale=stale,
        failure_rate=sync.total_files_failed / max(1, sync.total_files_discovered),
        healthy=polls and not (sync.consecutive_failures or stale or stalled),
        dead_letters=health.dead_letters_waiting + health.dead_letters_quarantined,
        dead_letters_by_error=store.count_letters(sync.sync_config_id, states=OPEN_STATES),
        running=sync.locked,
        stalled=stalled,
        stalled_reason=_reason(health.lock_expired_seconds) if stalled else None,
        last_run=runs[0] if runs else None,
    )


def _reason(lock_expired_seconds: float | None) -> str:
    if lock_expired_seconds:
        return f"the worker of the last run is gone; its lock expired {lock_expired_seconds:.0f} seconds ago."
    return "a run is due and none begins; a Dagster daemon with this code location starts it."
