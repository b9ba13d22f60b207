"""Sensors and schedules: one for each named sync, and the dispatcher for all others."""

from collections.abc import Sequence
from typing import Any

from dagster import (
    DefaultScheduleStatus,
    DefaultSensorStatus,
    JobDefinition,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    schedule,
    sensor,
)

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.model.syncs import SyncMode
from mixsync_dagster.orchestration.jobs import SYNC_BUCKET
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.orchestration.snapshot import NamedSync
from mixsync_dagster.orchestration.ticks import Scope, TickCursor, look
from mixsync_dagster.orchestration.translator import DISPATCHER, SyncTranslator

DISPATCHER_SECONDS = 5
"""Time between the dispatcher's ticks: Dagster's own shortest."""

LISTED_MINUTES = 6
"""Up to this many minutes of an hour stand one by one in a cron expression."""


def dispatcher(sync_bucket: JobDefinition, probe_syncs: JobDefinition, named: Sequence[str]) -> SensorDefinition:
    """Return the sensor that serves every sync but the named ones, and requests for runs of any."""
    return _sensor(
        Scope(DISPATCHER, SYNC_BUCKET, exclude=tuple(named), requested=True),
        [sync_bucket, probe_syncs],
        seconds=DISPATCHER_SECONDS,
        description="Starts the runs of all syncs that have no sensor or schedule of their own here: those made since "
        "the code location was loaded, and those above MIXSYNC_NAMED_SYNCS. Also starts what mixsync trigger asks for.",
        tags={},
    )


def automation(sync: NamedSync, job: Any, probe_syncs: JobDefinition) -> SensorDefinition | ScheduleDefinition:
    """Return the sensor of a named sync, or its schedule where cron can say its interval."""
    names = SyncTranslator(sync)
    scope = Scope(names.automation_name, names.job_name, only=(sync.sync_config_id,))
    cron = cron_of(sync)
    if cron is not None:
        return _schedule(scope, job, cron, names)
    return _sensor(
        scope,
        [job, probe_syncs],
        seconds=tick_seconds(sync),
        description=names.automation_description,
        tags=names.tags,
    )


def cron_of(sync: NamedSync) -> str | None:
    """Return the cron expression of a scheduled sync: whole minutes that divide an hour, in step with its creation.

    None where cron cannot say it: a sensor serves the sync then, exactly.
    """
    minutes, rest = divmod(sync.interval_seconds, 60)
    if sync.mode is not SyncMode.SCHEDULED or rest or not minutes or 60 % minutes:
        return None
    created_at = sync.created_at
    # The full minute at or after the moment at which it is due.
    late = created_at.second > 0 or created_at.microsecond > 0
    offset = (created_at.minute + late) % minutes
    if minutes == 1:
        return "* * * * *"
    if not offset:
        return f"*/{minutes} * * * *"
    # The UI puts a short list into better words than a range with a step.
    if 60 // minutes <= LISTED_MINUTES:
        return f"{','.join(str(minute) for minute in range(offset, 60, minutes))} * * * *"
    return f"{offset}-59/{minutes} * * * *"


def tick_seconds(sync: NamedSync) -> int:
    """Return the time between ticks of a sync's sensor: short against its interval: a tick only sees what is due."""
    if sync.mode is SyncMode.ONE_TIME:
        return 10
    return max(5, min(30, sync.interval_seconds // 6))


def _sensor(
    scope: Scope, jobs: Sequence[Any], *, seconds: int, description: str, tags: dict[str, str]
) -> SensorDefinition:
    @sensor(
        name=scope.sensor,
        jobs=jobs,
        minimum_interval_seconds=seconds,
        default_status=DefaultSensorStatus.RUNNING,
        description=description,
        tags=tags,
    )
    def evaluate(context: SensorEvaluationContext, mixsync: MixsyncServices) -> SensorResult:
        cursor = TickCursor.read(context.cursor, scope.sensor)
        try:
            tick = look(mixsync, context.instance, scope, cursor)
        except ConfigurationError as error:
            return SensorResult(skip_reason=str(error))
        return SensorResult(
            run_requests=list(tick.requests),
            skip_reason=None if tick.requests else tick.said,
            cursor=tick.cursor.model_dump_json(),
        )

    return evaluate


def _schedule(scope: Scope, job: Any, cron: str, names: SyncTranslator) -> ScheduleDefinition:
    @schedule(
        name=scope.sensor,
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.RUNNING,
        description=names.automation_description,
        tags=names.tags,
    )
    def evaluate(context: ScheduleEvaluationContext, mixsync: MixsyncServices) -> list[RunRequest] | SkipReason:
        try:
            # A schedule starts one job only, so what cannot be probed in time is run.
            tick = look(mixsync, context.instance, scope, TickCursor(), dispatch_undecided=True)
        except ConfigurationError as error:
            return SkipReason(str(error))
        return list(tick.requests) or SkipReason(tick.said)

    return evaluate
