"""The state store as those see it who ask how syncs did over a time: sums that the database makes.

The rules of `ports.state` hold here too: a method is one transaction, times are aware UTC, any may raise
StoreUnavailable. A sync that was deleted is in no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RunNumbers:
    """What one run did."""

    sync_run_id: str
    sync_config_id: str
    provider_type: str
    status: str
    """As `ControlStore.list_runs` tells it."""
    started_at: datetime
    completed_at: datetime | None
    discovered: int
    synced: int
    """Items created, replaced or moved."""
    failed: int
    bytes: int


@dataclass(frozen=True, slots=True)
class SyncNumbers:
    """What the runs of one sync did together."""

    sync_config_id: str
    provider_type: str
    finished: int
    """Runs that ended, but for skipped ones."""
    successful: int
    seconds: float
    """How long the finished runs took together."""
    synced: int
    failed: int
    bytes: int
    consecutive_failures: int
    last_success_at: datetime | None
    """When a run last ended well, at any time."""
    last_failure_at: datetime | None


@dataclass(frozen=True, slots=True)
class ErrorNumbers:
    """How often one kind of error was met."""

    error_type: str
    count: int
    first_seen_at: datetime
    last_seen_at: datetime


class AnalyticsStore(Protocol):
    """Numbers of the syncs of a bucket since a time; by a run's start, and by the last time of an item's failure."""

    def run_numbers(
        self, bucket_id: str, *, sync_config_id: str | None, since: datetime, limit: int
    ) -> Sequence[RunNumbers]:
        """Return the newest runs, newest first."""
        ...

    def sync_numbers(self, bucket_id: str, *, sync_config_id: str | None, since: datetime) -> Sequence[SyncNumbers]:
        """Return the sums of every sync, by id; those without runs have zeros."""
        ...

    def error_numbers(self, bucket_id: str, *, since: datetime) -> Sequence[ErrorNumbers]:
        """Return how often items and whole runs failed by each kind of error, most frequent first."""
        ...
