import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mixsync_dagster.errors import ItemChanged, ItemCorrupt, PathNotFound, ProviderUnavailable, RateLimited
from mixsync_dagster.ports.pacing import Pacer
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.transport.retry import Retrier


class Failing:
    """Raises the given errors one after the other, then answers; remembers when it was asked."""

    def __init__(self, clock, *errors):
        self.clock = clock
        self.errors = list(errors)
        self.asked_at = []

    def __call__(self):
        self.asked_at.append(self.clock.monotonic())
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def limited(seconds=None):
    return RateLimited("slow down", retry_after_seconds=seconds)


@pytest.fixture
def clock():
    return SimulatedClock()


def test_an_answer_costs_no_wait(clock):
    retrier: Pacer = Retrier(clock)
    assert retrier.call(lambda: 7) == 7
    assert clock.slept == []
    assert retrier.rate_limit_hits == 0


def test_the_provider_s_word_is_waited_for(clock):
    operation = Failing(clock, limited(20), limited(5))
    retrier = Retrier(clock, seed=1)
    assert retrier.call(operation) == "answer"
    assert operation.asked_at[1] >= 20
    assert operation.asked_at[2] - operation.asked_at[1] >= 5
    assert retrier.rate_limit_hits == 2


def test_without_a_word_the_wait_doubles_and_is_capped(clock):
    retrier = Retrier(clock, max_wait_seconds=8, seed=3)
    with pytest.raises(RateLimited):
        retrier.call(Failing(clock, *[limited() for _ in range(12)]))
    assert len(clock.slept) == 11
    assert all(wait <= ceiling for wait, ceiling in zip(clock.slept, [1, 2, 4, *[8] * 8], strict=True))
    assert max(clock.slept) > 2


def test_a_long_word_is_waited_for_beyond_the_cap_of_the_backoff(clock):
    operation = Failing(clock, limited(300))
    Retrier(clock, max_wait_seconds=60).call(operation)
    assert operation.asked_at[1] >= 300


def test_a_word_that_is_too_long_ends_the_patience(clock):
    retrier = Retrier(clock, longest_retry_after_seconds=900)
    with pytest.raises(RateLimited):
        retrier.call(Failing(clock, limited(86_400)))
    assert clock.slept == []
    assert retrier.call(lambda: "others go on") == "others go on"
    assert clock.slept == []


@pytest.mark.parametrize(("error", "attempts"), [(limited, 12), (lambda: ProviderUnavailable("down"), 6)])
def test_patience_ends_with_the_last_error(clock, error, attempts):
    errors = [error() for _ in range(attempts)]
    operation = Failing(clock, *errors)
    with pytest.raises(type(errors[-1])) as caught:
        Retrier(clock).call(operation)
    assert caught.value is errors[-1]
    assert len(operation.asked_at) == attempts


def test_rate_limits_and_outages_are_counted_apart(clock):
    errors = [limited() for _ in range(11)] + [ProviderUnavailable("down") for _ in range(5)]
    operation = Failing(clock, *errors)
    retrier = Retrier(clock)
    assert retrier.call(operation) == "answer"
    assert len(operation.asked_at) == 17
    assert retrier.rate_limit_hits == 11


@pytest.mark.parametrize("error", [ItemChanged("x"), ItemCorrupt("x"), PathNotFound("x"), ValueError("x")])
def test_everything_else_passes_at_once(clock, error):
    operation = Failing(clock, error)
    with pytest.raises(type(error)):
        Retrier(clock).call(operation)
    assert len(operation.asked_at) == 1
    assert clock.slept == []


def test_an_error_in_between_passes_too(clock):
    with pytest.raises(PathNotFound):
        Retrier(clock).call(Failing(clock, limited(), PathNotFound("x")))


def test_corrupt_answers_are_repeated_as_often_as_allowed(clock):
    retrier = Retrier(clock, corrupt_repeats=2)
    assert retrier.call(Failing(clock, ItemCorrupt("x"), ItemCorrupt("x"))) == "answer"
    with pytest.raises(ItemCorrupt):
        retrier.call(Failing(clock, *[ItemCorrupt("x")] * 3))
    assert sum(clock.slept) == 0


def test_a_caller_that_was_told_to_wait_waits(clock):
    retrier = Retrier(clock)
    told = threading.Event()

    def refused_once():
        if not told.is_set():
            told.set()
            raise limited(40)
        return clock.monotonic()

    assert retrier.call(refused_once) >= 40


def test_another_connection_does_not_wait(clock):
    with pytest.raises(RateLimited):
        Retrier(clock, rate_limit_attempts=1).call(Failing(clock, limited(40)))
    assert Retrier(clock).call(clock.monotonic) == 0
    assert clock.slept == []


def test_callers_that_come_later_wait_for_the_thaw(clock):
    retrier = Retrier(clock, rate_limit_attempts=1)
    with pytest.raises(RateLimited):
        retrier.call(Failing(clock, limited(40)))
    with ThreadPoolExecutor(4) as threads:
        times = list(threads.map(lambda _: retrier.call(clock.monotonic), range(8)))
    assert min(times) >= 40


def test_the_same_seed_waits_the_same():
    waits = []
    for _ in range(2):
        clock = SimulatedClock()
        Retrier(clock, seed=5).call(Failing(clock, limited(), limited(), limited()))
        waits.append(clock.slept)
    assert waits[0] == waits[1]
    assert len(waits[0]) == 3


def test_hits_are_counted_over_all_threads(clock):
    retrier = Retrier(clock)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: retrier.call(Failing(clock, limited())), range(40)))
    assert retrier.rate_limit_hits == 40


@pytest.mark.parametrize(("error", "attempts"), [(limited, 12), (lambda: ProviderUnavailable("down"), 6)])
def test_a_call_inside_a_call_does_not_multiply_the_patience(clock, error, attempts):
    operation = Failing(clock, *[error() for _ in range(1000)])
    retrier = Retrier(clock, seed=1)
    with pytest.raises(type(error())):
        retrier.call(lambda: retrier.call(operation))
    assert len(operation.asked_at) == attempts
    assert retrier.rate_limit_hits == (attempts if error is limited else 0)


def test_a_call_after_a_nested_one_has_its_own_patience(clock):
    retrier = Retrier(clock, seed=1)
    with pytest.raises(RateLimited):
        retrier.call(lambda: retrier.call(Failing(clock, *[limited() for _ in range(1000)])))
    assert retrier.call(Failing(clock, limited())) == "answer"
