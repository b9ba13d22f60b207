"""The composition root's part about destinations: which bucket a definition means, and what it asks of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixsync_dagster.engine.context import RunLimits
from mixsync_dagster.model.buckets import Destination
from mixsync_dagster.settings import environment_value
from mixsync_dagster.transport.addresses import AddressPolicy

if TYPE_CHECKING:
    from mixsync_dagster.buckets.embedded import EmbeddedBucket
    from mixsync_dagster.buckets.mixpeek.bucket import MixpeekBucket
    from mixsync_dagster.model.buckets import BucketDefinition, BucketSchema
    from mixsync_dagster.model.syncs import SyncConfiguration
    from mixsync_dagster.wiring import Services

_HOSTED_COMMIT_SECONDS = 20.0


def open_bucket(
    services: Services, bucket_id: str, *, sync: SyncConfiguration | None = None, patient: bool = True
) -> EmbeddedBucket | MixpeekBucket:
    """Return the bucket, by id or name; see `Services.bucket_for`."""
    bucket = services.store.get_bucket(bucket_id)
    if bucket.destination is Destination.MIXPEEK:
        return open_hosted_bucket(services, bucket, sync=sync, patient=patient)
    from mixsync_dagster.buckets.embedded import EmbeddedBucket

    return EmbeddedBucket(bucket.bucket_id, services.store, services.open_blobs(), services.open_manifests())


def open_hosted_bucket(
    services: Services, bucket: BucketDefinition, *, sync: SyncConfiguration | None = None, patient: bool = True
) -> MixpeekBucket:
    """Return a bucket at the hosted service, stored here or not yet. Raises ConfigurationError."""
    from mixsync_dagster.buckets.mixpeek.factory import open_mixpeek_bucket, settings_of
    from mixsync_dagster.control.hosted import fitting

    settings = settings_of(
        bucket,
        lookup=environment_value,
        spool_folder=services.settings.uploads_dir,
        ca_bundle=services.settings.ca_bundle,
        addresses=AddressPolicy.of(services.settings.allowed_addresses),
    )
    pacer = services.pacer_of(f"bucket:{bucket.bucket_id}", patient=patient)
    fits = None if sync is None else fitting(services.store, sync, bucket)
    return open_mixpeek_bucket(bucket, settings, services.store, clock=services.clock, pacer=pacer, fits=fits)


def schema_at_service(services: Services, bucket: BucketDefinition) -> BucketSchema | None:
    """Return the schema that a hosted bucket, stored here or not, has at the service; None when it has none.

    Raises NotFound, AccessDenied, ConfigurationError; ProviderUnavailable after MIXSYNC_CHECK_SECONDS.
    """
    from mixsync_dagster.control.checking import answer_in_time

    def ask() -> BucketSchema | None:
        opened = open_hosted_bucket(services, bucket, patient=False)
        try:
            return opened.check().schema
        finally:
            opened.close()

    return answer_in_time(ask, services.settings.check_seconds)


def check_filling(services: Services, sync: SyncConfiguration) -> None:
    """Return if the sync's bucket takes what its mapping fills; an embedded one always does.

    Raises as `schema_at_service`, and InvalidInput with one problem for each entry that does not fit.
    """
    from mixsync_dagster.control.hosted import fitting

    bucket = services.store.get_bucket(sync.bucket_id)
    if bucket.destination is Destination.MIXPEEK:
        schema = schema_at_service(services, bucket)
        if schema is not None:
            fitting(services.store, sync, bucket)(schema)


def limits_of(services: Services, sync: SyncConfiguration, *, approve_removals: bool) -> RunLimits:
    """Return the bounds of a sync's runs."""
    settings = services.settings
    changed: dict[str, Any] = {}
    if services.store.get_bucket(sync.bucket_id).destination is Destination.MIXPEEK:
        # Calls to a service are counted by the minute: small commits would make many of a few objects each.
        changed["commit_seconds"] = _HOSTED_COMMIT_SECONDS
    if settings.sync_concurrency is not None:
        changed["concurrency"] = settings.sync_concurrency
    if approve_removals:
        changed["removal_guard_percent"] = 100.0
    return RunLimits(lease_seconds=settings.lease_seconds, **changed)
