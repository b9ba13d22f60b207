"""What `verify` reads of the state store, on both databases; a page is cut by key and never repeats a row."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mixsync_dagster.model.objects import PutStatus
from mixsync_dagster.model.progress import Commit, Counters, Intent
from mixsync_dagster.ports.state import Removal
from mixsync_dagster.testing.contracts.state_samples import (
    BUCKET,
    OTHER_SYNC,
    SYNC,
    begin,
    end,
    failure,
    object_id,
    placed,
    seed,
    sha256,
)

UGLY = "videos/\x00\x01\n ü"


@pytest.fixture
def lock(store):
    seed(store)
    return begin(store)


def paged(read, key_of, size=1):
    found, after = [], None
    while page := read(after, size):
        found += page
        after = key_of(page[-1])
    return found


def inventory(store, size=1):
    read = lambda after, limit: store.inventory_links(SYNC, after=after, limit=limit)  # noqa: E731
    return paged(read, lambda row: row.source_object_id, size)


def objects(store, sync=None):
    read = lambda after, limit: store.object_links(BUCKET, sync_config_id=sync, after=after, limit=limit)  # noqa: E731
    return paged(read, lambda row: row.object_id)


def members(store, sync=SYNC):
    read = lambda after, limit: store.member_links(sync, after=after, limit=limit)  # noqa: E731
    return paged(read, lambda row: (row.object_id, row.version))


def test_inventory_rows_come_with_their_objects(store, lock):
    copy = placed("b", status=PutStatus.DUPLICATE, owner="a", content="same")
    store.commit(lock, Commit(placed=[placed("a", content="same"), copy, placed(UGLY, content="ugly")]))
    rows = {row.source_object_id: row for row in inventory(store)}
    assert list(rows) == sorted([UGLY, "a", "b"], key=lambda text: text.encode("utf-8", "surrogatepass"))
    assert (rows["a"].object_state, rows["a"].object_source_object_id, rows["a"].duplicate_of) == ("active", "a", None)
    assert (rows["b"].object_id, rows["b"].duplicate_of) == (object_id("a"), object_id("a"))
    assert (rows[UGLY].object_bucket_id, rows[UGLY].object_version) == (BUCKET, "v1")
    assert rows[UGLY].object_sync_config_id == SYNC


def test_an_inventory_row_without_object_is_told(store, lock):
    store.commit(lock, Commit(placed=[placed("a")]))
    with store._database.write() as tx:
        tx.run("DELETE FROM objects")
    assert [(row.source_object_id, row.object_state) for row in inventory(store)] == [("a", None)]


def test_objects_come_with_their_batches_and_inventory(store, lock):
    store.commit(lock, Commit(placed=[placed("a"), placed("b")]))
    store.commit(lock, Commit(placed=[placed("c")], for_batches=False))
    batch = store.seal_batches(lock, chunk_size=2, include_partial=True)[0]
    rows = {row.source_object_id: row for row in objects(store)}
    assert [row.object_id for row in objects(store)] == sorted(map(object_id, "abc"))
    assert (rows["a"].member, rows["a"].member_batch_id, rows["a"].batch_id) == (True, batch.batch_id, batch.batch_id)
    assert (rows["c"].member, rows["c"].member_batch_id) == (False, None)
    assert [blob.sha256 for blob in rows["a"].blobs] == [sha256("a v1")]
    assert all(row.in_inventory and row.sync_exists for row in rows.values())
    assert objects(store, OTHER_SYNC) == []
    assert len(objects(store, SYNC)) == 3


def test_an_object_of_a_deleted_sync_is_in_no_inventory(store, lock):
    store.commit(lock, Commit(placed=[placed("a")]))
    store.delete_sync(SYNC)
    assert [(row.sync_exists, row.in_inventory) for row in objects(store)] == [(False, False)]


def test_an_object_is_in_the_inventory_when_any_sync_of_the_bucket_has_it(store, lock):
    other = begin(store, OTHER_SYNC, "run-2", "worker-2")
    store.commit(lock, Commit(placed=[placed("a")]))
    store.commit(other, Commit(placed=[placed("a")]))
    store.commit_removals(other, [Removal("a", object_id("a"), shared=True)], Counters())
    assert [(row.sync_config_id, row.in_inventory) for row in objects(store)] == [(OTHER_SYNC, True)]


def test_recorded_contents_are_pairs(store, lock):
    store.commit(lock, Commit(placed=[placed("a", content="same"), placed("b", content="same")]))
    same = sha256("same")
    assert store.recorded_contents([same, sha256("other")]) == {(same, object_id("a")), (same, object_id("b"))}


def test_members_come_with_their_batch_and_object(store, lock):
    store.commit(lock, Commit(placed=[placed("a")]))
    batch = store.seal_batches(lock, chunk_size=1, include_partial=True)[0]
    store.commit(lock, Commit(placed=[placed("a", "v2", PutStatus.REPLACED), placed("b")]))
    told = [(row.object_id, row.version, row.batch_id, row.batch_state, row.object_version) for row in members(store)]
    a, b = object_id("a"), object_id("b")
    expected = [(a, "v1", batch.batch_id, "sealed", "v2"), (a, "v2", None, None, "v2"), (b, "v1", None, None, "v1")]
    assert told == sorted(expected)
    assert members(store, OTHER_SYNC) == []


def test_batches_come_with_their_members_and_outbox(store, lock):
    store.commit(lock, Commit(placed=[placed("a"), placed("b"), placed("c")]))
    first, second = store.seal_batches(lock, chunk_size=2, include_partial=True)
    store.record_submission(lock, first.batch_id, None, Counters())
    rows = paged(
        lambda after, limit: store.batch_links(SYNC, after=after, limit=limit),
        lambda row: row.batch_id,
    )
    told = {row.batch_id: (row.state, row.size, row.members, row.in_outbox) for row in rows}
    assert told == {first.batch_id: ("submitted", 2, 2, False), second.batch_id: ("sealed", 1, 1, True)}


def test_leftovers_of_a_run_under_way_and_of_one_that_ended(store, lock):
    store.record_intents(lock, [Intent(object_id("a"), "a", "v1")])
    left = store.leftovers(SYNC)
    assert (left.run_status, left.intents, left.lock_holder, left.locked_run_status) == (
        "running",
        1,
        "worker-1",
        "running",
    )
    store.finish_run(lock, end())
    left = store.leftovers(SYNC)
    assert (left.run_status, left.intents, left.lock_holder, left.stray_outbox) == ("completed", 1, None, [])
    assert store.leftovers(OTHER_SYNC).run_status is None


def test_an_outbox_entry_without_batch_is_a_stray(store, lock):
    store.commit(lock, Commit(placed=[placed("a")]))
    batch = store.seal_batches(lock, chunk_size=1, include_partial=True)[0]
    with store._database.write() as tx:
        tx.run("DELETE FROM batches")
    assert store.leftovers(SYNC).stray_outbox == [batch.batch_id]


def test_dead_letters_of_every_state_are_read(store, lock):
    store.commit(lock, Commit(failed=[failure("a"), failure("b", permanent=True), failure(UGLY)]))
    store.commit(lock, Commit(placed=[placed("a")]))
    rows = paged(
        lambda after, limit: store.all_dead_letters(SYNC, after=after, limit=limit), lambda row: row.dead_letter_id
    )
    told = {row.source_object_id: row.state for row in rows}
    assert told == {"a": "resolved", "b": "quarantined", UGLY: "waiting"}
    assert store.versions_in_inventory(SYNC, ["a", "b", UGLY]) == {"a": "v1"}


def test_contents_of_active_and_of_tombstoned_objects_are_in_use(store, lock, clock):
    store.commit(lock, Commit(placed=[placed("a"), placed("b")]))
    both = [sha256("a v1"), sha256("b v1")]
    store.commit_removals(lock, [Removal("a", object_id("a"), shared=False)], Counters())
    removed_at = clock.now()
    assert store.contents_in_use([*both, sha256("none")]) == set(both)
    assert store.contents_in_use(both, tombstoned_before=removed_at) == set(both)
    assert store.contents_in_use(both, tombstoned_before=removed_at + timedelta(seconds=1)) == {sha256("b v1")}
