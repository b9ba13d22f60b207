"""Jobs that look after what is stored: verifying buckets, and collecting bytes that no object has."""

from contextlib import closing
from datetime import timedelta
from itertools import chain, islice
from typing import Any

from dagster import (
    Config,
    DefaultScheduleStatus,
    Failure,
    JobDefinition,
    OpExecutionContext,
    ScheduleDefinition,
    config_mapping,
)
from pydantic import Field

from mixsync_dagster.orchestration.jobs import of_one
from mixsync_dagster.orchestration.metadata import collected_metadata, findings_metadata
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.orchestration.running import told

SHOWN_FINDINGS = 1_000
"""Rows of the report; all are counted."""

COLLECT_AT = "30 3 * * *"
"""Half past three at night, in UTC: between the hours at which most nightly work begins."""


class VerifyBucketConfig(Config):
    """What to verify."""

    bucket: str | None = Field(
        default=None, description="Id or name of the bucket. None: every bucket, and blobs that nothing refers to."
    )
    data_percent: float = Field(
        default=0.0, ge=0.0, le=100.0, description="Share of the blobs whose bytes are read; always the same ones."
    )


class CollectGarbageConfig(Config):
    """How to collect."""

    dry_run: bool = Field(default=False, description="Say what would go, and remove nothing.")


def verify_bucket(context: OpExecutionContext, config: VerifyBucketConfig, mixsync: MixsyncServices) -> None:
    """Check that inventory, objects, blobs, batches and outbox agree; writes nothing, and fails with findings.

    The report is a table of this step's metadata.
    """
    from mixsync_dagster.control.references import find_bucket
    from mixsync_dagster.control.verifying import Verifier

    services = mixsync.services
    with told(), closing(services.open_blobs()) as blobs:
        verifier = Verifier(services.store, blobs, services.open_manifests().find, config.data_percent)
        if config.bucket is None:
            grace_seconds = timedelta(days=services.settings.grace_days).total_seconds()
            every = verifier.verify_all(now=services.clock.now(), grace_seconds=grace_seconds)
        else:
            every = verifier.verify_bucket(find_bucket(services.store, config.bucket).bucket_id)
        findings = (finding for finding in every if not finding.information)
        shown = list(islice(findings, SHOWN_FINDINGS))
        count = sum(1 for _ in chain(shown, findings))
    metadata = findings_metadata(shown, count=count)
    if count:
        said = f"{count} {'finding' if count == 1 else 'findings'}; the report tells what to do about each."
        raise Failure(description=said, metadata=metadata, allow_retries=False)
    context.add_output_metadata(metadata)


def collect_garbage(context: OpExecutionContext, config: CollectGarbageConfig, mixsync: MixsyncServices) -> None:
    """Forget removed objects after MIXSYNC_GRACE_DAYS, and remove bytes that no object has.

    Bytes that a run counted on within a day, or four leases, stay. Where bytes are in an object store, nothing is done
    while a sync runs; the next night does it.
    """
    from mixsync_dagster.control.collecting import collect

    services = mixsync.services
    with told(), closing(services.open_blobs()) as blobs:
        collected = collect(
            services.store,
            blobs,
            now=services.clock.now(),
            grace=timedelta(days=services.settings.grace_days),
            lease_seconds=services.settings.lease_seconds,
            dry_run=config.dry_run,
        )
    if collected.refused_by:
        context.log.warning("Nothing more was removed, for these syncs run: %s.", ", ".join(collected.refused_by))
    context.add_output_metadata(collected_metadata(collected))


@config_mapping
def _verify_config(config: VerifyBucketConfig) -> dict[str, Any]:
    given = {"bucket": config.bucket, "data_percent": config.data_percent}
    return {"ops": {"verify_bucket": {"config": given}}}


@config_mapping
def _collect_config(config: CollectGarbageConfig) -> dict[str, Any]:
    return {"ops": {"collect_garbage": {"config": {"dry_run": config.dry_run}}}}


def verify_bucket_job() -> JobDefinition:
    """Return the job that verifies one bucket or all."""
    return of_one(
        verify_bucket,
        _verify_config,
        "Checks that inventory, objects, blobs, batches and outbox agree, as `mixsync verify` does. Fails with a "
        "report when something is wrong.",
    )


def collect_garbage_job() -> JobDefinition:
    """Return the job that removes bytes that no object has."""
    return of_one(
        collect_garbage,
        _collect_config,
        "Forgets removed objects after MIXSYNC_GRACE_DAYS and removes bytes that no object has, as `mixsync gc` does.",
    )


def collect_daily(job: JobDefinition) -> ScheduleDefinition:
    """Return the daily collection. It is switched on by a person: what it removes is gone."""
    return ScheduleDefinition(
        name="collect_garbage_daily",
        job=job,
        cron_schedule=COLLECT_AT,
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.STOPPED,
        description="Removes, every night, what has been removed from the buckets for longer than MIXSYNC_GRACE_DAYS. "
        "Stopped until somebody starts it.",
    )
