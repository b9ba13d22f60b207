"""Sums over the runs and failures of a bucket's syncs, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mixsync_dagster.model.progress import Commit, Counters, Outcome
from mixsync_dagster.ports.analytics import SyncNumbers
from mixsync_dagster.state.codec import to_micros
from mixsync_dagster.testing.contracts.state_samples import (
    BUCKET,
    MOMENT,
    OTHER_SYNC,
    SYNC,
    begin,
    end,
    failure,
    seed,
)

DAY = timedelta(days=1)


@pytest.fixture
def ran(store, clock):
    """Three runs of one sync, of 60 seconds each: one that ended well, one with errors, one that failed."""
    seed(store)
    ends = (
        (Outcome.COMPLETED, Counters(discovered=5, created=3, bytes=3000, filtered={"extensions": 2})),
        (Outcome.COMPLETED_WITH_ERRORS, Counters(discovered=5, replaced=1, moved=1, failed=1, bytes=600)),
        (Outcome.FAILED, Counters()),
    )
    for number, (outcome, counters) in enumerate(ends):
        started = clock.now()
        lock = begin(store, run=f"run-{number}")
        with store._database.write() as tx:
            tx.run("UPDATE runs SET started_at = ? WHERE sync_run_id = ?", to_micros(started), f"run-{number}")
        clock.advance(60)
        store.commit(lock, Commit(counters=counters))
        failed = outcome is Outcome.FAILED
        error = {"error": "no", "error_class": "AccessDenied", "successful": False} if failed else {}
        store.finish_run(lock, end(outcome, **error))
    return clock.now()


def test_runs_are_told_newest_first(store, ran):
    told = store.run_numbers(BUCKET, sync_config_id=None, since=MOMENT, limit=2)
    assert [(one.sync_run_id, one.status, one.synced, one.failed, one.bytes) for one in told] == [
        ("run-2", "failed", 0, 0, 0),
        ("run-1", "completed_with_errors", 2, 1, 600),
    ]
    assert (told[1].provider_type, told[1].completed_at - told[1].started_at) == ("s3", timedelta(seconds=60))
    assert list(store.run_numbers(BUCKET, sync_config_id=OTHER_SYNC, since=MOMENT, limit=9)) == []
    assert list(store.run_numbers(BUCKET, sync_config_id=None, since=ran, limit=9)) == []
    assert list(store.run_numbers("bkt_none", sync_config_id=None, since=MOMENT, limit=9)) == []


def test_a_run_whose_worker_is_gone_is_interrupted(store):
    seed(store)
    lock = begin(store)

    def status():
        [told] = store.run_numbers(BUCKET, sync_config_id=SYNC, since=MOMENT - DAY, limit=9)
        return told.status

    assert status() == "running"
    store.release(lock)
    assert status() == "interrupted"


def test_the_sums_of_every_sync_are_told(store, ran, clock):
    other, videos = store.sync_numbers(BUCKET, sync_config_id=None, since=MOMENT)
    assert other == SyncNumbers(OTHER_SYNC, "s3", 0, 0, 0.0, 0, 0, 0, 0, None, None)
    assert (videos.finished, videos.successful, videos.seconds) == (3, 2, 180.0)
    assert (videos.synced, videos.failed, videos.bytes) == (5, 1, 3600)
    assert (videos.consecutive_failures, videos.last_failure_at) == (1, ran)
    assert videos.last_success_at == ran - timedelta(seconds=60)
    [later] = store.sync_numbers(BUCKET, sync_config_id=SYNC, since=ran)
    assert (later.finished, later.last_failure_at) == (0, ran)


def test_errors_are_told_by_kind(store, ran, clock):
    lock = begin(store, run="run-3")
    store.commit(lock, Commit(failed=[failure("a"), failure("b")]))
    told = [(one.error_type, one.count) for one in store.error_numbers(BUCKET, since=MOMENT)]
    assert told == [("download_failed", 2), ("AccessDenied", 1)]
    assert [one.error_type for one in store.error_numbers(BUCKET, since=ran)] == ["download_failed"]
    assert list(store.error_numbers("bkt_none", since=MOMENT)) == []
