"""Garbage collection beside runs: whatever a run commits has its bytes."""

import os
from datetime import timedelta

import pytest

from mixsync_dagster.buckets.blob_folder import BlobFolder
from mixsync_dagster.control.collecting import collect, idle_time
from mixsync_dagster.errors import LockLost, StoreUnavailable
from mixsync_dagster.model.objects import Blob, Draft, PutResult, PutStatus
from mixsync_dagster.model.progress import Commit, Counters
from mixsync_dagster.ports.state import Removal
from mixsync_dagster.testing.contracts.state_samples import BUCKET, begin, item, object_id, seed, sha256
from mixsync_dagster.transport.clock import SystemClock

GRACE = timedelta(days=7)


@pytest.fixture
def clock():
    # Files are stamped by the system.
    return SystemClock()


@pytest.fixture
def store(services):
    seed(services.store)
    return services.store


@pytest.fixture
def blobs(tmp_path):
    opened = BlobFolder(tmp_path / "bytes")
    yield opened
    opened.close()


@pytest.fixture
def lock(store):
    return begin(store)


def aged(blobs, content, days=30):
    path = blobs.location(sha256(content))
    then = SystemClock().now().timestamp() - days * 86_400
    os.utime(path, (then, then))


def kept(blobs, content):
    blobs.store([content.encode()])
    blobs.make_durable()


def committed(store, lock, key, content, *, for_batches=False):
    blob = Blob("content", "text", "a.txt", "text/plain", len(content), sha256(content))
    draft = Draft(object_id(key), BUCKET, "s3", item(key), {}, (blob,))
    store.commit(lock, Commit(placed=[PutResult(draft, PutStatus.CREATED, object_id(key))], for_batches=for_batches))


def gathered(store, blobs, *, now=None, dry_run=False):
    now = now or SystemClock().now()
    return collect(store, blobs, now=now, grace=GRACE, lease_seconds=60, dry_run=dry_run)


class Beside(BlobFolder):
    """Lets a run act right before bytes are removed: after the catalog was asked, so that the answer is old."""

    act = None

    def remove_unused(self, sha256, *, before):
        act, self.act = self.act, None
        if act is not None:
            act()
        return super().remove_unused(sha256, before=before)


@pytest.fixture
def collector(tmp_path, blobs):
    opened = Beside(tmp_path / "bytes")
    yield opened
    opened.close()


def test_bytes_must_be_idle_for_a_day_or_four_leases():
    assert idle_time(60) == timedelta(hours=24)
    assert idle_time(3600 * 7) == timedelta(hours=28)


def test_bytes_of_objects_stay_and_others_go(store, lock, blobs):
    kept(blobs, "used")
    kept(blobs, "left")
    committed(store, lock, "a", "used")
    aged(blobs, "used")
    aged(blobs, "left")
    planned = gathered(store, blobs, dry_run=True)
    assert (planned.blobs, planned.bytes, blobs.exists(sha256("left"))) == (1, 4, True)
    done = gathered(store, blobs)
    assert (done.blobs, done.bytes, done.young) == (1, 4, 0)
    assert (blobs.exists(sha256("used")), blobs.exists(sha256("left"))) == (True, False)


def test_bytes_of_a_removed_object_stay_for_the_grace_period(store, lock, blobs):
    kept(blobs, "gone")
    committed(store, lock, "a", "gone")
    aged(blobs, "gone")
    store.commit_removals(lock, [Removal("a", object_id("a"), shared=False)], Counters())
    assert gathered(store, blobs).blobs == 0
    later = SystemClock().now() + GRACE + timedelta(minutes=1)
    planned = gathered(store, blobs, now=later, dry_run=True)
    assert (planned.tombstones, planned.blobs) == (1, 1)
    done = gathered(store, blobs, now=later)
    assert (done.tombstones, done.blobs, blobs.exists(sha256("gone"))) == (1, 1, False)


