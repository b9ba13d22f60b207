"""One limit for all workers of a connection: what one is told, the others heed."""

import contextlib

import pytest

from mixsync_dagster.errors import ProviderUnavailable, RateLimited, StoreUnavailable
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.transport.quiet import LONGEST_SECONDS, SharedQuiet
from mixsync_dagster.transport.retry import Retrier


class Board:
    """A QuietStore in memory that counts what is asked of it, and fails when told."""

    def __init__(self, clock):
        self.clock = clock
        self.until = {}
        self.looks = 0
        self.writes = []
        self.down = False

    def quiet_seconds(self, connection_id):
        self.looks += 1
        self._answer()
        return max(0.0, self.until.get(connection_id, 0.0) - self.clock.monotonic())

    def keep_quiet(self, connection_id, seconds):
        self._answer()
        self.writes.append((connection_id, seconds))
        until = self.clock.monotonic() + seconds
        self.until[connection_id] = max(until, self.until.get(connection_id, 0.0))

    def _answer(self):
        if self.down:
            raise StoreUnavailable("the state store is down.")


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def board(clock):
    return Board(clock)


@pytest.fixture
def worker(clock, board):
    def make(connection_id="conn_a", **settings):
        return Retrier(clock, shared=SharedQuiet(board, connection_id, clock), **settings)

    return make


def refused(seconds):
    def operation():
        raise RateLimited("slow down", retry_after_seconds=seconds)

    return operation


def refuse(retrier, seconds):
    """Make a worker be refused, without waiting for it."""
    with pytest.raises(RateLimited):
        retrier.call(refused(seconds))


def test_a_worker_that_begins_waits_because_another_was_refused(clock, board, worker):
    refuse(worker(rate_limit_attempts=1), 40)
    assert board.writes == [("conn_a", 40)]
    assert worker().call(clock.monotonic) >= 40


def test_a_worker_at_work_heeds_within_a_second(clock, worker):
    busy = worker()
    assert busy.call(clock.monotonic) == 0
    refuse(worker(rate_limit_attempts=1), 40)
    clock.advance(1)
    assert busy.call(clock.monotonic) >= 40


def test_a_worker_that_waits_for_itself_heeds_a_longer_quiet_time(clock, worker):
    asked_at = []

    def refused_once():
        asked_at.append(clock.monotonic())
        if len(asked_at) == 1:
            refuse(worker(rate_limit_attempts=1), 40)
            raise RateLimited("slow down", retry_after_seconds=3)

    worker().call(refused_once)
    assert asked_at[1] >= 40


def test_another_connection_does_not_wait(clock, worker):
    refuse(worker(rate_limit_attempts=1), 40)
    assert worker("conn_b").call(clock.monotonic) == 0
    assert clock.slept == []


def test_work_goes_on_at_full_speed_after_the_quiet_time(clock, board, worker):
    refuse(worker(rate_limit_attempts=1), 40)
    busy = worker()
    busy.call(clock.monotonic)
    slept = len(clock.slept)
    for _ in range(10_000):
        clock.advance(0.01)
        busy.call(clock.monotonic)
    assert len(clock.slept) == slept
    assert board.looks <= 105


def test_the_board_is_looked_at_once_a_second_at_most(clock, board, worker):
    busy = worker()
    for _ in range(1000):
        clock.advance(0.0099)
        busy.call(clock.monotonic)
    assert 9 <= board.looks <= 11
    assert board.writes == []


def test_a_storm_is_written_once(board, worker):
    hit = worker(rate_limit_attempts=1)
    for _ in range(200):
        refuse(hit, 40)
        hit._frozen_until = None
    assert len(board.writes) == 1


def test_the_backoff_of_a_refusal_without_a_time_is_kept_by_the_others(clock, board, worker):
    refuse(worker(seed=3), None)
    # One call's waits, written as far as they reach a second beyond what is known.
    assert all(connection == "conn_a" and 0 < seconds <= 60 for connection, seconds in board.writes)
    until = board.until["conn_a"]
    assert until - clock.monotonic() > 5
    assert worker().call(clock.monotonic) >= until


