"""The reaper: ends Dagster runs whose worker is gone, which would else hold their place for a day.

Nobody tells Dagster when a whole machine, or all its processes, end at once: their runs stay as they were, and as a
sync has one run at a time, its next one waits for them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRecord,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from mixsync_dagster.errors import ConfigurationError, NotFound
from mixsync_dagster.model.progress import WORKER_GONE, Trigger
from mixsync_dagster.orchestration.processes import is_gone, server_is_gone
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.orchestration.translator import (
    DISPATCH_TAG,
    FULL_SYNC_TAG,
    LAUNCH_TAG,
    PROCESS_TAG,
    REAPER,
    SYNC_ID_TAG,
    TRIGGER_TAG,
)
from mixsync_dagster.ports.control import Dispatch
from mixsync_dagster.ports.upkeep import RunSign

REAPER_SECONDS = 60

LEASES_OF_SILENCE = 2
SILENCE_SECONDS = 300.0
"""How long a worker that cannot be looked at must have been silent: twice the lock's time, and at least this long, for
steps that run in processes of their own wait for each other without anybody who renews the lock."""

CLAIMED_SECONDS = 20.0
"""A claim becomes a run within the tick that made it, which takes a few seconds; later its daemon has ended."""

_UNFINISHED = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
_MOST_RUNS = 1_000


@dataclass(frozen=True)
class Ours:
    """The runs that consist of one sync and its checks: nothing of another's work may be in them."""

    jobs: frozenset[str]
    assets: frozenset[AssetKey]

    def __contains__(self, run: DagsterRun) -> bool:
        if run.job_name in self.jobs:
            return True
        # Materialized from an asset's page.
        selected = run.asset_selection or frozenset()
        return len(selected) == 1 and selected <= self.assets


def reaper(ours: Ours) -> SensorDefinition:
    """Return the sensor that ends the runs of workers that are gone."""

    @sensor(
        name=REAPER,
        minimum_interval_seconds=REAPER_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Ends runs whose worker is gone, as after a power cut: their lock has run out, and their process "
        "has ended or was silent for minutes. Their syncs then go on from the last commit. A run that works is left "
        "alone.",
    )
    def evaluate(context: SensorEvaluationContext, mixsync: MixsyncServices) -> SkipReason:
        try:
            reaped = reap(mixsync, context.instance, ours)
        except ConfigurationError as error:
            return SkipReason(str(error))
        for sentence in reaped:
            context.log.warning(sentence)
        return SkipReason(" ".join(reaped) or "No run has lost its worker.")

    return evaluate


def reap(mixsync: MixsyncServices, instance: DagsterInstance, ours: Ours) -> Sequence[str]:
    """End the runs whose worker is gone and return a sentence about each.

    Raises ConfigurationError without a state store, StoreUnavailable.
    """
    store, now = mixsync.store, mixsync.services.clock.now()
    lease_seconds = mixsync.services.settings.lease_seconds
    silence_seconds = max(LEASES_OF_SILENCE * lease_seconds, SILENCE_SECONDS)
    records = instance.get_run_records(RunsFilter(statuses=_UNFINISHED), limit=_MOST_RUNS)
    records = [record for record in records if record.dagster_run in ours]
    signs = store.run_signs([record.dagster_run.run_id for record in records])
    reaped = []
    for record in records:
        run, sign = record.dagster_run, signs[record.dagster_run.run_id]
        if not _of_this_store(mixsync, run, sign):
            continue
        if is_gone(run.tags.get(PROCESS_TAG)):
            why = "its process has ended"
        elif _silent(record, sign, now, lease_seconds) and _never_begun(run, sign):
            why = "what launched it has ended, and its first step did not begin"
        elif _silent(record, sign, now, silence_seconds):
            why = f"nothing was heard of it for {silence_seconds / 60:g} minutes"
        else:
            continue
        said = f"{WORKER_GONE}: {why}. The sync's next run goes on from the last commit."
        if store.give_up_run(run.run_id, error=said, claim=_claim_of(run)) and _fail(instance, run.run_id, said):
            reaped.append(f"Run {run.run_id[:8]} of {run.job_name}: {said}")
    return [*reaped, *_give_up_lost_claims(mixsync, instance)]


def _never_begun(run: DagsterRun, sign: RunSign) -> bool:
    """Return whether the run was launched by a code server that has ended, and never came to its first step.

    A worker that outlived its server begins its first step, and says so, within seconds.
    """
    return PROCESS_TAG not in run.tags and not sign.recorded and server_is_gone(run.tags.get(LAUNCH_TAG))


def _claim_of(run: DagsterRun) -> Dispatch | None:
    """Return the claim by which the run was started; None for one that a person started in the UI."""
    sync_config_id, number = run.tags.get(SYNC_ID_TAG), run.tags.get(DISPATCH_TAG, "")
    if sync_config_id is None or not (number.isascii() and number.isdecimal()):
        return None
    trigger = Trigger.MANUAL if run.tags.get(TRIGGER_TAG) == Trigger.MANUAL.value else Trigger.SCHEDULED
    full_sync = FULL_SYNC_TAG in run.tags or bool(run.run_config.get("full_sync"))
    return Dispatch(sync_config_id, int(number), trigger, full_sync)


def _give_up_lost_claims(mixsync: MixsyncServices, instance: DagsterInstance) -> Iterator[str]:
    """Give up the claims whose run was never made, since the daemon ended between the two."""
    for claim in mixsync.store.claims_not_taken_up(older_seconds=CLAIMED_SECONDS):
        tags = {SYNC_ID_TAG: claim.sync_config_id, DISPATCH_TAG: str(claim.number)}
        if not instance.get_runs_count(RunsFilter(tags=tags)):
            mixsync.store.give_up_claim(claim)
            yield f"Sync {claim.sync_config_id}: its run {claim.number} was never made; it is due again."


def _of_this_store(mixsync: MixsyncServices, run: DagsterRun, sign: RunSign) -> bool:
    """Return whether the run is of a sync of ours: several homes may share one Dagster instance."""
    sync_config_id = run.tags.get(SYNC_ID_TAG)
    if sign.recorded or sync_config_id is None:
        # Without the tag it never came to its first step, wherever it belongs.
        return True
    try:
        mixsync.store.load_sync(sync_config_id)
    except NotFound:
        return False
    return True


def _silent(record: RunRecord, sign: RunSign, now: datetime, seconds: float) -> bool:
    """Return whether nothing was heard of the run for so long."""
    if sign.lock_expired_seconds is not None:
        return sign.lock_expired_seconds > seconds
    heard_at = sign.ended_at
    if heard_at is None:
        started = record.start_time
        heard_at = record.update_timestamp if started is None else datetime.fromtimestamp(started, UTC)
    # Dagster's times are in UTC and may come without saying so.
    heard_at = heard_at if heard_at.tzinfo else heard_at.replace(tzinfo=UTC)
    return now - heard_at > timedelta(seconds=seconds)


def _fail(instance: DagsterInstance, run_id: str, said: str) -> bool:
    """Report the run as failed, unless it has ended by itself meanwhile, and free what it holds."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.status not in _UNFINISHED:
        return False
    instance.report_run_failed(run, said)
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        # The daemon does it as well, minutes later.
        storage.free_concurrency_slots_for_run(run_id)
    return True
