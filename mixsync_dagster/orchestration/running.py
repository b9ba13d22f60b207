"""What every op of a run shares: its claim, its lock, and that an error ends the run in the state store as well."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dagster import DagsterInstance, Failure, OpExecutionContext, in_process_executor

from mixsync_dagster.errors import MixsyncError, NotFound
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE
from mixsync_dagster.orchestration.parquet_io import ParquetIOManager
from mixsync_dagster.orchestration.processes import this_process
from mixsync_dagster.orchestration.resources import MixsyncServices, sentence
from mixsync_dagster.orchestration.translator import (
    DISPATCH_TAG,
    PROCESS_TAG,
    RUN_ID_TAG,
    SYNC_ID_TAG,
    SYNC_NAME_TAG,
)

if TYPE_CHECKING:
    from mixsync_dagster.engine.context import SyncRun
    from mixsync_dagster.model.syncs import SyncConfiguration

logger = logging.getLogger(__name__)

SPOOL_KEY = "mixsync_spool"
SERVICES_KEY = "mixsync"
_FIRST_STEP = "begin_run"


@contextmanager
def told() -> Iterator[None]:
    """Turn our errors into a failed step with one sentence; Dagster may not repeat it, for the next run resumes."""
    try:
        yield
    except MixsyncError as error:
        logger.debug("the step failed", exc_info=error)
        raise Failure(description=str(error), allow_retries=False) from None


@contextmanager
def running(mixsync: MixsyncServices, ticket: Mapping[str, Any]) -> Iterator[SyncRun]:
    """Give the run that the ticket stands for; an error ends it, so that its lock is free, and fails the step.

    Its lock is renewed until the next step of this process begins, or the process ends: steps may wait for their turn.
    """
    # The engine is imported by steps, not by definitions.
    from mixsync_dagster.engine.context import RunTicket, attached

    run_ticket = RunTicket.from_dict(ticket)
    with told():
        tools = mixsync.tools(mixsync.store.load_sync(run_ticket.sync_config_id))
        mixsync.stop_renewing(run_ticket.sync_config_id)
        try:
            with attached(tools, run_ticket) as run:
                yield run
        except GeneratorExit:
            # The step's output could not be kept; the IO manager, which knows the reason, has ended the run.
            raise
        except BaseException as error:
            end_run(mixsync, ticket, error)
            raise
        mixsync.renew_meanwhile(tools, run.keeper.lock)


def end_run(mixsync: MixsyncServices, ticket: Mapping[str, Any], error: BaseException) -> None:
    """Record the error as the run's end and release its lock; a run that has ended already stays as it is."""
    from mixsync_dagster.engine.context import RunTicket
    from mixsync_dagster.engine.finishing import fail_run

    run_ticket = RunTicket.from_dict(ticket)
    try:
        fail_run(mixsync.tools(mixsync.store.load_sync(run_ticket.sync_config_id)), run_ticket, error)
    except MixsyncError as second:
        # The first error matters more; the lock ends by itself when its time is over.
        logger.warning("the end of run %s could not be recorded: %s", run_ticket.sync_run_id, second)


def claimed(mixsync: MixsyncServices, context: OpExecutionContext, sync: SyncConfiguration) -> bool:
    """Return whether the run may go on as far as its dispatch is concerned; one that a person started always may.

    A claim that became void while the run waited in Dagster's queue is made anew, unless another run has it: else
    a queue longer than a claim's life would make every run wait in vain.
    """
    tag = context.run.tags.get(DISPATCH_TAG)
    if tag is None:
        return True
    store, number = mixsync.store, int(tag)
    if store.take_up_dispatch(sync.sync_config_id, number):
        return True
    renewed = store.claim_dispatch(sync.sync_config_id, expected_number=number)
    return renewed is not None and store.take_up_dispatch(sync.sync_config_id, renewed.number)


def run_id_of(context: OpExecutionContext, sync: SyncConfiguration) -> str:
    """Return the id of the sync's run: the Dagster run's own, unless that one materializes several syncs at once."""
    return f"{context.run_id}:{sync.sync_config_id}" if runs_several(context) else context.run_id


def runs_several(context: OpExecutionContext) -> bool:
    """Return whether the Dagster run holds several syncs, as when all assets are materialized from the UI."""
    graphs = [getattr(node.definition, "node_dict", {}) for node in context.job_def.nodes]
    return sum(_FIRST_STEP in graph for graph in graphs) > 1


def tag_run(context: OpExecutionContext, sync: SyncConfiguration) -> None:
    """Put the sync's name and id and the run's id on the Dagster run, by which lists are read and filtered.

    And its process, by which the reaper sees whether it is gone, unless each step has a process of its own. A run of
    several syncs gets the process alone: by a tag of one of them, Dagster would let the run wait for that one's others.
    """
    wanted: dict[str, str] = {}
    if not runs_several(context):
        wanted = {SYNC_ID_TAG: sync.sync_config_id, RUN_ID_TAG: context.run_id}
    if wanted and sync.internal_id == LOCAL_NAMESPACE.internal_id:
        # What other organisations call their syncs is not for everybody who sees these pages.
        wanted[SYNC_NAME_TAG] = sync.name
    process = this_process()
    if process is not None and context.job_def.executor_def.name == in_process_executor.name:
        wanted[PROCESS_TAG] = process
    if any(context.run.tags.get(key) != value for key, value in wanted.items()):
        context.instance.add_run_tags(context.run_id, wanted)


def sweep_spool(mixsync: MixsyncServices, spool_io: ParquetIOManager, context: OpExecutionContext) -> None:
    """Remove what ended runs left in the spool."""
    try:
        for run_id in spool_io.spool.folders():
            if run_id != context.run_id and _ended(mixsync, context.instance, run_id):
                spool_io.spool.delete(run_id)
    except (OSError, MixsyncError) as error:
        # Tidying may wait for the next run; the work may not.
        logger.warning("the spool could not be tidied: %s", sentence(error))


def _ended(mixsync: MixsyncServices, instance: DagsterInstance, run_id: str) -> bool:
    try:
        return mixsync.store.get_run(run_id).status != "running"
    except NotFound:
        # Of several syncs, or another home's, or begun this very moment.
        run = instance.get_run_by_id(run_id)
        return run is not None and run.is_finished
