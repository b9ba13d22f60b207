"""Stage 8: remove what is gone, decide the sync's status and its next run, release the lock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mixsync_dagster.engine.context import RunTicket, SyncRun, Toolbox
from mixsync_dagster.engine.stages import stage
from mixsync_dagster.errors import (
    AccessDenied,
    BucketDenied,
    ConfigurationError,
    CursorExpired,
    LockLost,
    MixsyncError,
    RemovalsRefused,
    StoreUnavailable,
    Throttled,
)
from mixsync_dagster.model.progress import REMOVAL, Checkpoint, Counters, Intent, Outcome, PassKind, RunRecord
from mixsync_dagster.model.syncs import SyncConfiguration, SyncMode
from mixsync_dagster.ports.state import RunEnd, SyncLock

REMOVALS_PER_COMMIT = 1_000

SUSPEND_AFTER_FAILURES = 5
"""Failed runs in a row after which a sync is paused until somebody looks at it."""

LONGEST_WAIT_SECONDS = 86_400.0
"""A provider that asks for more is asked again after this all the same: its word may be a mistake."""

MESSAGE_LENGTH = 1_000
"""Longest error kept; the API's bound for last_error."""


@stage("finish_run")
def finish_run(run: SyncRun) -> RunRecord:
    """End a run whose stages are done and return its record.

    A pass that was listed to its end, without a gap, removes what the source no longer has; when that is more than the
    guard allows, nothing is removed and the sync is paused. A run that stopped at its cap is due again at once and
    keeps its position.
    """
    tools, sync = run.tools, run.sync
    store = tools.store
    run.count_rate_limits()
    checkpoint = store.load_checkpoint(sync.sync_config_id)
    failed = store.get_run(run.ticket.sync_run_id).counters.failed
    if checkpoint is None or not checkpoint.listed_to_end:
        return store.finish_run(run.lock, _capped(tools, failed=failed))
    if checkpoint.complete_so_far:
        try:
            _remove_missing(run, checkpoint)
        except RemovalsRefused as refused:
            return store.finish_run(run.lock, _guarded(refused))
    run.passing("finishing")
    return store.finish_run(run.lock, _advanced(_completed(run, failed=failed), checkpoint))


def fail_run(tools: Toolbox, ticket: RunTicket, error: BaseException) -> RunRecord | None:
    """Record that a run ended by an error, and release its lock; None when the lock was lost and nothing is written.

    Outages of the provider, the bucket or the state store, rate limits and interruptions leave the run `interrupted`:
    the next one resumes, or begins anew where the provider refused the position. Anything else is a failure; five in a
    row pause the sync, and one does when the bucket's service refuses the key. Raises StoreUnavailable when the store
    cannot take the record; the lock then ends by itself, and the sync's next begin closes the record.
    """
    lock = SyncLock(
        sync_config_id=ticket.sync_config_id,
        worker_id=ticket.worker_id,
        sync_run_id=ticket.sync_run_id,
        generation=ticket.generation,
        expires_at=datetime.fromisoformat(ticket.started_at),
    )
    return end_by_error(tools, lock, error)


def end_by_error(tools: Toolbox, lock: SyncLock, error: BaseException) -> RunRecord | None:
    """Do as `fail_run` for the run that holds the lock. Raises NotFound when it was never started."""
    if isinstance(error, LockLost):
        return None
    try:
        sync = tools.store.load_sync(lock.sync_config_id)
        return tools.store.finish_run(lock, _ended_by(error, sync, tools.clock.now()))
    except LockLost:
        return None


def _remove_missing(run: SyncRun, checkpoint: Checkpoint) -> None:
    store, sync, limits = run.tools.store, run.sync, run.tools.limits
    listed_all = checkpoint.kind is PassKind.FULL_LISTING
    if listed_all and sync.reconcile.on_delete and not run.tools.provider.capabilities.ordered_listing:
        store.mark_unlisted(run.lock, checkpoint.pass_number)
    missing = store.count_missing(sync.sync_config_id, checkpoint.pass_number)
    known = store.inventory_size(sync.sync_config_id)
    if missing > limits.removal_guard_floor and missing * 100 > limits.removal_guard_percent * known:
        raise RemovalsRefused(
            f"{missing} of {known} objects are gone at the source, more than the {limits.removal_guard_percent:g} % "
            f"that one pass may remove; nothing was removed and the sync is paused. Check the source, then approve "
            f"with `mixsync resume {sync.name}` and `mixsync run {sync.name} --approve-removals`."
        )
    while removals := store.next_removals(sync.sync_config_id, checkpoint.pass_number, limit=REMOVALS_PER_COMMIT):
        own = [one for one in removals if not one.shared]
        if run.tools.bucket.elsewhere:
            # An item may be there again when the next run begins: then its object, deleted already, has to come back.
            store.record_intents(run.lock, [Intent(one.object_id, one.source_object_id, REMOVAL) for one in own])
        run.tools.bucket.delete_objects([one.object_id for one in own])
        run.passing("removing")
        step = Counters(removed=len(removals))
        store.commit_removals(run.lock, removals, step)
        run.tools.reporter.progressed(step)


