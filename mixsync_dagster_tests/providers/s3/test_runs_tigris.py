"""Whole runs of the engine over a simulated Tigris: filtered listings between full ones, which find what is gone."""

from datetime import timedelta

import pytest

from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster.transport.retrying_provider import retrying
from mixsync_dagster_tests.engine.conftest import make_world, template  # noqa: F401 - fixtures are found by being here

DAY = timedelta(days=1).total_seconds()


class Sync:
    """A sync of the engine's world, each run of which has a provider of its own, as a process has."""

    def __init__(self, engine, world, simulator):
        self.engine, self.world, self.simulator = engine, world, simulator

    def run(self, **options):
        pacer = Retrier(self.engine.clock, seed=1)
        provider = retrying(self.world.provider("media"), pacer)
        return self.engine.run(self.engine.tools(provider=provider, provider_name="tigris", pacer=pacer), **options)

    def pages(self):
        """How many pages a run asks for."""
        before = self.simulator.listings
        self.run()
        return self.simulator.listings - before


@pytest.fixture
def sync(make_world, tigris_world, tigris_simulator):  # noqa: F811 - the fixture above
    rules = {"on_delete": True, "on_update": True, "on_filter_drift": True}
    made = Sync(make_world(source_type="tigris", reconcile=rules), tigris_world, tigris_simulator)
    for number in range(3):
        tigris_world.put(f"media/{number}.txt", b"%d" % number)
    made.run()
    return made


def test_a_run_without_change_is_one_page(sync):
    assert sync.pages() == 1
    assert len(sync.engine.contents()) == 3


def test_new_and_changed_objects_arrive_by_the_query_alone(sync):
    sync.world.put("media/1.txt", b"changed")
    sync.world.put("media/new.txt", b"new")
    counters = sync.run().counters
    assert (counters.created, counters.replaced, counters.removed) == (1, 1, 0)
    assert sync.engine.contents() == {
        "media/0.txt": b"0",
        "media/1.txt": b"changed",
        "media/2.txt": b"2",
        "media/new.txt": b"new",
    }


def test_what_is_gone_is_found_by_the_full_listing_a_day_later(sync):
    sync.world.delete("media/0.txt")
    assert sync.run().counters.removed == 0
    sync.engine.clock.advance(DAY)
    assert sync.run().counters.removed == 1
    assert sorted(sync.engine.contents()) == ["media/1.txt", "media/2.txt"]


def test_what_the_query_never_showed_is_found_by_the_full_listing(sync):
    sync.simulator.habits.hidden.add("media/late.txt")
    sync.world.put("media/late.txt", b"late")
    sync.simulator.habits.modified["media/late.txt"] = sync.engine.clock.now() - timedelta(days=365)
    sync.run()
    sync.simulator.habits.hidden.clear()
    assert sync.run().counters.created == 0
    sync.engine.clock.advance(DAY)
    assert sync.run().counters.created == 1


def test_a_service_that_no_longer_filters_is_listed(sync):
    sync.simulator.habits.refuses_queries = True
    sync.world.put("media/new.txt", b"new")
    sync.world.delete("media/0.txt")
    counters = sync.run().counters
    assert (counters.created, counters.removed) == (1, 1)
