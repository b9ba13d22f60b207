"""Quiet times that the workers of a connection share through the store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mixsync_dagster.errors import RateLimited
from mixsync_dagster.ports.pacing import QuietStore
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.transport.quiet import SharedQuiet
from mixsync_dagster.transport.retry import Retrier


def left(store: QuietStore, connection_id: str = "conn_a") -> int:
    """Return the quiet time that is left, in whole seconds: PostgreSQL measures it by a clock of its own."""
    return round(store.quiet_seconds(connection_id))


def test_nobody_is_quiet_at_first(store):
    assert store.quiet_seconds("conn_a") == 0.0


def test_a_quiet_time_is_seen_by_other_processes_and_not_by_other_connections(store, url, clock):
    store.keep_quiet("conn_a", 40.0)
    other = SqlStateStore.open(url, clock=clock, key=b"k" * 32)
    assert left(other) == 40
    assert left(other, "conn_b") == 0
    other.close()


def test_the_longest_quiet_time_stands(store):
    for seconds in (10.0, 40.0, 20.0):
        store.keep_quiet("conn_a", seconds)
    assert left(store) == 40


def test_a_quiet_time_that_is_over_is_0(store):
    store.keep_quiet("conn_a", 0.0)
    assert store.quiet_seconds("conn_a") == 0.0


def test_an_id_of_any_characters_is_taken(store):
    store.keep_quiet("conn\x00\x01é", 40.0)
    assert left(store, "conn\x00\x01é") == 40


@pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
def test_a_quiet_time_passes(store, clock):
    store.keep_quiet("conn_a", 40.0)
    clock.advance(15)
    assert store.quiet_seconds("conn_a") == 25.0
    clock.advance(25)
    assert store.quiet_seconds("conn_a") == 0.0
    store.keep_quiet("conn_a", 5.0)
    assert store.quiet_seconds("conn_a") == 5.0


@pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
def test_a_clock_that_is_put_back_keeps_nobody_quiet(store, url, clock):
    store.keep_quiet("conn_a", 40.0)
    behind = SqlStateStore.open(url, clock=SimulatedClock(clock.now() - timedelta(hours=1)), key=b"k" * 32)
    assert behind.quiet_seconds("conn_a") == 0.0
    behind.keep_quiet("conn_a", 5.0)
    assert behind.quiet_seconds("conn_a") == 5.0
    behind.close()


def test_two_workers_keep_the_backoff_of_a_refusal_that_names_no_time(store, url, clock):
    def refuse():
        raise RateLimited("slow down.")

    other = SqlStateStore.open(url, clock=clock, key=b"k" * 32)
    refused = Retrier(clock, shared=SharedQuiet(store, "conn_a", clock), rate_limit_attempts=1, seed=3)
    with pytest.raises(RateLimited):
        refused.call(refuse)
    told_seconds = other.quiet_seconds("conn_a")
    assert 0 < told_seconds <= 1
    waiting = Retrier(clock, shared=SharedQuiet(other, "conn_a", clock))
    assert waiting.call(clock.monotonic) >= told_seconds
    free = Retrier(clock, shared=SharedQuiet(other, "conn_b", clock))
    slept = len(clock.slept)
    free.call(clock.monotonic)
    assert len(clock.slept) == slept
    other.close()
