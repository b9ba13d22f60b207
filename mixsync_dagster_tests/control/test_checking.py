import threading
import time

import pytest

from mixsync_dagster.control.checking import CHECKS_AT_ONCE, answer_in_time, run_all
from mixsync_dagster.errors import AccessDenied, ProviderUnavailable


def raising(error):
    def ask():
        raise error

    return ask


def test_an_answer_in_time_is_given():
    assert answer_in_time(lambda: 5, 60) == 5
    assert answer_in_time(lambda: None, 60) is None


@pytest.mark.parametrize("error", [AccessDenied("no."), RuntimeError("a slip")])
def test_what_is_raised_in_time_is_raised(error):
    with pytest.raises(type(error)) as raised:
        answer_in_time(raising(error), 60)
    assert raised.value is error


def test_what_never_answers_is_given_up_after_the_time():
    never = threading.Event()
    began = time.monotonic()
    try:
        with pytest.raises(ProviderUnavailable) as late:
            answer_in_time(never.wait, 0.05)
    finally:
        never.set()
    assert time.monotonic() - began < 10
    assert str(late.value) == "There was no answer within 0.05 seconds (MIXSYNC_CHECK_SECONDS)."


def test_checks_run_at_once_and_are_answered_in_their_order():
    together = threading.Barrier(2, timeout=30)
    refused = AccessDenied("no.")

    def second():
        together.wait()
        raise refused

    assert run_all([together.wait, second]) == [None, refused]
    assert run_all([]) == []


def test_more_checks_than_run_at_once_are_all_run():
    ran = []
    checks = [lambda number=number: ran.append(number) for number in range(3 * CHECKS_AT_ONCE)]
    assert run_all(checks) == [None] * len(checks)
    assert sorted(ran) == list(range(len(checks)))


def test_an_error_that_is_none_of_ours_is_not_told_as_a_failed_check():
    with pytest.raises(RuntimeError):
        run_all([raising(RuntimeError("a slip"))])
