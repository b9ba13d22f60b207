"""Following submitted batches at the hosted service, beside the runs that submitted them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from dagster import (
    AssetKey,
    AssetObservation,
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    sensor,
)

from mixsync_dagster.control.hosted import Polled, poll_batches, processing
from mixsync_dagster.errors import ConfigurationError, NotFound
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.orchestration.translator import PROCESSING

if TYPE_CHECKING:
    from mixsync_dagster.buckets.mixpeek.bucket import MixpeekBucket
    from mixsync_dagster.wiring import Services

PROCESSING_SECONDS = 5
"""Time between ticks; a tick asks only about batches that are due, 1 to 30 seconds after they were asked about."""


def batch_processing(assets: Mapping[str, AssetKey]) -> SensorDefinition:
    """Return the sensor that asks how batches do; `assets` are those of the named syncs, by sync id.

    What is told stands with each batch. When a batch has ended, its sync's asset shows how many are in each status.
    """

    @sensor(
        name=PROCESSING,
        minimum_interval_seconds=PROCESSING_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Asks the hosted service how submitted batches do: 1 second after, then less and less often, at "
        "least every 30 seconds, until they have ended. Does nothing without a bucket there.",
    )
    def evaluate(context: SensorEvaluationContext, mixsync: MixsyncServices) -> SensorResult:
        try:
            services = mixsync.services
            polled = poll_batches(services.store, lambda name: _bucket(services, name), services.clock)
        except ConfigurationError as error:
            return SensorResult(skip_reason=str(error))
        for bucket, reason in polled.failures.items():
            context.log.warning("The batches of bucket %s cannot be followed now: %s", bucket, reason)
        observations = _observations(mixsync, assets, polled)
        return SensorResult(skip_reason=_said(polled), asset_events=observations)

    return evaluate


def _bucket(services: "Services", bucket_id: str) -> "MixpeekBucket":
    from mixsync_dagster.destinations import open_hosted_bucket

    return open_hosted_bucket(services, services.store.get_bucket(bucket_id), patient=False)


def _observations(mixsync: MixsyncServices, assets: Mapping[str, AssetKey], polled: Polled) -> list[AssetObservation]:
    found = []
    for sync_config_id in polled.ended:
        asset = assets.get(sync_config_id)
        with suppress(NotFound):
            if asset is not None:
                counts = processing(mixsync.store, mixsync.store.get_sync(sync_config_id))
                metadata = {f"batches_{status.lower()}": count for status, count in sorted(counts.items())}
                found.append(AssetObservation(asset_key=asset, metadata=metadata))
    return found


def _said(polled: Polled) -> str:
    ended = sum(sum(counts.values()) for counts in polled.ended.values())
    if not polled.asked:
        return "No batch is to be asked about now."
    return f"{polled.asked} batches were asked about, of which {ended} have ended."
