"""Reading ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mixsync_dagster.engine.walk import read_ahead

PATIENCE_SECONDS = 10.0


class Refused(BaseException):
    """An error that is no Exception."""


def ahead_threads() -> int:
    return sum(thread.name == "read-ahead" for thread in threading.enumerate())


def test_the_same_elements_come_in_the_same_order() -> None:
    assert list(read_ahead(iter(range(100)))) == list(range(100))


def test_nothing_becomes_nothing() -> None:
    assert list(read_ahead(iter(()))) == []


@pytest.mark.parametrize("error", [ValueError("broken"), Refused()])
def test_an_error_arrives_in_its_place(error: BaseException) -> None:
    def elements() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    reading = read_ahead(elements())
    assert [next(reading), next(reading)] == [1, 2]
    with pytest.raises(type(error)) as caught:
        next(reading)
    assert caught.value is error


def test_the_next_element_is_made_while_the_first_is_worked_on() -> None:
    made = threading.Event()

    def elements() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    reading = read_ahead(elements())
    assert next(reading) == 1
    assert made.wait(PATIENCE_SECONDS)
    assert list(reading) == [2]


def test_it_reads_no_further_than_two_elements_ahead() -> None:
    begun: list[int] = []
    third = threading.Event()

    def elements() -> Iterator[int]:
        for number in range(100):
            begun.append(number)
            if number == 2:
                third.set()
            yield number

    reading = read_ahead(elements())
    next(reading)
    assert third.wait(PATIENCE_SECONDS)
    reading.close()  # type: ignore[attr-defined]  # it is a generator
    # One was worked on, one waited, one was in the making.
    assert begun == [0, 1, 2]


def test_closing_early_ends_the_thread() -> None:
    before = ahead_threads()
    reading = read_ahead(iter(range(1_000_000)))
    next(reading)
    assert ahead_threads() == before + 1
    reading.close()  # type: ignore[attr-defined]  # it is a generator
    assert ahead_threads() == before


def test_the_thread_is_gone_after_the_end_and_after_an_error() -> None:
    before = ahead_threads()
    list(read_ahead(iter("abc")))

    def broken() -> Iterator[int]:
        raise ValueError
        yield 1

    with pytest.raises(ValueError):  # noqa: PT011 - the thread is the point
        list(read_ahead(broken()))
    assert ahead_threads() == before
