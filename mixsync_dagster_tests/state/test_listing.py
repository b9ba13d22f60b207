"""Parts of long lists, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.progress import Commit, Counters, Outcome
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.model.tenants import Namespace
from mixsync_dagster.ports.listing import BatchFilter, ConnectionFilter, ObjectFilter, Part, SyncFilter
from mixsync_dagster.testing.contracts.state_samples import (
    BUCKET,
    CREDENTIALS,
    MOMENT,
    OTHER_SYNC,
    SYNC,
    begin,
    connection,
    end,
    failure,
    object_id,
    placed,
    seed,
    sync,
)

SECOND = timedelta(seconds=1)


def pages(read, key, size):
    """The entries of every part, each found behind the last entry of the one before."""
    found, after = [], None
    while True:
        part = read(Part(size, after=after))
        found += part.entries
        if not part.more:
            return found
        after = key(part.entries[-1])


@pytest.fixture
def many(store):
    """Seven syncs, newest first; two were made in one moment."""
    seed(store)
    for number in range(5):
        created = MOMENT + SECOND * max(1, number)
        store.create_sync(sync(f"sync_{number}", f"n{number}", created_at=created))
    return ["sync_4", "sync_3", "sync_2", "sync_1", "sync_0", SYNC, OTHER_SYNC]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_parts_behind_each_other_tell_every_sync_once(store, many, size):
    def read(part):
        listed = store.list_syncs_part(BUCKET, SyncFilter(), part)
        assert listed.total == 7
        return listed

    found = pages(read, lambda one: (one.created_at, one.sync_config_id), size)
    assert [one.sync_config_id for one in found] == many


def test_a_part_is_found_by_its_place(store, many):
    listed = store.list_syncs_part(BUCKET, SyncFilter(), Part(2, offset=4))
    assert [one.sync_config_id for one in listed.entries] == many[4:6]
    assert listed.more
    assert not store.list_syncs_part(BUCKET, SyncFilter(), Part(2, offset=5)).more
    assert list(store.list_syncs_part(BUCKET, SyncFilter(), Part(2, offset=9)).entries) == []


def test_a_list_goes_on_though_the_entry_before_is_gone(store, many):
    gone = store.get_sync(many[2])
    store.delete_sync(gone.sync_config_id)
    listed = store.list_syncs_part(BUCKET, SyncFilter(), Part(2, after=(gone.created_at, gone.sync_config_id)))
    assert [one.sync_config_id for one in listed.entries] == many[3:5]


def test_syncs_are_filtered_where_they_are_stored(store, many):
    store.set_paused("sync_3", True, reason="user", user_id=None)

    def listed(**wanted):
        part = store.list_syncs_part(BUCKET, SyncFilter(**wanted), Part(10))
        assert part.total == len(part.entries)
        return [one.sync_config_id for one in part.entries]

    assert listed(is_active=False) == listed(status=TaskStatus.SUSPENDED) == ["sync_3"]
    assert listed(is_active=True) == listed(status=TaskStatus.PENDING) == [one for one in many if one != "sync_3"]
    assert listed(connection_id="conn_none") == []
    assert store.list_syncs_part("bkt_none", SyncFilter(), Part(10)).total == 0


def test_connections_are_listed_by_organisation_newest_first(store):
    for number in range(4):
        one = connection(f"conn_{number}", f"c{number}")
        store.save_connection(one.model_copy(update={"created_at": MOMENT + SECOND * number}), credentials=CREDENTIALS)
    store.save_connection(connection("conn_x").model_copy(update={"internal_id": "int_other"}), credentials=CREDENTIALS)
    store.save_connection(
        store.get_connection("conn_2").model_copy(update={"status": TaskStatus.SUSPENDED}), credentials=None
    )
    store.delete_connection("conn_1")

    def listed(**wanted):
        part = store.list_connections_part(connection().internal_id, ConnectionFilter(**wanted), Part(10))
        assert part.total == len(part.entries)
        return [one.connection_id for one in part.entries]

    assert listed() == listed(provider_type="s3") == ["conn_3", "conn_2", "conn_0"]
    assert listed(status="SUSPENDED") == listed(is_active=False) == ["conn_2"]
    assert listed(is_active=True) == ["conn_3", "conn_0"]
    assert listed(provider_type="tigris") == listed(status="ARCHIVED") == []
    found = pages(
        lambda part: store.list_connections_part(connection().internal_id, ConnectionFilter(), part),
        lambda one: (one.created_at, one.connection_id),
        2,
    )
    assert [one.connection_id for one in found] == ["conn_3", "conn_2", "conn_0"]


def test_buckets_are_listed_by_namespace_with_their_counts(store):
    seed(store)
    own, other = Namespace("int_a", "ns_a"), Namespace("int_a", "ns_b")
    for number in range(3):
        store.save_bucket(BucketDefinition(bucket_id=f"bkt_{number}"), within=own)
    store.save_bucket(BucketDefinition(bucket_id="bkt_x"), within=other)
    first = store.list_buckets_part(own, after=None, offset=0, limit=2)
    assert ([one.bucket_id for one in first.entries], first.more, first.total) == (["bkt_0", "bkt_1"], True, 3)
    rest = store.list_buckets_part(own, after="bkt_1", offset=0, limit=2)
    assert ([one.bucket_id for one in rest.entries], rest.more, rest.total) == (["bkt_2"], False, 3)
    assert [one.bucket_id for one in store.list_buckets_part(own, after=None, offset=2, limit=2).entries] == ["bkt_2"]
    store.commit(begin(store), Commit(placed=[placed("a"), placed("b")]))
    assert store.count_objects_of([BUCKET, "bkt_0"]) == {BUCKET: 2, "bkt_0": 0}


def test_runs_are_filtered_as_they_are_told(store, clock):
    seed(store)
    store.finish_run(begin(store, run="run-1"), end())
    store.finish_run(begin(store, run="run-2"), end(Outcome.COMPLETED_WITH_ERRORS))
    lock = begin(store, run="run-3")

    def listed(*statuses):
        part = store.list_runs_part(SYNC, statuses or None, Part(10))
        assert part.total == len(part.entries)
        return sorted((one.sync_run_id, one.status) for one in part.entries)

    done, some = ("run-1", "completed"), ("run-2", "completed_with_errors")
    assert listed("completed", "completed_with_errors") == [done, some]
    assert (listed("running"), listed("interrupted")) == ([("run-3", "running")], [])
    store.release(lock)
    assert (listed("running"), listed("interrupted")) == ([], [("run-3", "interrupted")])
    assert listed() == [done, some, ("run-3", "interrupted")]
    found = pages(lambda part: store.list_runs_part(SYNC, None, part), lambda one: (one.started_at, one.sync_run_id), 2)
    assert [one.sync_run_id for one in found] == ["run-3", "run-2", "run-1"]


def test_batches_that_were_sealed_together_keep_their_order(store):
    seed(store)
    lock = begin(store)
    store.commit(lock, Commit(placed=[placed(key) for key in "abcde"]))
    sealed = [batch.batch_id for batch in store.seal_batches(lock, chunk_size=1, include_partial=True)]
    store.record_submission(lock, sealed[1], "task-1", Counters(batches_created=1))
    found = pages(
        lambda part: store.list_batches_part(BUCKET, BatchFilter(), part), lambda one: (one.created_at, one.batch_id), 2
    )
    assert [one.batch_id for one in found] == sealed[::-1]
    submitted = store.list_batches_part(BUCKET, BatchFilter(state="submitted"), Part(10))
    assert ([one.batch_id for one in submitted.entries], submitted.total) == ([sealed[1]], 1)
    assert store.list_batches_part(BUCKET, BatchFilter(sync_config_id=OTHER_SYNC), Part(10)).total == 0
    assert store.get_batch(sealed[0]).state == "sealed"
    with pytest.raises(NotFound):
        store.get_batch("btch_none")


def test_objects_are_filtered_in_the_order_of_their_ids(store, clock):
    seed(store)
    lock = begin(store)
    store.commit(lock, Commit(placed=[placed("x_a"), placed("x%b"), placed("y\x00c")]))
    [batch] = store.seal_batches(lock, chunk_size=10, include_partial=True)
    clock.advance(60)
    moment = clock.now()
    clock.advance(60)
    store.commit(lock, Commit(placed=[placed("d")]))

    def listed(**wanted):
        found, more = store.list_objects_part(BUCKET, ObjectFilter(**wanted), after=None, offset=0, limit=10)
        assert (more, store.count_objects_where(BUCKET, ObjectFilter(**wanted))) == (False, len(found))
        assert [one.object_id for one in found] == sorted(one.object_id for one in found)
        return {one.source_object_id for one in found}

    assert listed() == listed(sync_config_id=SYNC) == {"x_a", "x%b", "y\x00c", "d"}
    assert listed(sync_config_id=OTHER_SYNC) == set()
    assert listed(batch_id=batch.batch_id) == listed(updated_before=moment) == {"x_a", "x%b", "y\x00c"}
    assert listed(updated_after=moment) == {"d"}
    assert listed(path_prefix="videos/x%") == {"x%b"}
    assert listed(path_prefix="videos/y\x00") == {"y\x00c"}
    assert listed(path_prefix="Videos/") == set()
    ids = sorted(object_id(key) for key in ("x_a", "x%b", "y\x00c", "d"))
    found, more = store.list_objects_part(BUCKET, ObjectFilter(), after=ids[0], offset=1, limit=1)
    assert ([one.object_id for one in found], more) == ([ids[2]], True)


def test_dead_letters_are_counted_by_their_reasons(store):
    seed(store)
    failures = [failure("a"), failure("b", permanent=True), failure("c", permanent=True)]
    store.commit(begin(store), Commit(failed=failures))
    states = ("waiting", "quarantined")
    assert store.count_letters(SYNC, states=states) == {"download_failed": 3}
    assert store.count_letters(SYNC, states=("quarantined",)) == {"download_failed": 2}
    listed = store.list_letters(SYNC, states=states, error_types=None, limit=2)
    assert (len(listed.entries), listed.more, listed.total) == (2, True, 3)
    last = listed.entries[-1].dead_letter_id
    rest = store.list_letters(SYNC, states=states, error_types=None, limit=2, after=last)
    assert (len(rest.entries), rest.more, rest.total) == (1, False, 3)
    assert {one.source_object_id for one in (*listed.entries, *rest.entries)} == {"a", "b", "c"}
    assert store.list_letters(SYNC, states=states, error_types=["other"], limit=2).total == 0
    assert {
        one.source_object_id
        for one in store.list_letters(SYNC, states=("quarantined",), error_types=["download_failed"], limit=9).entries
    } == {"b", "c"}


def test_names_that_a_new_sync_could_have_are_found_by_their_stem(store):
    seed(store)
    own = Namespace(sync().internal_id, sync().namespace_id)
    for number, name in enumerate(("media", "media-2", "media.x", "medial", "other")):
        store.create_sync(sync(f"sync_{number}", name))
    assert store.numbered_sync_names("media", within=own) == {"media", "media-2"}
    assert store.numbered_sync_names("media", within=Namespace(sync().internal_id, "ns_other")) == set()
