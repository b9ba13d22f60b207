"""A cheap look whether anything changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mixsync_dagster.engine.probing import probe_sync
from mixsync_dagster.errors import AccessDenied
from mixsync_dagster.ports.provider import Probe
from mixsync_dagster_tests.engine.support import SYNC, World


def probe(world: World, deadline_seconds: float = 5.0) -> Probe:
    return probe_sync(world.tools(), world.sync, deadline_seconds=deadline_seconds)


def slow_listing(world: World) -> None:
    """Make every page a shard of its own."""
    world.storage.before = lambda verb, _path: world.clock.advance(2.5 if verb == "list" else 0)


def test_an_empty_source_has_nothing_new(world: World) -> None:
    assert probe(world) is Probe.NOTHING_NEW


def test_nothing_is_new_after_a_run(world: World) -> None:
    world.put(*"abcdefgh")
    world.run()
    assert probe(world) is Probe.NOTHING_NEW


@pytest.mark.parametrize("change", ["new", "changed", "gone"])
def test_any_change_is_seen(world: World, change: str) -> None:
    world.put("a", "b")
    world.run()
    if change == "gone":
        world.storage.delete("a")
    else:
        world.storage.put("c" if change == "new" else "a", b"other")
    assert probe(world) is Probe.CHANGED


def test_a_new_file_that_filters_take_out_is_no_change(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters={"extensions": ["txt"]})
    world.put("a.txt")
    world.run()
    world.put("b.mp4")
    assert probe(world) is Probe.NOTHING_NEW


def test_a_removal_that_is_not_wanted_is_no_change(make_world: Callable[..., World]) -> None:
    world = make_world(reconcile={"on_delete": False})
    world.put("a", "b")
    world.run()
    world.storage.delete("a")
    assert probe(world) is Probe.NOTHING_NEW


def test_a_quarantined_file_is_no_change(world: World) -> None:
    world.storage.put("a", b"a", unreadable="archived")
    world.run()
    assert probe(world) is Probe.NOTHING_NEW


def test_the_first_change_ends_the_look(world: World) -> None:
    world.put(*"abcdefghijkl")
    world.run()
    world.storage.put("a", b"new")
    slow_listing(world)
    world.forget_requests()
    assert probe(world, 1000) is Probe.CHANGED
    assert world.storage.count("list") == 1


def test_a_look_that_takes_too_long_is_undecided(world: World) -> None:
    world.put(*"abcdefghijkl")
    world.run()
    world.storage.put("l", b"new")
    slow_listing(world)
    assert probe(world, 5.0) is Probe.UNKNOWN
    assert probe(world, 60.0) is Probe.CHANGED


def test_a_listing_that_ends_with_its_time_is_decided(world: World) -> None:
    world.put("a", "b")
    world.run()
    slow_listing(world)
    assert probe(world, 1.0) is Probe.NOTHING_NEW


def test_a_look_writes_nothing_reads_no_content_and_needs_no_lock(world: World) -> None:
    world.put("a")
    world.store.acquire(SYNC, "worker", "run", ttl_seconds=60)
    before = world.sync
    assert probe(world) is Probe.CHANGED
    assert world.sync == before
    assert world.reads() == []
    assert world.objects() == {}


def test_what_the_provider_raises_passes(world: World) -> None:
    def before(verb: str, path: str) -> None:
        raise AccessDenied("the key is refused.")

    world.storage.before = before
    with pytest.raises(AccessDenied):
        probe(world)
