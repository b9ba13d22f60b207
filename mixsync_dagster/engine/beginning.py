"""Stage 1: take the lock, settle what a crash left open, decide where the pass begins."""

from __future__ import annotations

from mixsync_dagster.engine.context import RunTicket, Toolbox
from mixsync_dagster.errors import Conflict
from mixsync_dagster.model.progress import Checkpoint, Commit, Counters, PassKind, RunRecord, Trigger
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.state import SyncLock


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

    An unfinished pass is resumed from its checkpoint unless `full_sync` asks for one from the start. Raises
    AlreadyLocked while another worker runs the sync, Conflict when it is paused, NotFound.
    """
    store = tools.store
    lock = store.acquire(sync_config_id, worker_id, sync_run_id, ttl_seconds=tools.limits.lease_seconds)
    try:
        tools.passing("acquired")
        sync = store.load_sync(sync_config_id)
        _refuse_paused(sync)
        started_at = tools.clock.now()
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
        _settle_intents(tools, lock)
        checkpoint = _first_checkpoint(tools, sync, full_sync=full_sync)
        store.commit(lock, Commit(checkpoint=checkpoint))
        tools.passing("begun")
    except BaseException:
        store.release(lock)
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
    )


def _refuse_paused(sync: SyncConfiguration) -> None:
    if sync.paused:
        raise Conflict(
            f"sync {sync.name} is paused ({sync.pause_reason or 'no reason given'}); "
            f"resume it with `mixsync resume {sync.name}`."
        )


def _settle_intents(tools: Toolbox, lock: SyncLock) -> None:
    # An open intent says that a put may have happened without its commit. Putting the same draft again is
    # answered with "already present", so the intent itself holds nothing more once the bucket is reachable.
    intents = tools.store.open_intents(lock.sync_config_id)
    if intents:
        tools.store.clear_intents(lock, [intent.object_id for intent in intents])


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
    return Checkpoint(pass_number=tools.store.last_pass_number(sync.sync_config_id) + 1, kind=PassKind.FULL_LISTING)
