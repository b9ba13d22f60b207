"""Asking how batches at a hosted service do."""

from datetime import UTC, datetime, timedelta

import pytest

from mixsync_dagster.control.hosted import poll_batches
from mixsync_dagster.errors import BucketDenied, NotFound, RateLimited
from mixsync_dagster.ports.hosted import BatchProgress, UnfinishedBatch
from mixsync_dagster.testing.clock import SimulatedClock


class Polls:
    """A BatchPolls in memory: batches with the time at which they are due."""

    def __init__(self, *buckets):
        self.start = datetime(2026, 1, 1, tzinfo=UTC)
        self.due = {f"btch_{bucket}_{number}": self.start for bucket in buckets for number in range(2)}
        self.polls = dict.fromkeys(self.due, 0)
        self.told = {}

    def unfinished_batches(self, *, due_at, limit):
        return [
            UnfinishedBatch(one, one.split("_")[1], "sync", f"there_{one}", None, self.polls[one])
            for one, at in self.due.items()
            if at is not None and at <= due_at
        ][:limit]

    def record_progress(self, batch_id, progress):
        self.told[batch_id] = (progress.task_status, progress.error)
        self.due[batch_id] = progress.ask_again_at
        self.polls[batch_id] += 1

    def task_statuses(self, sync_config_id):
        raise NotImplementedError("batches are followed without a look at their syncs")


class Service:
    """A bucket that answers alike for every batch."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0
        self.closed = False

    def batch_progress(self, batch):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self):
        self.closed = True


def test_a_batch_is_asked_about_less_and_less_often_until_it_ends():
    polls, clock, service = Polls("a"), SimulatedClock(), Service(BatchProgress("IN_PROGRESS"))
    waits = []
    for _ in range(7):
        poll_batches(polls, lambda _bucket: service, clock)
        wait = polls.due["btch_a_0"] - clock.now()
        waits.append(wait.total_seconds())
        clock.advance(wait.total_seconds())
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    service.answer = BatchProgress("COMPLETED_WITH_ERRORS", "one failed")
    polled = poll_batches(polls, lambda _bucket: service, clock)
    assert polled.ended == {"sync": {"COMPLETED_WITH_ERRORS": 2}}
    assert polls.told["btch_a_0"] == ("COMPLETED_WITH_ERRORS", "one failed")
    assert poll_batches(polls, lambda _bucket: pytest.fail("nothing is due"), clock).asked == 0
    assert service.closed


@pytest.mark.parametrize(
    "error", [RateLimited("slow down.", retry_after_seconds=5), BucketDenied("the key is refused.")]
)
def test_a_bucket_that_cannot_be_asked_keeps_no_other_one_waiting(error):
    polls, clock = Polls("bad", "good"), SimulatedClock()
    services = {"bad": Service(error), "good": Service(BatchProgress("COMPLETED"))}
    polled = poll_batches(polls, services.__getitem__, clock)
    assert (services["bad"].asked, services["good"].asked) == (1, 2)
    assert polled.failures == {"bad": str(error)}
    assert {polls.due[f"btch_bad_{number}"] - clock.now() for number in range(2)} == {timedelta(seconds=60)}


def test_batches_of_a_bucket_that_is_not_defined_any_more_are_given_up():
    def gone(_bucket):
        raise NotFound("bucket a does not exist.")

    polls = Polls("a")
    poll_batches(polls, gone, SimulatedClock())
    assert polls.told["btch_a_1"] == ("UNKNOWN", "the bucket is not defined any more")
    assert polls.due["btch_a_1"] is None
