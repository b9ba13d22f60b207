"""Forgetting tombstones and ending expired locks, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mixsync_dagster.errors import LockLost
from mixsync_dagster.model.progress import Commit, Counters
from mixsync_dagster.ports.state import Removal
from mixsync_dagster.testing.contracts.state_samples import BUCKET, OTHER_SYNC, begin, object_id, placed, seed, sha256


@pytest.fixture
def lock(store):
    seed(store)
    return begin(store)


def removed(store, lock, *keys):
    store.commit(lock, Commit(placed=[placed(key) for key in keys], for_batches=False))
    store.commit_removals(lock, [Removal(key, object_id(key), shared=False) for key in keys], Counters())


def test_tombstones_are_forgotten_after_the_grace_period_only(store, lock, clock):
    removed(store, lock, "a", "b")
    store.commit(lock, Commit(placed=[placed("c")]))
    assert store.tombstones(before=clock.now(), after=None, limit=10) == []
    later = clock.now() + timedelta(seconds=1)
    ids = sorted([object_id("a"), object_id("b")])
    assert store.tombstones(before=later, after=None, limit=1) == ids[:1]
    assert store.tombstones(before=later, after=ids[0], limit=10) == ids[1:]
    assert store.forget_tombstones([*ids, object_id("c")], before=later) == 2
    assert store.forget_tombstones(ids, before=later) == 0
    assert store.contents_in_use([sha256("a v1"), sha256("c v1")]) == {sha256("c v1")}
    assert store.recorded_contents([sha256("a v1")]) == set()
    assert [stored.source_object_id for stored in store.list_objects(BUCKET)] == ["c"]


def test_an_object_that_came_back_is_not_forgotten(store, lock, clock):
    removed(store, lock, "a")
    later = clock.now() + timedelta(seconds=1)
    found = store.tombstones(before=later, after=None, limit=10)
    store.commit(lock, Commit(placed=[placed("a")]))
    assert store.forget_tombstones(found, before=later) == 0
    assert store.contents_in_use([sha256("a v1")]) == {sha256("a v1")}


def test_an_object_that_comes_back_after_it_was_forgotten_is_made_anew(store, lock, clock):
    removed(store, lock, "a")
    assert store.forget_tombstones([object_id("a")], before=clock.now() + timedelta(seconds=1)) == 1
    store.commit(lock, Commit(placed=[placed("a")]))
    assert store.contents_in_use([sha256("a v1")]) == {sha256("a v1")}
    assert [stored.source_object_id for stored in store.list_objects(BUCKET)] == ["a"]


def test_an_object_of_a_batch_that_waits_to_be_submitted_is_kept(store, lock, clock):
    store.commit(lock, Commit(placed=[placed("a")]))
    batch = store.seal_batches(lock, chunk_size=1, include_partial=True)[0]
    store.commit_removals(lock, [Removal("a", object_id("a"), shared=False)], Counters())
    later = clock.now() + timedelta(seconds=1)
    assert store.tombstones(before=later, after=None, limit=10) == []
    store.record_submission(lock, batch.batch_id, None, Counters())
    assert store.tombstones(before=later, after=None, limit=10) == [object_id("a")]


def test_a_worker_that_stopped_for_long_can_commit_nothing_after_its_lock_was_ended(store, lock):
    assert store.locked_syncs() == ["videos"]
    with store._database.write() as tx:
        tx.run("UPDATE leases SET expires_at = now_micros() - 10000000")
    assert store.locked_syncs() == []
    assert store.end_expired_locks(idle_seconds=11) == 0
    store.commit(lock, Commit(placed=[placed("a")]))
    assert store.end_expired_locks(idle_seconds=9) == 1
    with pytest.raises(LockLost):
        store.commit(lock, Commit(placed=[placed("b")]))


def test_a_lock_that_is_held_is_not_ended(store, lock):
    begin(store, OTHER_SYNC, "run-2", "worker-2")
    assert store.locked_syncs() == ["archive", "videos"]
    assert store.end_expired_locks(idle_seconds=0) == 0
    store.commit(lock, Commit(placed=[placed("a")]))
