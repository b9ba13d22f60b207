"""Putting the code location together from a snapshot of the configured syncs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dagster import BetaWarning, Definitions, IOManagerDefinition, in_process_executor, io_manager

from mixsync_dagster.errors import MixsyncError
from mixsync_dagster.orchestration import assets, jobs, sensors, upkeep
from mixsync_dagster.orchestration.bucket_io import BucketObjectsIOManager
from mixsync_dagster.orchestration.monitoring import monitor
from mixsync_dagster.orchestration.parquet_io import ParquetIOManager
from mixsync_dagster.orchestration.processing import batch_processing
from mixsync_dagster.orchestration.reaping import Ours, reaper
from mixsync_dagster.orchestration.resources import MixsyncServices, S3ConnectionResource
from mixsync_dagster.orchestration.running import SERVICES_KEY, SPOOL_KEY, end_run
from mixsync_dagster.orchestration.snapshot import NamedSync, Problem, Snapshot, load_snapshot
from mixsync_dagster.orchestration.translator import SyncTranslator, tell_apart
from mixsync_dagster.settings import Settings

if TYPE_CHECKING:
    from datetime import datetime

    from dagster import InitResourceContext

    from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE


def build_definitions(mixsync: MixsyncServices | None = None) -> Definitions:
    """Return everything that Dagster loads, whatever state the configuration and the state store are in."""
    mixsync = mixsync or MixsyncServices()
    try:
        snapshot = load_snapshot(mixsync.settings(), _named_syncs, _applied)
    except MixsyncError as error:
        snapshot = Snapshot((), [Problem("settings", str(error))])
    return definitions_of(snapshot, mixsync)


def definitions_of(snapshot: Snapshot, mixsync: MixsyncServices) -> Definitions:
    """Return the definitions of a snapshot."""
    # Dagster warns of a parameter that it passes itself when it copies a sensor of several jobs.
    warnings.filterwarnings("ignore", r"Parameter `owners` of initializer `(Sensor|Schedule)Definition", BetaWarning)
    named, unnamed = tell_apart(snapshot.syncs)
    sync_bucket, probe_syncs = jobs.sync_bucket_job(), jobs.probe_syncs_job()
    collect_garbage = upkeep.collect_garbage_job()
    sync_jobs = {sync.sync_config_id: assets.sync_job(sync) for sync in named}
    named_assets = {sync.sync_config_id: SyncTranslator(sync).asset_key for sync in named}
    automations: list[Any] = [sensors.automation(sync, sync_jobs[sync.sync_config_id], probe_syncs) for sync in named]
    sensed = [one for one in automations if not hasattr(one, "cron_schedule")]
    return Definitions(
        assets=[
            *(assets.sync_asset(sync) for sync in named),
            *assets.source_assets(named),
            *assets.problem_assets([*snapshot.problems, *unnamed]),
        ],
        asset_checks=[assets.sync_checks(sync) for sync in named],
        jobs=[
            sync_bucket,
            jobs.plan_sync_job(),
            jobs.test_connection_job(),
            probe_syncs,
            upkeep.verify_bucket_job(),
            collect_garbage,
            *sync_jobs.values(),
        ],
        sensors=[
            sensors.dispatcher(sync_bucket, probe_syncs, list(sync_jobs)),
            reaper(_ours(named)),
            monitor(named_assets),
            batch_processing(named_assets),
            *sensed,
        ],
        schedules=[
            *(one for one in automations if hasattr(one, "cron_schedule")),
            upkeep.collect_daily(collect_garbage),
        ],
        resources=_resources(named, mixsync),
        executor=in_process_executor,
    )


def _ours(named: Sequence[NamedSync]) -> Ours:
    names = [SyncTranslator(sync) for sync in named]
    jobs_of_syncs = {jobs.SYNC_BUCKET, *(one.job_name for one in names)}
    return Ours(frozenset(jobs_of_syncs), frozenset(one.asset_key for one in names))


def _resources(named: Sequence[NamedSync], mixsync: MixsyncServices) -> dict[str, Any]:
    targets = {SyncTranslator(sync).asset_key: (sync.bucket_id, sync.sync_config_id) for sync in named}

    @io_manager(
        required_resource_keys={SERVICES_KEY},
        description="Hands tables and JSON values from step to step as Parquet and JSON files; nothing is pickled.",
    )
    def spool(context: InitResourceContext) -> ParquetIOManager:
        services: MixsyncServices = getattr(context.resources, SERVICES_KEY)
        return ParquetIOManager(services.spool, partial(end_run, services))

    @io_manager(
        required_resource_keys={SERVICES_KEY},
        description="Gives the objects of a sync's bucket as a pandas DataFrame to assets that take the sync as input.",
    )
    def bucket_objects(context: InitResourceContext) -> BucketObjectsIOManager:
        services: MixsyncServices = getattr(context.resources, SERVICES_KEY)
        return BucketObjectsIOManager(services.load_objects, targets)

    made: dict[str, IOManagerDefinition] = {SPOOL_KEY: spool, "io_manager": spool, "bucket_objects": bucket_objects}
    return {
        SERVICES_KEY: mixsync,
        "s3": S3ConnectionResource(mixsync=mixsync, provider="s3"),
        "tigris": S3ConnectionResource(mixsync=mixsync, provider="tigris"),
        **made,
    }


def _named_syncs(settings: Settings) -> list[NamedSync]:
    """Return the syncs that get definitions of their own: those that still run first, then by age.

    They are those of the local organisation, its default namespace first: a tenant of the API takes no name here.
    """
    from mixsync_dagster.wiring import Services

    with Services.open(settings) as services:
        connections = {one.connection_id: one.name for one in services.store.list_connections()}
        own = (one for one in services.store.list_syncs() if one.internal_id == LOCAL_NAMESPACE.internal_id)
        syncs = sorted(own, key=_still_running_first)
        return [
            NamedSync.of(sync, connections.get(sync.connection_id, sync.connection_id))
            for sync in syncs[: settings.named_syncs]
        ]


def _still_running_first(sync: SyncConfiguration) -> tuple[bool, bool, datetime]:
    over = sync.next_sync_at is None and not sync.paused
    return over, sync.namespace_id != LOCAL_NAMESPACE.namespace_id, sync.created_at


def _applied(settings: Settings) -> list[Problem]:
    """Take in the folder of configuration files, if one is set, and return what is wrong with it."""
    if settings.syncs_dir is None:
        return []
    from mixsync_dagster.orchestration.syncs_folder import apply_folder
    from mixsync_dagster.wiring import Services

    with Services.open(settings) as services:
        return apply_folder(services, settings.syncs_dir)
