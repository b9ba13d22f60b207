"""Stage 1: take the lock, settle what a crash left open, decide where the pass begins."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import cast

from mixsync_dagster.engine.context import RunTicket, Toolbox
from mixsync_dagster.engine.finishing import end_by_error
from mixsync_dagster.errors import Conflict, MixsyncError, NotFound
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.model.progress import (
    REMOVAL,
    WORKER_GONE,
    Checkpoint,
    Commit,
    Counters,
    Failure,
    PassKind,
    RunRecord,
    Trigger,
)
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.provider import ChangeFeed
from mixsync_dagster.ports.state import SyncLock

logger = logging.getLogger(__name__)


def begin_run(
    tools: Toolbox,
    sync_config_id: str,
    *,
    worker_id: str,
    sync_run_id: str,
    trigger: Trigger,
    full_sync: bool,
    dagster_run_id: str | None = None,
) -> RunTicket:
    """Start a run and return the ticket for its steps.

    An unfinished pass is resumed from its checkpoint unless `full_sync` asks for one from the start, which also asks
    again what the metadata filters refused. Raises AlreadyLocked while another worker runs the sync, Conflict when it
    is paused, NotFound. An error or a signal after the record was made is recorded as its end, and then raised.
    """
    store = tools.store
    lock = store.acquire(sync_config_id, worker_id, sync_run_id, ttl_seconds=tools.limits.lease_seconds)
    try:
        tools.passing("acquired")
        sync = store.load_sync(sync_config_id)
        _refuse_paused(sync)
        started_at = tools.clock.now()
    except BaseException:
        store.release(lock)
        raise
    try:
        store.start_run(
            lock,
            RunRecord(
                sync_run_id=sync_run_id,
                sync_config_id=sync_config_id,
                status="running",
                trigger=trigger.value,
                started_at=started_at,
                completed_at=None,
                counters=Counters(),
                error=None,
                dagster_run_id=dagster_run_id,
                worker_id=worker_id,
            ),
        )
        tools.passing("started")
        suspects = _settle_intents(tools, lock)
        checkpoint = _begin_pass(tools, lock, sync, full_sync=full_sync)
        tools.passing("begun")
    except BaseException as error:
        _end(tools, lock, error)
        raise
    return RunTicket(
        sync_config_id=sync_config_id,
        sync_run_id=sync_run_id,
        worker_id=worker_id,
        generation=lock.generation,
        started_at=started_at.isoformat(),
        pass_number=checkpoint.pass_number,
        kind=checkpoint.kind.value,
        cursor=checkpoint.cursor,
        suspects=suspects,
    )


def _end(tools: Toolbox, lock: SyncLock, error: BaseException) -> None:
    try:
        end_by_error(tools, lock, error)
    except NotFound:
        # No record was made, so there is no run to end.
        tools.store.release(lock)
    except MixsyncError as second:
        # The first error matters more; the lock ends by itself, and the sync's next begin closes the record.
        logger.warning("the end of run %s could not be recorded: %s", lock.sync_run_id, second)


def _refuse_paused(sync: SyncConfiguration) -> None:
    if sync.paused:
        raise Conflict(
            f"sync {sync.name} is paused ({sync.pause_reason or 'no reason given'}); "
            f"resume it with `mixsync resume {sync.name}`."
        )


def _settle_intents(tools: Toolbox, lock: SyncLock) -> int:
    """Close what the run before left open, and return how many items its worker may have died of.

    An open intent says that a put may have happened without its commit. Once the bucket has made that undone, or known
    that there is nothing to undo, the intent holds nothing more.
    """
    intents = tools.store.open_intents(lock.sync_config_id)
    if not intents:
        return 0
    gone = set(tools.bucket.settle([intent.object_id for intent in intents]))
    if gone:
        lost = [intent for intent in intents if intent.object_id in gone]
        tools.store.forget_placed(lock, lost)
    # Removals are announced as well; no worker dies of one.
    puts = [intent for intent in intents if intent.version != REMOVAL]
    runs = tools.store.list_runs(lock.sync_config_id, limit=2)
    died = any((run.error or "").startswith(WORKER_GONE) for run in runs if run.sync_run_id != lock.sync_run_id)
    if died and len(puts) == 1:
        # Alone under way when the worker died: from now on its attempts are counted before they are made.
        item = SourceItem(puts[0].source_object_id, puts[0].source_object_id, puts[0].version)
        message = "the worker died while this item alone was under way."
        tools.store.commit(lock, Commit(failed=[Failure(item, "worker_died", message, permanent=False)]))
    tools.store.clear_intents(lock, [intent.object_id for intent in intents])
    return len(puts) if died else 0


def _begin_pass(tools: Toolbox, lock: SyncLock, sync: SyncConfiguration, *, full_sync: bool) -> Checkpoint:
    checkpoint = _first_checkpoint(tools, sync, full_sync=full_sync or sync.pending_full_sync)
    if full_sync or sync.pending_full_sync:
        # Before the checkpoint: were the process to end between them, no refusal would outlive what asked to forget it.
        tools.store.begin_full_sync(lock)
    tools.store.commit(lock, Commit(checkpoint=checkpoint))
    return checkpoint


def _first_checkpoint(tools: Toolbox, sync: SyncConfiguration, *, full_sync: bool) -> Checkpoint:
    left = tools.store.load_checkpoint(sync.sync_config_id)
    if left is not None and sync.resume_enabled and not full_sync and not left.listed_to_end:
        return Checkpoint(
            pass_number=left.pass_number,
            kind=left.kind,
            cursor=left.cursor,
            feed_head=left.feed_head,
            shards_done=left.shards_done,
            complete_so_far=left.complete_so_far,
        )
    number = tools.store.last_pass_number(sync.sync_config_id) + 1
    if not tools.provider.capabilities.change_feed:
        return Checkpoint(pass_number=number, kind=PassKind.FULL_LISTING)
    position = None if full_sync else _feed_position(tools, sync)
    if position is not None:
        return Checkpoint(pass_number=number, kind=PassKind.CHANGE_FEED, cursor=position)
    # Taken and committed before the listing begins: what changes while it goes on is in the feed after it.
    head = cast("ChangeFeed", tools.provider).head()
    return Checkpoint(pass_number=number, kind=PassKind.FULL_LISTING, feed_head=head)


def _feed_position(tools: Toolbox, sync: SyncConfiguration) -> str | None:
    """Return where the change feed goes on, None when everything has to be listed."""
    feed = tools.store.load_feed(sync.sync_config_id)
    if feed is None:
        return None
    # Listing everything now and then finds what a feed never told, and what the filters' own time has changed.
    aged = tools.clock.now() - feed.full_pass_at >= timedelta(seconds=tools.limits.full_pass_seconds)
    # A feed does not tell again of an item that failed.
    retries = tools.store.list_dead_letters(sync.sync_config_id, state="waiting", limit=1)
    return None if aged or retries else feed.cursor
