"""All stages of a run in one process, without an orchestrator."""

from __future__ import annotations

import logging

from mixsync_dagster.engine.batching import submit_batches
from mixsync_dagster.engine.beginning import begin_run
from mixsync_dagster.engine.context import RunTicket, Toolbox, attached
from mixsync_dagster.engine.creating import create_objects
from mixsync_dagster.engine.feeding import list_pass
from mixsync_dagster.engine.filtering import filter_items
from mixsync_dagster.engine.finishing import fail_run, finish_run
from mixsync_dagster.engine.mapping import map_schema
from mixsync_dagster.engine.planning import plan_changes
from mixsync_dagster.engine.stages import stage_span
from mixsync_dagster.engine.walk import read_ahead
from mixsync_dagster.errors import MixsyncError
from mixsync_dagster.model.progress import RunRecord, Trigger

logger = logging.getLogger(__name__)

IN_PROCESS_SHARD_ROWS = 10_000
"""Rows of a shard that never leaves the process.

Measured at a million unchanged objects: shards of 50,000, which suit the steps of an orchestrator, take a third longer
and 80 MB more.
"""


def run_sync(
    tools: Toolbox,
    sync_config_id: str,
    *,
    worker_id: str,
    sync_run_id: str,
    trigger: Trigger = Trigger.MANUAL,
    full_sync: bool = False,
    dagster_run_id: str | None = None,
) -> RunRecord:
    """Run a sync from its begin to its end and return the run's record.

    Raises AlreadyLocked, Conflict or NotFound before anything is done; any later error is recorded as the run's end
    and then raised. The tools are not closed.
    """
    ticket = begin_run(
        tools,
        sync_config_id,
        worker_id=worker_id,
        sync_run_id=sync_run_id,
        trigger=trigger,
        full_sync=full_sync,
        dagster_run_id=dagster_run_id,
    )
    try:
        return _carry_out(tools, ticket)
    except BaseException as error:
        _end(tools, ticket, error)
        raise


def _end(tools: Toolbox, ticket: RunTicket, error: BaseException) -> None:
    try:
        fail_run(tools, ticket, error)
    except MixsyncError as second:
        # The first error matters more; the lock ends by itself, and the sync's next begin closes the record.
        logger.warning("the end of run %s could not be recorded: %s", ticket.sync_run_id, second)


def _carry_out(tools: Toolbox, ticket: RunTicket) -> RunRecord:
    with attached(tools, ticket) as run, stage_span(run, "run"):
        for shard in read_ahead(list_pass(run, shard_rows=IN_PROCESS_SHARD_ROWS)):
            create_objects(run, map_schema(run, plan_changes(run, filter_items(run, shard))))
        submit_batches(run)
        return finish_run(run)