def _completed(run: SyncRun, *, failed: int) -> RunEnd:
    store, sync, now = run.tools.store, run.sync, run.tools.clock.now()
    outcome = Outcome.COMPLETED_WITH_ERRORS if failed else Outcome.COMPLETED
    if sync.mode is not SyncMode.ONE_TIME:
        return RunEnd(outcome, None, None, "ACTIVE", True, _next_tick(sync, now), successful=True)
    if store.list_dead_letters(sync.sync_config_id, state="waiting", limit=1):
        # Retries are still due, so that the one sync is not over yet.
        later = now + timedelta(seconds=sync.polling_interval_seconds)
        return RunEnd(outcome, None, None, "ACTIVE", True, later, successful=True)
    kept_aside = store.has_open_dead_letters(sync.sync_config_id)
    status = "COMPLETED_WITH_ERRORS" if kept_aside else "COMPLETED"
    return RunEnd(outcome, None, None, status, False, None, successful=True)


def _advanced(end: RunEnd, checkpoint: Checkpoint) -> RunEnd:
    """Return the end of a pass with what it means for the change feed; a pass with gaps means nothing."""
    if not checkpoint.complete_so_far:
        return end
    if checkpoint.kind is PassKind.CHANGE_FEED:
        return replace(end, feed_cursor=checkpoint.cursor)
    return replace(end, feed_cursor=checkpoint.feed_head, full_pass=True)


def _capped(tools: Toolbox, *, failed: int) -> RunEnd:
    return RunEnd(
        Outcome.COMPLETED_WITH_ERRORS if failed else Outcome.COMPLETED,
        None,
        None,
        "ACTIVE",
        True,
        tools.clock.now(),
        successful=False,
        keep_checkpoint=True,
    )


def _guarded(refused: RemovalsRefused) -> RunEnd:
    return RunEnd(
        Outcome.FAILED,
        str(refused),
        "guard",
        "SUSPENDED",
        False,
        None,
        successful=False,
        paused_reason="removal_guard",
    )


def _next_tick(sync: SyncConfiguration, now: datetime) -> datetime:
    """Return when a polling sync is due again; a scheduled one keeps the rhythm that began with its creation."""
    interval = timedelta(seconds=sync.polling_interval_seconds)
    if sync.mode is not SyncMode.SCHEDULED:
        return now + interval
    return sync.created_at + interval * ((now - sync.created_at) // interval + 1)


@dataclass(frozen=True, slots=True)
class _Verdict:
    outcome: Outcome
    error_class: str
    keep_checkpoint: bool


def _judge(error: BaseException) -> _Verdict:
    if isinstance(error, Throttled | StoreUnavailable):
        return _Verdict(Outcome.INTERRUPTED, "outage", keep_checkpoint=True)
    if isinstance(error, CursorExpired):
        # The position would be refused again: the next run begins a new pass.
        return _Verdict(Outcome.INTERRUPTED, "outage", keep_checkpoint=False)
    if isinstance(error, AccessDenied):
        return _Verdict(Outcome.FAILED, "credential", keep_checkpoint=True)
    if isinstance(error, ConfigurationError):
        return _Verdict(Outcome.FAILED, "configuration", keep_checkpoint=True)
    if isinstance(error, Exception):
        return _Verdict(Outcome.FAILED, "internal", keep_checkpoint=True)
    return _Verdict(Outcome.INTERRUPTED, "interrupted", keep_checkpoint=True)


def _sentence(error: BaseException) -> str:
    # Foreign exceptions may carry URLs or bodies in their text; ours are made for people.
    if isinstance(error, MixsyncError):
        return str(error)
    if isinstance(error, Exception):
        return f"unexpected {type(error).__name__}"
    return "the run was interrupted by a signal; the next run resumes it."


def _ended_by(error: BaseException, sync: SyncConfiguration, now: datetime) -> RunEnd:
    verdict = _judge(error)
    told = _sentence(error)
    denied = isinstance(error, BucketDenied)
    if denied or (verdict.outcome is Outcome.FAILED and sync.consecutive_failures + 1 >= SUSPEND_AFTER_FAILURES):
        return RunEnd(
            verdict.outcome,
            told[:MESSAGE_LENGTH],
            verdict.error_class,
            "SUSPENDED",
            False,
            None,
            successful=False,
            paused_reason="credential" if denied else "consecutive_failures",
            keep_checkpoint=verdict.keep_checkpoint,
        )
    wait = float(sync.polling_interval_seconds)
    if isinstance(error, Throttled) and error.retry_after_seconds is not None:
        wait = max(wait, min(error.retry_after_seconds, LONGEST_WAIT_SECONDS))
    due = now if verdict.error_class == "interrupted" else now + timedelta(seconds=wait)
    return RunEnd(
        verdict.outcome,
        told[:MESSAGE_LENGTH],
        verdict.error_class,
        "ACTIVE" if verdict.outcome is Outcome.INTERRUPTED else "FAILED",
        True,
        due,
        successful=False,
        keep_checkpoint=verdict.keep_checkpoint,
    )
