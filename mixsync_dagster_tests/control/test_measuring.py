"""When the numbers of a sync say that it is not well."""

from datetime import timedelta

from mixsync_dagster.control.measuring import measure
from mixsync_dagster.control.syncs import pause
from mixsync_dagster_tests.control.support import applied


def measured(services):
    return measure(services.store, services.store.get_sync("videos"), services.clock.now())


def test_a_new_sync_is_well_until_nothing_comes_of_it(services, clock):
    applied(services)
    told = measured(services)
    assert (told.healthy, told.is_stale, told.stalled, told.last_run) == (True, False, False, None)
    assert (told.seconds_since_last_sync, told.intervals_since_last_sync) == (None, None)
    assert told.stale_after_seconds == 600
    clock.advance(601)
    assert (measured(services).is_stale, measured(services).stalled, measured(services).healthy) == (True, False, False)
    clock.advance(300)
    told = measured(services)
    assert told.stalled is True
    assert told.stalled_reason == "a run is due and none begins; a Dagster daemon with this code location starts it."


def test_a_paused_sync_is_neither_stale_nor_healthy(services, clock):
    applied(services)
    pause(services.store, services.store.get_sync("videos"))
    clock.advance(timedelta(days=1).total_seconds())
    told = measured(services)
    assert (told.healthy, told.is_stale, told.stalled) == (False, False, False)


def test_a_worker_that_is_gone_is_told(services, clock):
    applied(services)
    sync = services.store.get_sync("videos")
    services.store.acquire(sync.sync_config_id, "there:1", "run_x", ttl_seconds=60)
    assert measured(services).running is True
    clock.advance(400)
    told = measured(services)
    assert (told.stalled, told.healthy) == (True, False)
    assert told.stalled_reason == "the worker of the last run is gone; its lock expired 340 seconds ago."
