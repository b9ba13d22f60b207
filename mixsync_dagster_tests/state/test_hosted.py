"""What the store remembers of objects and batches at another service."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mixsync_dagster.model.objects import PutStatus
from mixsync_dagster.model.progress import REMOVAL, Commit, Counters, Intent
from mixsync_dagster.ports.hosted import BatchProgress, RemoteBatch, RemoteObject
from mixsync_dagster.ports.state import Removal
from mixsync_dagster.testing.contracts.state_samples import BUCKET, SYNC, begin, object_id, placed, seed


@pytest.fixture
def lock(store):
    seed(store)
    return begin(store)


def place(store, lock, key, remote, *, version="v1", status=PutStatus.CREATED):
    result = replace(placed(key, version, status), remote_object_id=remote)
    store.commit(lock, Commit(placed=[result], for_batches=True))


def submitted(store, lock, remote="btch_there"):
    """Seal what is pending, submit it, and return our id of the batch."""
    [batch] = store.seal_batches(lock, chunk_size=10, include_partial=True)
    store.claim_submission(lock, batch.batch_id)
    assert store.record_remote_batch(batch.batch_id, remote, instead_of=None)
    store.record_submission(lock, batch.batch_id, "task_1", Counters())
    return batch.batch_id


def members(store, batch_id):
    return [member.object_id for member in store.batch_members(batch_id)]


def test_the_service_s_ids_of_active_objects_are_known(store, lock):
    place(store, lock, "a", "obj_there")
    assert store.remote_objects([object_id("a"), object_id("b")]) == {object_id("a"): RemoteObject("v1", "obj_there")}
    place(store, lock, "a", "obj_newer", version="v2", status=PutStatus.REPLACED)
    assert store.remote_objects([object_id("a")])[object_id("a")] == RemoteObject("v2", "obj_newer")
    store.commit_removals(lock, [Removal("a", object_id("a"), shared=False)], Counters())
    assert store.remote_objects([object_id("a")]) == {}


def test_a_batch_s_remote_id_is_written_once_and_its_attempts_are_told(store, lock):
    place(store, lock, "a", "obj_there")
    [batch] = store.seal_batches(lock, chunk_size=10, include_partial=True)
    store.claim_submission(lock, batch.batch_id)
    assert store.remote_batch(batch.batch_id) == RemoteBatch(None, 1)
    assert store.record_remote_batch(batch.batch_id, "btch_1", instead_of=None)
    assert not store.record_remote_batch(batch.batch_id, "btch_2", instead_of=None)
    assert store.record_remote_batch(batch.batch_id, "btch_3", instead_of="btch_1")
    assert store.remote_batch(batch.batch_id).remote_batch_id == "btch_3"


def test_an_object_that_was_made_anew_in_the_same_version_is_processed_again(store, lock):
    place(store, lock, "a", "obj_first")
    first = submitted(store, lock, "btch_1")
    store.commit_removals(lock, [Removal("a", object_id("a"), shared=False)], Counters())
    place(store, lock, "a", "obj_second")
    second = submitted(store, lock, "btch_2")
    assert first != second
    assert (members(store, first), members(store, second)) == ([], [object_id("a")])
    assert {batch.batch_id: batch.size for batch in store.list_batches(BUCKET)} == {first: 0, second: 1}


def test_an_object_that_the_service_lacks_looks_changed_at_its_source_and_has_no_remote_id(store, lock):
    place(store, lock, "a", "obj_first")
    place(store, lock, "b", "obj_other")
    store.forget_placed(lock, [Intent(object_id("a"), "a", REMOVAL)])
    assert list(store.remote_objects([object_id("a"), object_id("b")])) == [object_id("b")]
    assert store.inventory_of(SYNC, ["a", "b"]).column("version").to_pylist() == ["", "v1"]
    store.record_intents(lock, [Intent(object_id("a"), "a", REMOVAL)])
    store.commit_removals(lock, [Removal("a", object_id("a"), shared=False)], Counters())
    assert list(store.open_intents(SYNC)) == []


def test_the_same_object_at_the_service_is_not_processed_again(store, lock):
    place(store, lock, "a", "obj_first")
    first = submitted(store, lock)
    place(store, lock, "a", "obj_first", status=PutStatus.ALREADY_PRESENT)
    assert list(store.seal_batches(lock, chunk_size=10, include_partial=True)) == []
    assert members(store, first) == [object_id("a")]


def test_batches_are_asked_about_from_their_submission_to_their_end(store, lock, clock):
    place(store, lock, "a", "obj_there")
    batch_id = submitted(store, lock)
    [batch] = store.unfinished_batches(due_at=clock.now(), limit=5)
    assert (batch.batch_id, batch.remote_batch_id, batch.task_id, batch.polls) == (batch_id, "btch_there", "task_1", 0)
    again = clock.now() + timedelta(seconds=5)
    store.record_progress(batch_id, BatchProgress("IN_PROGRESS", ask_again_at=again))
    assert list(store.unfinished_batches(due_at=clock.now(), limit=5)) == []
    assert store.unfinished_batches(due_at=again, limit=5)[0].polls == 1
    store.record_progress(batch_id, BatchProgress(None, ask_again_at=again))
    assert store.task_statuses(SYNC) == {"IN_PROGRESS": 1}
    store.record_progress(batch_id, BatchProgress("FAILED", "no room"))
    store.record_progress(batch_id, BatchProgress("COMPLETED"))
    assert list(store.unfinished_batches(due_at=again, limit=5)) == []
    [told] = store.list_batches(BUCKET)
    assert (told.task_status, told.task_error, told.remote_batch_id) == ("FAILED", "no room", "btch_there")


def test_batches_of_an_embedded_bucket_are_never_asked_about(store, lock, clock):
    store.commit(lock, Commit(placed=[placed("a")], for_batches=True))
    [batch] = store.seal_batches(lock, chunk_size=10, include_partial=True)
    store.record_submission(lock, batch.batch_id, "task_1", Counters())
    assert list(store.unfinished_batches(due_at=clock.now(), limit=5)) == []
    assert store.task_statuses(SYNC) == {}
