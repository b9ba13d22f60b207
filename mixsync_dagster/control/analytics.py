"""How the syncs of a bucket did over a time, and whether the bucket is well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mixsync_dagster.control.health import health_of, is_stuck
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.analytics import AnalyticsStore, ErrorNumbers, SyncNumbers
from mixsync_dagster.ports.listing import ListingStore, Part, SyncFilter
from mixsync_dagster.ports.upkeep import HealthStore

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"

_PAGE = 1000


class BucketHealthStore(AnalyticsStore, ListingStore, HealthStore, Protocol):
    """What the health of a bucket is read from."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is looked at."""

    start: datetime
    end: datetime

    @classmethod
    def of_hours(cls, hours: int, now: datetime) -> Span:
        """Return the hours up to now."""
        return cls(now - timedelta(hours=hours), now)


@dataclass(frozen=True, slots=True)
class BucketHealth:
    """How a bucket's syncs are."""

    overall: str
    """`unhealthy`: a sync is stuck or failed as a whole in its last run; `degraded`: something failed in the span."""
    errors: Sequence[ErrorNumbers]
    syncs: Sequence[SyncNumbers]
    stuck: Sequence[str]
    """Ids of syncs that should have run, or whose run should have ended, and nothing happens."""


def bucket_health(store: BucketHealthStore, bucket_id: str, span: Span) -> BucketHealth:
    """Return how the syncs of a bucket are. Raises StoreUnavailable."""
    syncs = store.sync_numbers(bucket_id, sync_config_id=None, since=span.start)
    errors = store.error_numbers(bucket_id, since=span.start)
    stuck: list[str] = []
    for page in _pages(store, bucket_id):
        health = health_of(store, page, span.end)
        stuck += [sync.sync_config_id for sync in page if is_stuck(sync, health[sync.sync_config_id])]
    if stuck or any(sync.consecutive_failures for sync in syncs):
        overall = UNHEALTHY
    else:
        overall = DEGRADED if errors else HEALTHY
    return BucketHealth(overall, errors, syncs, sorted(stuck))


def _pages(store: ListingStore, bucket_id: str) -> Iterator[Sequence[SyncConfiguration]]:
    part = Part(_PAGE)
    while True:
        listed = store.list_syncs_part(bucket_id, SyncFilter(), part)
        if listed.entries:
            yield listed.entries
        if not listed.more:
            return
        last = listed.entries[-1]
        part = Part(_PAGE, after=(last.created_at, last.sync_config_id))
