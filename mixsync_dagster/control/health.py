"""The health of syncs in numbers, and from where on a number says that somebody should look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.upkeep import HealthStore

UNSUBMITTED_INTERVALS = 2
UNSUBMITTED_SECONDS = 600.0
"""A sealed batch is handed over by the run that sealed it, else by the next one: after two intervals, and ten minutes
for runs that are long against their interval, two of them could not."""

LATE_INTERVALS = 2
LATE_SECONDS = 900.0
"""A run begins within seconds of being due, unless other runs come first: two intervals, and a quarter of an hour for
queues, are more than any of them takes turns for."""

ABANDONED_SECONDS = 300.0
"""A lock that has been expired for so long belongs to a worker that is gone, and no run has come to take it over."""


@dataclass(frozen=True, slots=True)
class SyncHealth:
    """How a sync is; None where a number means nothing."""

    lag_seconds: float | None
    """Since when a run is due, 0 before that; None: paused, over, or at work."""
    oldest_unsubmitted_seconds: float | None
    """Age of the oldest batch that is sealed and not handed over; None: there is none."""
    lock_age_seconds: float | None
    """How long the lock has been held; None: nobody holds it."""
    lock_expired_seconds: float | None
    """For how long the held lock has been expired; None: it is not."""
    dead_letters_waiting: int
    dead_letters_quarantined: int
    last_full_pass_at: datetime | None
    """Start of the last run that had listed everything when it ended."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values, ages to a tenth of a second."""
        values = {name: round(value, 1) if isinstance(value, float) else value for name, value in asdict(self).items()}
        moment = self.last_full_pass_at
        return {**values, "last_full_pass_at": None if moment is None else moment.isoformat()}


def health_of(store: HealthStore, syncs: Sequence[SyncConfiguration], now: datetime) -> Mapping[str, SyncHealth]:
    """Return the health of each sync by its id. Raises StoreUnavailable."""
    standings = store.standings([sync.sync_config_id for sync in syncs])
    health = {}
    for sync in syncs:
        standing = standings[sync.sync_config_id]
        expired = standing.lock_expired_seconds
        at_work = expired is not None and expired < 0.0
        due_at = None if sync.paused or not sync.is_active or at_work else sync.next_sync_at
        sealed_at = standing.oldest_unsubmitted_at
        health[sync.sync_config_id] = SyncHealth(
            lag_seconds=None if due_at is None else max(0.0, (now - due_at).total_seconds()),
            oldest_unsubmitted_seconds=None if sealed_at is None else max(0.0, (now - sealed_at).total_seconds()),
            lock_age_seconds=standing.lock_age_seconds,
            lock_expired_seconds=None if expired is None or at_work else expired,
            dead_letters_waiting=standing.waiting,
            dead_letters_quarantined=standing.quarantined,
            last_full_pass_at=standing.full_pass_at,
        )
    return health


def unsubmitted_allowed_seconds(sync: SyncConfiguration) -> float:
    """Return how old a batch may get before somebody should look."""
    return max(UNSUBMITTED_INTERVALS * sync.polling_interval_seconds, UNSUBMITTED_SECONDS)


def late_allowed_seconds(sync: SyncConfiguration) -> float:
    """Return how late a run may be before somebody should look."""
    return max(LATE_INTERVALS * sync.polling_interval_seconds, LATE_SECONDS)


def is_stuck(sync: SyncConfiguration, health: SyncHealth) -> bool:
    """Return whether the sync should have run, or its run should have ended, and nothing happens."""
    late = health.lag_seconds is not None and health.lag_seconds > late_allowed_seconds(sync)
    return late or (health.lock_expired_seconds or 0.0) > ABANDONED_SECONDS