def test_bytes_that_two_objects_have_stay_until_the_last_of_them_is_forgotten(store, lock, blobs):
    kept(blobs, "same")
    committed(store, lock, "a", "same")
    committed(store, lock, "b", "same")
    aged(blobs, "same")
    store.commit_removals(lock, [Removal("a", object_id("a"), shared=False)], Counters())
    done = gathered(store, blobs, now=SystemClock().now() + GRACE + timedelta(minutes=1))
    assert (done.tombstones, done.blobs, blobs.exists(sha256("same"))) == (1, 0, True)


def test_a_run_that_stores_and_commits_the_bytes_after_the_catalog_was_asked_keeps_them(store, lock, blobs, collector):
    kept(blobs, "again")
    aged(blobs, "again")

    def run():
        blobs.store([b"again"])
        blobs.make_durable([sha256("again")])
        committed(store, lock, "a", "again")

    collector.act = run
    assert gathered(store, collector).young == 1
    assert blobs.exists(sha256("again"))


def test_a_run_that_comes_between_its_flush_and_its_commit_keeps_the_bytes(store, lock, blobs, collector):
    kept(blobs, "again")
    aged(blobs, "again")
    collector.act = lambda: (blobs.store([b"again"]), blobs.make_durable([sha256("again")]))
    gathered(store, collector)
    committed(store, lock, "a", "again")
    assert blobs.exists(sha256("again"))


def test_a_run_whose_bytes_went_before_its_flush_is_told_and_commits_nothing(store, lock, blobs):
    kept(blobs, "again")
    blobs.store([b"again"])
    aged(blobs, "again")
    assert gathered(store, blobs).blobs == 1
    with pytest.raises(StoreUnavailable, match="is not held"):
        blobs.make_durable([sha256("again")])


def test_a_run_that_stopped_for_days_after_its_flush_cannot_commit(store, lock, blobs):
    kept(blobs, "late")
    aged(blobs, "late")
    with store._database.write() as tx:
        tx.run("UPDATE leases SET expires_at = now_micros() - ?", 2 * 86_400 * 1_000_000)
    assert gathered(store, blobs).blobs == 1
    with pytest.raises(LockLost):
        committed(store, lock, "a", "late")


def test_a_dry_run_ends_no_lock(store, lock, blobs):
    with store._database.write() as tx:
        tx.run("UPDATE leases SET expires_at = now_micros() - ?", 2 * 86_400 * 1_000_000)
    gathered(store, blobs, dry_run=True)
    committed(store, lock, "a", "late")


def test_a_crash_after_the_rows_leaves_bytes_for_the_next_collection(store, lock, blobs, collector):
    kept(blobs, "gone")
    committed(store, lock, "a", "gone")
    aged(blobs, "gone")
    store.commit_removals(lock, [Removal("a", object_id("a"), shared=False)], Counters())
    later = SystemClock().now() + GRACE + timedelta(minutes=1)

    def crash():
        raise KeyboardInterrupt

    collector.act = crash
    with pytest.raises(KeyboardInterrupt):
        gathered(store, collector, now=later)
    assert blobs.exists(sha256("gone"))
    done = gathered(store, blobs, now=later)
    assert (done.tombstones, done.blobs) == (0, 1)


def test_where_removals_do_not_go_beside_runs_nothing_is_done_while_one_runs(store, lock, blobs, monkeypatch):
    monkeypatch.setattr(BlobFolder, "removes_beside_runs", False)
    kept(blobs, "left")
    aged(blobs, "left")
    assert (gathered(store, blobs).refused_by, blobs.exists(sha256("left"))) == (["videos"], True)
    store.release(lock)
    assert gathered(store, blobs).blobs == 1


def test_bytes_of_a_removed_object_stay_while_its_batch_waits_to_be_submitted(store, lock, blobs):
    kept(blobs, "gone")
    committed(store, lock, "a", "gone", for_batches=True)
    aged(blobs, "gone")
    batch = store.seal_batches(lock, chunk_size=1, include_partial=True)[0]
    store.commit_removals(lock, [Removal("a", object_id("a"), shared=False)], Counters())
    later = SystemClock().now() + GRACE + timedelta(minutes=1)
    assert (gathered(store, blobs, now=later).blobs, blobs.exists(sha256("gone"))) == (0, True)
    store.record_submission(lock, batch.batch_id, None, Counters())
    assert gathered(store, blobs, now=later).blobs == 1
