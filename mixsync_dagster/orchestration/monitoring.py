"""The monitor: tells what does not happen although it should, at every look and not only after runs.

A check that only runs evaluate says nothing where no run comes. So a sensor evaluates the checks `outbox` and `stuck`
of every sync's asset each minute, reports those whose answer is new, and logs a warning about every sync that is stuck.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    AssetKey,
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from pydantic import BaseModel, ConfigDict, ValidationError

from mixsync_dagster.control.health import (
    SyncHealth,
    health_of,
    is_stuck,
    late_allowed_seconds,
    unsubmitted_allowed_seconds,
)
from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.orchestration.translator import MONITOR, in_words

MONITOR_SECONDS = 60

OUTBOX, STUCK = "outbox", "stuck"
_SYNCS_AT_ONCE = 500
_SHOWN_SYNCS = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer of one check about one sync."""

    check: str
    passed: bool
    numbers: Mapping[str, float | str]


def standings(sync: SyncConfiguration, health: SyncHealth) -> tuple[Standing, Standing]:
    """Return what the checks `outbox` and `stuck` say, in this order."""
    allowed_seconds, waited = unsubmitted_allowed_seconds(sync), health.oldest_unsubmitted_seconds or 0.0
    outbox: dict[str, float | str] = {
        "oldest_unsubmitted_seconds": round(waited, 1),
        "allowed": in_words(int(allowed_seconds)),
    }
    stuck: dict[str, float | str] = {
        "lag_seconds": round(health.lag_seconds or 0.0, 1),
        "lock_expired_seconds": round(health.lock_expired_seconds or 0.0, 1),
        "allowed": in_words(int(late_allowed_seconds(sync))),
    }
    return (
        Standing(OUTBOX, waited <= allowed_seconds, outbox),
        Standing(STUCK, not is_stuck(sync, health), stuck),
    )


class WatchCursor(BaseModel):
    """What the monitor reported last: the checks that failed, by sync id. A sync that is absent was not reported."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    failed: Mapping[str, Sequence[str]] = {}

    @classmethod
    def read(cls, text: str | None) -> "WatchCursor":
        """Return the cursor; an empty one, by which everything is reported again, when it is none of ours."""
        try:
            return cls.model_validate_json(text) if text else cls()
        except ValidationError:
            return cls()


@dataclass(frozen=True, slots=True)
class Watched:
    """What one look found."""

    evaluations: Sequence[AssetCheckEvaluation]
    """Answers that are new."""
    warnings: Sequence[str]
    """A sentence about every check that fails, of every sync."""
    cursor: WatchCursor


def watch(mixsync: MixsyncServices, assets: Mapping[str, AssetKey], cursor: WatchCursor) -> Watched:
    """Look at every sync; `assets` are those of the named ones, by sync id.

    Raises ConfigurationError without a state store, StoreUnavailable.
    """
    evaluations, warnings = [], []
    failed: dict[str, Sequence[str]] = {}
    for sync, health in _all_health(mixsync):
        answers = standings(sync, health)
        failing = [one.check for one in answers if not one.passed]
        warnings += [_sentence(sync, one) for one in answers if not one.passed]
        asset = assets.get(sync.sync_config_id)
        if asset is None:
            continue
        told = cursor.failed.get(sync.sync_config_id)
        evaluations += [_evaluation(asset, one) for one in answers if told is None or one.passed == (one.check in told)]
        failed[sync.sync_config_id] = failing
    return Watched(evaluations, warnings, WatchCursor(failed=failed))


def monitor(assets: Mapping[str, AssetKey]) -> SensorDefinition:
    """Return the sensor that watches every sync; `assets` are those of the named ones, by sync id."""

    @sensor(
        name=MONITOR,
        minimum_interval_seconds=MONITOR_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Evaluates the checks `outbox` and `stuck` of every sync, whether or not it runs, and reports new "
        "answers; warns of every sync that is stuck.",
    )
    def evaluate(context: SensorEvaluationContext, mixsync: MixsyncServices) -> SensorResult | SkipReason:
        try:
            watched = watch(mixsync, assets, WatchCursor.read(context.cursor))
        except ConfigurationError as error:
            return SkipReason(str(error))
        for warning in islice(watched.warnings, _SHOWN_SYNCS):
            context.log.warning(warning)
        said = " ".join(watched.warnings[:_SHOWN_SYNCS]) or "No sync is stuck, and no batch waits."
        return SensorResult(
            asset_events=list(watched.evaluations), cursor=watched.cursor.model_dump_json(), skip_reason=said
        )

    return evaluate


def _all_health(mixsync: MixsyncServices) -> Iterator[tuple[SyncConfiguration, SyncHealth]]:
    store = mixsync.store
    syncs = iter(store.list_syncs())
    while some := list(islice(syncs, _SYNCS_AT_ONCE)):
        health = health_of(store, some, mixsync.services.clock.now())
        for sync in some:
            yield sync, health[sync.sync_config_id]


def _evaluation(asset: AssetKey, standing: Standing) -> AssetCheckEvaluation:
    return AssetCheckEvaluation(
        asset_key=asset,
        check_name=standing.check,
        passed=standing.passed,
        severity=AssetCheckSeverity.WARN,
        metadata=dict(standing.numbers),
    )


def _sentence(sync: SyncConfiguration, standing: Standing) -> str:
    numbers = standing.numbers
    if standing.check == OUTBOX:
        waited = in_words(int(float(numbers["oldest_unsubmitted_seconds"])))
        return f"Sync {sync.name}: a batch has waited for {waited} to be submitted; allowed are {numbers['allowed']}."
    expired = int(float(numbers["lock_expired_seconds"]))
    if expired:
        return f"Sync {sync.name}: a worker that is gone holds the lock, which expired {in_words(expired)} ago."
    late = in_words(int(float(numbers["lag_seconds"])))
    return f"Sync {sync.name}: its run is due for {late}; allowed are {numbers['allowed']}."
