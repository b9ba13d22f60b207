"""Finding syncs that are due and have something to do, and claiming the right to start them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from mixsync_dagster.errors import RateLimited
from mixsync_dagster.model.progress import Checkpoint, DeadLetter
from mixsync_dagster.model.syncs import SyncConfiguration, SyncMode
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.control import Dispatch, DispatchStore
from mixsync_dagster.ports.provider import Probe

logger = logging.getLogger(__name__)

PROBE_THREADS = 16
"""Probes at once: they wait for the network, not for this process."""

FULL_PASS_EVERY = timedelta(days=1)
"""A sync whose last successful run is older runs without being asked whether anything changed (anti-entropy)."""

LONGEST_WAIT = timedelta(minutes=15)
"""A provider that asked to slow down is asked again after this, whatever it said: its word may be a mistake."""

JITTER_FRACTION = 0.05
"""Unchanged syncs are spread over this much of their interval, so that many of one interval do not stay in step."""


class WorkStore(DispatchStore, Protocol):
    """What finding work needs to know of a sync, beside its claim."""

    def load_checkpoint(self, sync_config_id: str) -> Checkpoint | None:
        """Return the progress of an unfinished pass, or None."""
        ...

    def list_dead_letters(
        self,
        sync_config_id: str,
        *,
        state: str | None = None,
        error_type: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Sequence[DeadLetter]:
        """Return dead letters in dead letter id order after an id."""
        ...


@dataclass(slots=True)
class Work:
    """What one look for work found."""

    dispatches: list[Dispatch] = field(default_factory=list)
    """Claimed: each must be started, or is void after two minutes."""
    undecided: list[str] = field(default_factory=list)
    """Ids of due syncs whose probe did not answer within the budget; they are still due."""
    unchanged: int = 0
    """Syncs that were probed, had nothing new and are due again later."""
    waiting: int = 0
    """Syncs whose provider asked to slow down; they are due again when it may be asked."""


def claim_requested(store: DispatchStore, *, exclude: Sequence[str] = (), limit: int) -> Sequence[Dispatch]:
    """Claim a run for every sync for which somebody asked for one. Raises StoreUnavailable."""
    work = Work()
    for sync in store.requested_syncs(limit=limit, exclude=exclude):
        _claim(store, sync, work)
    return work.dispatches


def find_work(
    store: WorkStore,
    probe: Callable[[SyncConfiguration, float], Probe],
    clock: Clock,
    *,
    only: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    limit: int,
    budget_seconds: float = 5.0,
    dispatch_undecided: bool = False,
) -> Work:
    """Claim a run for every due sync that changed, and set the others' next time.

    `probe` is called from several threads with the seconds that are left. RateLimited postpones the sync; anything else
    that it raises counts as a change, so that the run reports the error. With `dispatch_undecided`, syncs that the
    budget leaves undecided are claimed as well: for a caller whose budget is not a tick's. Raises StoreUnavailable.
    """
    work = Work()
    due = store.due_syncs(limit=limit, exclude=exclude, only=only)
    to_probe = []
    for sync in due:
        if _runs_unasked(store, sync, clock.now()):
            _claim(store, sync, work)
        else:
            to_probe.append(sync)
    answers = _probe_all(to_probe, probe, clock, budget_seconds)
    for sync in to_probe:
        answer = answers.get(sync.sync_config_id, Probe.UNKNOWN)
        if isinstance(answer, timedelta):
            # A run would only wait as well, and hold its place meanwhile.
            store.postpone(sync.sync_config_id, clock.now() + answer)
            work.waiting += 1
        elif answer is Probe.NOTHING_NEW:
            store.postpone(sync.sync_config_id, next_look_at(sync, clock.now()))
            work.unchanged += 1
        elif answer is Probe.CHANGED or dispatch_undecided:
            _claim(store, sync, work)
        else:
            work.undecided.append(sync.sync_config_id)
    return work


def next_look_at(sync: SyncConfiguration, now: datetime) -> datetime:
    """Return when an unchanged sync is due again.

    A scheduled one keeps the rhythm that began with its creation, others are spread a little.
    """
    interval = timedelta(seconds=sync.polling_interval_seconds)
    if sync.mode is SyncMode.SCHEDULED:
        return sync.created_at + interval * ((now - sync.created_at) // interval + 1)
    return now + interval * (1 + JITTER_FRACTION * _spread(sync.sync_config_id, now))


def _spread(sync_config_id: str, now: datetime) -> float:
    # Deterministic, so that a repeat computes the same; the time is in it, so that a collision does not last.
    digest = hashlib.blake2b(f"{sync_config_id}:{now.isoformat()}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def _runs_unasked(store: WorkStore, sync: SyncConfiguration, now: datetime) -> bool:
    """Return whether a sync has reason to run whatever its provider would answer."""
    return (
        sync.mode is SyncMode.ONE_TIME
        or sync.pending_full_sync
        or sync.last_sync_at is None
        or now - sync.last_sync_at >= FULL_PASS_EVERY
        or sync.consecutive_failures > 0
        or store.load_checkpoint(sync.sync_config_id) is not None
        # Waiting items are tried again by the next run; quarantined ones wait for a person and need no run.
        or bool(store.list_dead_letters(sync.sync_config_id, state="waiting", limit=1))
    )


def _claim(store: DispatchStore, sync: SyncConfiguration, work: Work) -> None:
    number = store.dispatch_number(sync.sync_config_id)
    dispatch = store.claim_dispatch(sync.sync_config_id, expected_number=number)
    if dispatch is not None:
        work.dispatches.append(dispatch)


def _probe_all(
    syncs: Sequence[SyncConfiguration],
    probe: Callable[[SyncConfiguration, float], Probe],
    clock: Clock,
    budget_seconds: float,
) -> dict[str, Probe | timedelta]:
    """Return the answers that came within the budget, by sync id; late ones are left to end unheard.

    A time is how long the provider asked to be left alone.
    """
    if not syncs:
        return {}
    deadline = clock.monotonic() + budget_seconds

    def ask(sync: SyncConfiguration) -> Probe:
        left_seconds = deadline - clock.monotonic()
        return probe(sync, left_seconds) if left_seconds > 0 else Probe.UNKNOWN

    pool = ThreadPoolExecutor(max_workers=min(PROBE_THREADS, len(syncs)), thread_name_prefix="probe")
    try:
        futures = {pool.submit(ask, sync): sync for sync in syncs}
        done, _late = wait(futures, timeout=max(0.0, deadline - clock.monotonic()))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return {futures[future].sync_config_id: _answer(future, futures[future]) for future in done}


def _answer(future: Future[Probe], sync: SyncConfiguration) -> Probe | timedelta:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, RateLimited):
        asked_seconds = error.retry_after_seconds or float(sync.polling_interval_seconds)
        return min(timedelta(seconds=asked_seconds), LONGEST_WAIT)
    # The message is our own sentence, or stays unsaid: a vendor's error text may carry a URL with credentials.
    logger.warning(
        "sync %s could not be probed (%s); its run will report why", sync.sync_config_id, type(error).__name__
    )
    return Probe.CHANGED
