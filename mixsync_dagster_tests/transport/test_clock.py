from datetime import timedelta

from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.transport.clock import SystemClock


def test_the_system_clock_tells_utc_and_never_runs_backwards():
    clock: Clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    before = clock.monotonic()
    clock.sleep(0)
    clock.sleep(-1)
    assert clock.monotonic() >= before


def test_the_simulated_clock_moves_when_it_sleeps():
    clock: Clock = SimulatedClock()
    start = clock.now()
    clock.sleep(90)
    clock.sleep(-5)
    assert clock.now() - start == timedelta(seconds=90)
    assert clock.monotonic() == 90


def test_the_simulated_clock_remembers_every_wait():
    clock = SimulatedClock()
    clock.sleep(1)
    clock.advance(10)
    clock.sleep(2)
    assert clock.slept == [1, 2]
    assert clock.monotonic() == 13
