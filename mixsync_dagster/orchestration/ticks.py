"""One tick of a sensor, without Dagster's clockwork: what is due, what of it changed, what to start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagster import DagsterInstance, DagsterRunStatus, RunRequest, RunsFilter
from pydantic import BaseModel, ConfigDict, ValidationError

from mixsync_dagster.control.dispatching import Work, claim_requested, find_work
from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.orchestration.jobs import PROBE_SYNCS, SYNC_BUCKET
from mixsync_dagster.orchestration.translator import (
    CHANGED_TAG,
    DISPATCH_TAG,
    FULL_SYNC_TAG,
    SYNC_ID_TAG,
    TRIGGER_TAG,
)
from mixsync_dagster.ports.provider import Probe

if TYPE_CHECKING:
    from mixsync_dagster.model.syncs import SyncConfiguration
    from mixsync_dagster.orchestration.resources import MixsyncServices
    from mixsync_dagster.ports.control import Dispatch

TICK_SECONDS = 5.0
"""Longest time for probes in one tick."""

PROBED_AT_ONCE = 200
"""Syncs of one probing run."""

MAX_WAITING = 25
"""Runs that may wait in Dagster's queue before the dispatcher claims no more: a claim is void after two minutes."""

_WAITING = [DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING]


class TickCursor(BaseModel):
    """What a sensor remembers from tick to tick: the probing run that it asked for last."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    probe: str | None = None
    """Run key of the probing run whose answer is not used up yet."""

    @classmethod
    def read(cls, text: str | None, sensor: str) -> TickCursor:
        """Return the cursor. Raises ConfigurationError, which says how to start anew, when it is not one of ours."""
        if not text:
            return cls()
        try:
            cursor = cls.model_validate_json(text)
        except ValidationError:
            cursor = None
        if cursor is None or cursor.version != 1:
            raise ConfigurationError(
                f"the cursor of sensor {sensor} cannot be read; reset it with "
                f"`dagster sensor cursor {sensor} --delete` or in the UI. Nothing is lost by it: "
                "what is due is in the state store."
            )
        return cursor


@dataclass(frozen=True, slots=True)
class Tick:
    """What a tick led to."""

    requests: Sequence[RunRequest]
    cursor: TickCursor
    said: str
    """Why there is nothing to start, for the list of ticks."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which syncs a sensor or schedule serves, and by which job."""

    sensor: str
    job_name: str
    only: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    requested: bool = False
    """Whether it also starts what people asked for, whichever sync that is."""


def look(
    mixsync: MixsyncServices,
    instance: DagsterInstance,
    scope: Scope,
    cursor: TickCursor,
    *,
    dispatch_undecided: bool = False,
) -> Tick:
    """Claim runs for what is due and changed, and ask for one probing run for what the tick's time did not answer.

    Raises ConfigurationError without a state store, StoreUnavailable.
    """
    services = mixsync.services
    waiting = _waiting(instance)
    limit = PROBED_AT_ONCE if scope.only is not None else min(PROBED_AT_ONCE, MAX_WAITING - len(waiting))
    if limit <= 0:
        return Tick((), cursor, f"{len(waiting)} runs wait in Dagster's queue; no more are started meanwhile.")
    # First of all: a person waits for these.
    requested = claim_requested(services.store, exclude=sorted(waiting), limit=limit) if scope.requested else ()
    answer = _probe_answer(instance, cursor)
    work = find_work(
        services.store,
        answer.instead_of(services.probe),
        services.clock,
        only=None if scope.only is None else [one for one in scope.only if one not in waiting | answer.asked],
        exclude=sorted({*scope.exclude, *waiting, *answer.asked}),
        limit=limit,
        budget_seconds=TICK_SECONDS,
        dispatch_undecided=dispatch_undecided,
    )
    requests = [_request(dispatch, scope.job_name) for dispatch in (*requested, *work.dispatches)]
    after = cursor if answer.asked else TickCursor()
    if work.undecided and not answer.asked:
        after = TickCursor(probe=f"probe:{scope.sensor}:{services.clock.now().isoformat()}")
        requests.append(_probe_request(after, work.undecided))
    return Tick(requests, after, _said(len(answer.asked), work))


def _said(asked: int, work: Work) -> str:
    unchanged = work.unchanged
    if asked:
        return f"A run of {PROBE_SYNCS} is still looking; its answer counts at a later tick."
    if work.waiting:
        return f"Syncs whose provider asked to slow down, and that wait: {work.waiting}."
    if not unchanged:
        return "Nothing is due."
    return "Looked: nothing changed." if unchanged == 1 else f"Looked at {unchanged} syncs: nothing changed."


@dataclass(frozen=True, slots=True)
class _ProbeAnswer:
    """What the last probing run says. `asked`: it is still at it."""

    asked: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()

    def instead_of(
        self, probe: Callable[[SyncConfiguration, float], Probe]
    ) -> Callable[[SyncConfiguration, float], Probe]:
        def told(sync: SyncConfiguration, seconds: float) -> Probe:
            return Probe.CHANGED if sync.sync_config_id in self.changed else probe(sync, seconds)

        return told


def _probe_answer(instance: DagsterInstance, cursor: TickCursor) -> _ProbeAnswer:
    if cursor.probe is None:
        return _ProbeAnswer()
    runs = instance.get_runs(RunsFilter(tags={"dagster/run_key": cursor.probe}), limit=1)
    if not runs:
        return _ProbeAnswer()
    run = runs[0]
    config: Mapping[str, Any] = run.run_config
    asked = frozenset(config.get("syncs", ()))
    if not run.is_finished:
        return _ProbeAnswer(asked=asked)
    if run.status is not DagsterRunStatus.SUCCESS:
        # Their runs will tell what stopped the probes.
        return _ProbeAnswer(changed=asked)
    return _ProbeAnswer(changed=frozenset(filter(None, run.tags.get(CHANGED_TAG, "").split(","))))


def _waiting(instance: DagsterInstance) -> set[str]:
    """Return the ids of syncs whose run waits to be started; one claim more would only make it void."""
    runs = instance.get_runs(RunsFilter(statuses=_WAITING), limit=MAX_WAITING * 4)
    return {run.tags[SYNC_ID_TAG] for run in runs if SYNC_ID_TAG in run.tags}


def _request(dispatch: Dispatch, job_name: str) -> RunRequest:
    tags = {
        SYNC_ID_TAG: dispatch.sync_config_id,
        DISPATCH_TAG: str(dispatch.number),
        TRIGGER_TAG: dispatch.trigger.value,
    }
    config: Mapping[str, Any] = {}
    if job_name == SYNC_BUCKET:
        config = {"sync": dispatch.sync_config_id, "full_sync": dispatch.full_sync}
    elif dispatch.full_sync:
        tags[FULL_SYNC_TAG] = "true"
    return RunRequest(run_key=dispatch.run_key, job_name=job_name, run_config=config, tags=tags)


def _probe_request(cursor: TickCursor, syncs: Sequence[str]) -> RunRequest:
    return RunRequest(
        run_key=cursor.probe, job_name=PROBE_SYNCS, run_config={"syncs": list(syncs)}, tags={"mixsync/probe": "true"}
    )
