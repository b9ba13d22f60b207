"""Fencing, and who wins a race for a lock."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mixsync_dagster.errors import AlreadyLocked, LockLost
from mixsync_dagster.model.progress import Checkpoint, Commit, Counters, Intent, PassKind, Refusal, RunRecord
from mixsync_dagster.ports.state import Removal, RunStore, SyncLock
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.contracts.state_samples import (
    BUCKET,
    MOMENT,
    SYNC,
    begin,
    end,
    failure,
    object_id,
    placed,
    seed,
)

WRITES: dict[str, Callable[[SqlStateStore, SyncLock], Any]] = {
    "renew": lambda s, lock: s.renew(lock, ttl_seconds=60),
    "start_run": lambda s, lock: s.start_run(
        lock, RunRecord("run-9", SYNC, "running", "manual", MOMENT, None, Counters(), None)
    ),
    "count_retries": lambda s, lock: s.count_retries(lock, ["failed"]),
    "take_back_retries": lambda s, lock: s.take_back_retries(lock, ["failed"]),
    "record_intents": lambda s, lock: s.record_intents(lock, [Intent(object_id("new"), "new", "v1")]),
    "clear_intents": lambda s, lock: s.clear_intents(lock, [object_id("intended")]),
    "forget_placed": lambda s, lock: s.forget_placed(lock, [Intent(object_id("kept"), "kept", "v1")]),
    "begin_full_sync": lambda s, lock: s.begin_full_sync(lock),
    "commit": lambda s, lock: s.commit(
        lock, Commit(placed=[placed("new")], failed=[failure("x")], checkpoint=Checkpoint(9, PassKind.FULL_LISTING))
    ),
    "commit_removals": lambda s, lock: s.commit_removals(
        lock, [Removal("kept", object_id("kept"), shared=False)], Counters(removed=1)
    ),
    "mark_unlisted": lambda s, lock: s.mark_unlisted(lock, 2),
    "seal_batches": lambda s, lock: s.seal_batches(lock, chunk_size=1, include_partial=True),
    "claim_submission": lambda s, lock: s.claim_submission(lock, "btch_any"),
    "record_submission": lambda s, lock: s.record_submission(lock, "btch_any", None, Counters(batches_created=1)),
    "finish_run": lambda s, lock: s.finish_run(lock, end()),
}
HARMLESS = {"release"}
"""Takes a lock and does nothing, without an error, once it is stale."""


def everything(store: SqlStateStore) -> list[list[Any]]:
    """Return every row of every table but the leases."""
    with store._database.read() as tx:
        names = ("syncs", "checkpoints", "inventory", "objects", "contents", "intents", "dead_letters", "batches")
        tables = (*names, "batch_items", "outbox", "refusals", "runs")
        return [sorted(tx.rows(f"SELECT * FROM {table}"), key=repr) for table in tables]


def test_every_method_that_takes_a_lock_is_listed_here():
    methods = {
        name
        for name, method in inspect.getmembers(RunStore, inspect.isfunction)
        if "lock" in inspect.signature(method).parameters
    }
    assert len(methods) == 16
    assert methods == set(WRITES) | HARMLESS


@pytest.mark.parametrize("name", sorted(WRITES))
def test_a_stale_generation_writes_nothing(store: SqlStateStore, clock: SimulatedClock, name: str):
    seed(store)
    stale = begin(store)
    store.commit(
        stale,
        Commit(placed=[placed("kept")], failed=[failure("failed")], refused=[Refusal("refused", "v1", None, "r1")]),
    )
    store.record_intents(stale, [Intent(object_id("intended"), "intended", "v1")])
    store.unlock(SYNC)
    store.acquire(SYNC, "worker-1", "run-2", ttl_seconds=60)
    before = everything(store)
    with pytest.raises(LockLost):
        WRITES[name](store, stale)
    assert everything(store) == before


@pytest.mark.parametrize("name", sorted(WRITES))
def test_the_same_write_succeeds_with_the_lock(store: SqlStateStore, clock: SimulatedClock, name: str):
    seed(store)
    WRITES[name](store, begin(store))


def test_of_many_threads_one_gets_the_lock(store: SqlStateStore):
    seed(store)
    start = threading.Barrier(6)

    def attempt(number: int) -> SyncLock | None:
        start.wait()
        try:
            return store.acquire(SYNC, f"worker-{number}", f"run-{number}", ttl_seconds=60)
        except AlreadyLocked:
            return None

    with ThreadPoolExecutor(6) as pool:
        locks = [lock for lock in pool.map(attempt, range(6)) if lock is not None]
    assert [lock.generation for lock in locks] == [1]


def test_of_two_stores_one_takes_an_expired_lock_over(url: str, store: SqlStateStore, clock: SimulatedClock):
    seed(store)
    store.acquire(SYNC, "worker-0", "run-0", ttl_seconds=0)
    stores = [SqlStateStore.open(url, clock=clock, key=b"k" * 32) for _ in range(2)]
    start = threading.Barrier(2)

    def attempt(number: int) -> int:
        start.wait()
        try:
            return stores[number].acquire(SYNC, f"worker-{number}", f"run-{number}", ttl_seconds=60).generation
        except AlreadyLocked:
            return 0

    with ThreadPoolExecutor(2) as pool:
        generations = sorted(pool.map(attempt, range(2)))
    for other in stores:
        other.close()
    assert generations == [0, 2]


def test_two_threads_that_commit_lose_nothing(store: SqlStateStore):
    seed(store)
    lock = begin(store)

    def work(worker: int) -> None:
        for number in range(5):
            step = Commit(placed=[placed(f"{worker}-{number}")], counters=Counters(created=1))
            store.commit(lock, step)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert store.count_objects(BUCKET) == 20
    assert store.get_run("run-1").counters.created == 20
    assert store.load_sync(SYNC).total_files_synced == 20