def test_a_refusal_without_a_time_that_ends_the_patience_is_told_as_well(board, worker):
    refuse(worker(rate_limit_attempts=1), None)
    [(_, seconds)] = board.writes
    assert 0 < seconds <= 1


def test_no_backoff_is_longer_than_a_worker_itself_would_wait(board, worker):
    refuse(worker(max_wait_seconds=4.0), None)
    assert 2 < max(seconds for _, seconds in board.writes) <= 4


def test_an_outage_is_nobody_elses_business(board, worker):
    def operation():
        raise ProviderUnavailable("nobody answers.")

    with pytest.raises(ProviderUnavailable):
        worker().call(operation)
    assert board.writes == []


def test_nobody_is_made_to_wait_for_a_time_beyond_reason(clock, board, worker):
    refuse(worker(rate_limit_attempts=1), LONGEST_SECONDS + 1)
    assert board.writes == []
    assert worker().call(clock.monotonic) == 0


def test_a_board_beyond_reason_is_not_believed(clock, board, worker):
    board.keep_quiet("conn_a", 10 * LONGEST_SECONDS)
    busy = worker()
    busy._heed_others()
    assert busy._frozen_until == LONGEST_SECONDS


def test_whoever_may_not_wait_is_told_at_once(clock, worker):
    hurried = worker(rate_limit_attempts=1, longest_retry_after_seconds=0.0)
    refuse(worker(rate_limit_attempts=1), 40)
    with pytest.raises(RateLimited, match="asked for quiet") as told:
        hurried.call(clock.monotonic)
    assert told.value.retry_after_seconds == 40
    assert clock.slept == []
    assert hurried.rate_limit_hits == 0


def test_a_board_that_fails_fails_no_transfer(clock, board, worker):
    board.down = True
    busy = worker(rate_limit_attempts=1)
    assert busy.call(lambda: "answer") == "answer"
    refuse(busy, 40)
    assert busy.call(clock.monotonic) >= 40


def test_a_board_that_fails_is_left_alone_for_a_while_and_then_asked_again(clock, board, worker):
    board.down = True
    busy = worker()
    for _ in range(29):
        busy.call(clock.monotonic)
        clock.advance(1)
    assert board.looks == 1
    board.down = False
    clock.advance(1)
    refuse(worker(rate_limit_attempts=1), 40)
    assert busy.call(clock.monotonic) >= 70


def test_workers_do_not_all_come_back_at_the_same_moment(board, worker):
    times = set()
    for seed in range(20):
        board.clock = clock = SimulatedClock()
        board.until = {"conn_a": 40.0}
        retrier = Retrier(clock, shared=SharedQuiet(board, "conn_a", clock), seed=seed)
        times.add(retrier.call(clock.monotonic))
    assert len(times) == 20
    assert 40 <= min(times) < max(times) <= 41


@pytest.mark.parametrize("asked_seconds", [None, 30.0], ids=["no time named", "half a minute named"])
@pytest.mark.parametrize("seed", range(10))
def test_two_minutes_after_a_storm_work_is_as_fast_as_before(clock, board, worker, asked_seconds, seed):
    storm = (60.0, 360.0)
    answered_at = []

    def operation():
        clock.advance(0.1)
        if storm[0] <= clock.monotonic() < storm[1]:
            # Every now and then another worker is refused at the same time, and begins its longest wait.
            if len(board.writes) % 5 == 4:
                board.keep_quiet("conn_a", 60.0)
            raise RateLimited("slow down", retry_after_seconds=asked_seconds)
        answered_at.append(clock.monotonic())

    busy = worker(seed=seed)
    while clock.monotonic() < storm[1] + 180:
        with contextlib.suppress(RateLimited):
            # A run whose patience ends is followed by the next one.
            busy.call(operation)

    def within(begin, end):
        return sum(begin <= at < end for at in answered_at)

    before, after = within(0, 60), within(storm[1] + 120, storm[1] + 180)
    assert before > 590
    assert after >= 0.8 * before
    # And most of it is back a minute earlier.
    assert within(storm[1] + 62, storm[1] + 122) >= 0.8 * before
