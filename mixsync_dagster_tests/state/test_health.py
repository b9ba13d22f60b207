"""How syncs stand, on both databases."""

from __future__ import annotations

import pytest

from mixsync_dagster.model.progress import Commit, Counters
from mixsync_dagster.ports.upkeep import Standing
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.contracts.state_samples import OTHER_SYNC, SYNC, begin, failure, placed, seed


def test_a_sync_that_did_nothing_stands_still(store: SqlStateStore) -> None:
    seed(store)
    assert store.standings([SYNC, "sync_absent"]) == {SYNC: Standing(), "sync_absent": Standing()}
    assert store.standings([]) == {}


def test_what_waits_is_counted_for_each_sync_alone(store: SqlStateStore, clock: SimulatedClock) -> None:
    seed(store)
    lock = begin(store)
    failures = [failure("x"), failure("y"), failure("z", permanent=True)]
    store.commit(lock, Commit(placed=[placed("a")], failed=failures))
    begin(store, OTHER_SYNC, "run-2")
    [batch] = store.seal_batches(lock, chunk_size=10, include_partial=True)
    sealed_at = clock.now()
    clock.advance(100)
    standing = store.standings([SYNC, OTHER_SYNC])[SYNC]
    assert (standing.waiting, standing.quarantined, standing.oldest_unsubmitted_at) == (2, 1, sealed_at)
    other = store.standings([OTHER_SYNC])[OTHER_SYNC]
    assert (other.waiting, other.quarantined, other.oldest_unsubmitted_at) == (0, 0, None)
    store.record_submission(lock, batch.batch_id, None, Counters(batches_created=1))
    assert store.standings([SYNC])[SYNC].oldest_unsubmitted_at is None


def test_the_lock_has_an_age_while_it_is_held(store: SqlStateStore) -> None:
    seed(store)
    lock = begin(store)
    standing = store.standings([SYNC])[SYNC]
    assert standing.lock_age_seconds == pytest.approx(0, abs=5)
    assert standing.lock_expired_seconds == pytest.approx(-60, abs=5)
    store.release(lock)
    assert store.standings([SYNC])[SYNC] == Standing()
