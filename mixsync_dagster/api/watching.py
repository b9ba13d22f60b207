"""Whether the server lives, whether it can work, and what its syncs did, for those who watch it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from mixsync_dagster.api import answers
from mixsync_dagster.api.access import Admin, Serving
from mixsync_dagster.api.failures import Answer
from mixsync_dagster.api.operations import errors_told, told_as
from mixsync_dagster.control.health import SyncHealth, health_of
from mixsync_dagster.control.measuring import MeasureStore
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.reaching import is_local

router = APIRouter(tags=["Watching"])

_LABELS = ("namespace_id", "bucket_id", "sync_config_id", "sync", "provider")
_COUNTERS = (
    ("files_discovered", "Items found, over all runs", "total_files_discovered"),
    ("files_synced", "Items synced, over all runs", "total_files_synced"),
    ("files_failed", "Items out of retries, over all runs", "total_files_failed"),
    ("synced_bytes", "Bytes transferred, over all runs", "total_bytes_synced"),
    ("runs", "Runs started", "sync_run_counter"),
    ("batches_created", "Batches made", "batches_created"),
)
_GAUGES = (
    ("seconds_since_success", "Since the last successful run began"),
    ("lag_seconds", "Since when a run is due; absent while paused, over or at work"),
    ("consecutive_failures", "Failed runs since the last success"),
    ("paused", "Whether the sync is paused"),
    ("lock_age_seconds", "Since the lock was taken; absent while it is free"),
    ("outbox_age_seconds", "Age of the oldest batch that is not handed over; absent without one"),
    ("dead_letters_waiting", "Items kept aside that are tried again"),
    ("dead_letters_quarantined", "Items kept aside that are out of retries"),
    ("last_run_duration_seconds", "What the last finished run took"),
    ("last_run_rate_limit_hits", "How often the provider said slow down in the last run"),
)


class RequestCounter:
    """Counts requests by method, path as the OpenAPI document has it, and status."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counter = Counter(
            "mixsync_api_requests", "Requests answered", ("method", "path", "status"), registry=self.registry
        )

    def __call__(self, scope: Scope, status: int) -> None:
        """Count one request; status 0 is one that got no answer."""
        # Paths that are not there are one: a label per guess would fill the memory.
        path = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in ("GET", "POST", "PATCH", "DELETE") else "other"
        self._counter.labels(method, path, str(status)).inc()


class SyncMetrics(Collector):
    """The numbers of some syncs, read when they are asked for."""

    def __init__(self, store: MeasureStore, syncs: Iterable[SyncConfiguration], now: datetime) -> None:
        self._store = store
        self._syncs = list(syncs)
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, with one sample a sync."""
        for name, told, field in _COUNTERS:
            counted = CounterMetricFamily(f"mixsync_sync_{name}", told, labels=_LABELS)
            for sync in self._syncs:
                counted.add_metric(_labels(sync), getattr(sync, field))
            yield counted
        families = {name: GaugeMetricFamily(f"mixsync_sync_{name}", told, labels=_LABELS) for name, told in _GAUGES}
        health = health_of(self._store, self._syncs, self._now)
        for sync in self._syncs:
            for name, value in self._of(sync, health[sync.sync_config_id]):
                if value is not None:
                    families[name].add_metric(_labels(sync), value)
        yield from families.values()

    def _of(self, sync: SyncConfiguration, health: SyncHealth) -> Iterator[tuple[str, float | None]]:
        last = sync.last_sync_at
        yield "seconds_since_success", None if last is None else max(0.0, (self._now - last).total_seconds())
        yield "lag_seconds", health.lag_seconds
        yield "consecutive_failures", sync.consecutive_failures
        yield "paused", int(sync.paused)
        yield "lock_age_seconds", health.lock_age_seconds
        yield "outbox_age_seconds", health.oldest_unsubmitted_seconds
        yield "dead_letters_waiting", health.dead_letters_waiting
        yield "dead_letters_quarantined", health.dead_letters_quarantined
        for run in self._store.list_runs(sync.sync_config_id, limit=1):
            if run.completed_at is not None:
                yield "last_run_duration_seconds", (run.completed_at - run.started_at).total_seconds()
            yield "last_run_rate_limit_hits", run.counters.rate_limit_hits


def _labels(sync: SyncConfiguration) -> tuple[str, ...]:
    return sync.namespace_id, sync.bucket_id, sync.sync_config_id, sync.name, str(sync.source_type or "")


@router.get(
    "/healthz",
    summary="Whether the server lives",
    response_model=None,
    response_class=Answer,
    responses={200: told_as(answers.Alive)},
)
async def healthz() -> dict[str, str]:
    """Answer without a look at anything else."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Whether the state store answers",
    response_model=None,
    response_class=Answer,
    responses={200: told_as(answers.Alive), 503: errors_told()[503]},
)
def readyz(request: Request) -> dict[str, str]:
    """Answer after a look into the state store."""
    serving: Serving = request.app.state.serving
    serving.keys.any()
    return {"status": "ok"}


@router.get(
    "/metrics",
    summary="Numbers of the namespace's syncs, and of this server for whoever operates it, for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "Done.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **errors_told(),
    },
)
def metrics(call: Admin, request: Request) -> Response:
    """Return the metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SyncMetrics(call.services.store, call.tenant.syncs(), call.now))
    body = generate_latest(registry)
    if is_local(call.owner.internal_id):
        # What everybody asks of this server is for whoever operates it.
        counted: RequestCounter = request.app.state.counter
        body += generate_latest(counted.registry)
    return Response(body, headers={"Content-Type": CONTENT_TYPE_LATEST})
