"""What metadata filters refused is asked once, and again only when there is a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from mixsync_dagster.engine.context import RunLimits, SyncView
from mixsync_dagster.engine.dry_run import plan_sync
from mixsync_dagster.engine.filtering import filter_items
from mixsync_dagster.engine.listing import list_items
from mixsync_dagster.engine.planning import plan_changes
from mixsync_dagster.engine.probing import probe_sync
from mixsync_dagster.errors import ItemCorrupt
from mixsync_dagster.ports.provider import Page, Probe
from mixsync_dagster_tests.engine.support import SYNC, Crash, MortalStore, OddProvider, World

BLUE = {"metadata_filters": [{"field": "team", "operator": "equals", "value": "blue"}]}
RED = {"metadata_filters": [{"field": "team", "operator": "equals", "value": "red"}]}
KEEP = {"on_filter_drift": False}


@pytest.fixture
def blue(make_world: Callable[..., World]) -> World:
    """A world whose sync takes files of the team blue, after one run over one of them and two others."""
    world = make_world(file_filters=BLUE)
    paint(world, a="blue", b="red", c="red")
    world.run()
    world.forget_requests()
    return world


def paint(world: World, **teams: str) -> None:
    """Write files that belong to these teams; their content is the team, or what follows a slash."""
    for path, team in teams.items():
        name, _, content = team.partition("/")
        world.storage.put(path, f"{path} {content or name}".encode(), tags={"team": name})


def asked(world: World) -> list[str]:
    """Return the paths whose attributes were read since the last time, sorted."""
    paths = sorted(path for verb, path in world.storage.requests if verb == "attributes")
    world.forget_requests()
    return paths


def refused(world: World) -> list[str]:
    """Return the source object ids whose refusal is remembered."""
    ids: list[str] = world.store.refusals_span(SYNC, None, None).column("source_object_id").to_pylist()
    return ids


def look(world: World) -> Probe:
    return probe_sync(world.tools(), world.sync, deadline_seconds=60.0)


class Unordered(OddProvider):
    """A provider whose listing says nothing about what is not in it."""

    def list_pages(self, *args: Any, **kwargs: Any) -> Iterator[Page]:
        """Yield the same pages without spans."""
        for page in super().list_pages(*args, **kwargs):
            yield replace(page, span=None)


def test_a_pass_without_change_asks_nothing_and_counts_the_same(blue: World) -> None:
    counters = blue.run().counters
    assert (counters.filtered, counters.unchanged, counters.discovered) == ({"metadata_filters": 2}, 1, 3)
    assert asked(blue) == []


def test_a_look_finds_nothing_new_and_asks_nothing(blue: World) -> None:
    assert look(blue) is Probe.NOTHING_NEW
    assert asked(blue) == []


def test_a_dry_run_counts_what_was_refused_as_taken_out(blue: World) -> None:
    told = plan_sync(blue.tools(), blue.sync)
    assert (told.create, told.rejected, told.unchanged) == (0, {"metadata_filters": 2}, 1)


def test_other_filters_ask_again(blue: World) -> None:
    blue.store.update_sync(SYNC, {"file_filters": RED})
    assert look(blue) is Probe.CHANGED
    assert blue.run().counters.created == 2
    assert asked(blue) == ["b", "c"]
    assert refused(blue) == []


def test_the_same_filters_in_another_order_ask_nothing(make_world: Callable[..., World]) -> None:
    first = {"field": "team", "operator": "equals", "value": "blue"}
    second = {"field": "team", "operator": "exists"}
    world = make_world(file_filters={"metadata_filters": [first, second]})
    paint(world, b="red")
    world.run()
    world.forget_requests()
    world.store.update_sync(SYNC, {"file_filters": {"metadata_filters": [second, first]}})
    world.run()
    assert asked(world) == []


def test_a_new_version_is_asked_again_and_its_refusal_remembered(blue: World) -> None:
    paint(blue, b="red/new", c="blue")
    assert look(blue) is Probe.CHANGED
    counters = blue.run().counters
    assert (counters.created, counters.filtered) == (1, {"metadata_filters": 1})
    assert asked(blue) == ["b", "c"]
    assert refused(blue) == ["memory/b"]
    blue.run()
    assert asked(blue) == []


def test_another_metadata_version_is_asked_again(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters=BLUE)
    odd = OddProvider(world.storage)
    world.provider = odd
    odd.metadata_versions.update(b="m1")
    paint(world, b="red")
    world.run()
    world.run()
    assert asked(world) == ["b"]
    odd.metadata_versions.update(b="m2")
    world.run()
    assert asked(world) == ["b"]


def test_only_a_full_sync_sees_tags_that_changed_alone(blue: World) -> None:
    blue.storage.files["b"].tags = {"team": "blue"}
    assert blue.run().counters.created == 0
    counters = blue.run(full_sync=True).counters
    assert (counters.created, counters.filtered) == (1, {"metadata_filters": 1})
    assert asked(blue) == ["b", "c"]
    blue.run()
    assert asked(blue) == []


@pytest.mark.parametrize("hard", [True, False])
def test_a_crash_before_the_commit_loses_nothing(make_world: Callable[..., World], hard: bool) -> None:
    world = make_world(file_filters=BLUE)
    paint(world, a="blue", b="red", c="red")
    store = MortalStore(world.store)

    def passing(name: str) -> None:
        if name == "committing":
            if hard:
                store.dead.set()
            raise Crash

    with pytest.raises(Crash):
        world.run(world.tools(store=store, passing=passing))
    assert asked(world) == ["a", "b", "c"]
    assert refused(world) == []
    world.clock.advance(world.limits.lease_seconds + 1)
    counters = world.run().counters
    assert (counters.created, counters.filtered) == (1, {"metadata_filters": 2})
    assert asked(world) == ["a", "b", "c"]
    assert world.contents() == {"a": b"a blue"}


def test_an_object_that_drifted_is_removed_once_and_not_asked_for_again(blue: World) -> None:
    paint(blue, a="red")
    assert blue.run().counters.removed == 1
    assert asked(blue) == ["a"]
    assert look(blue) is Probe.NOTHING_NEW
    counters = blue.run().counters
    assert (counters.removed, counters.filtered) == (0, {"metadata_filters": 3})
    assert asked(blue) == []
    assert blue.contents() == {}


def test_an_object_that_may_stay_is_not_asked_for_again(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters=BLUE, reconcile=KEEP)
    paint(world, a="blue")
    world.run()
    paint(world, a="red")
    world.run()
    world.forget_requests()
    assert look(world) is Probe.NOTHING_NEW
    counters = world.run().counters
    assert (counters.unchanged, counters.removed, counters.filtered) == (0, 0, {"metadata_filters": 1})
    assert asked(world) == []
    assert world.contents() == {"a": b"a blue"}
    world.store.update_sync(SYNC, {"reconcile": {"on_filter_drift": True}})
    assert world.run().counters.removed == 1
    assert asked(world) == []


def test_a_removal_that_the_guard_held_back_is_made_later_without_asking(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters=BLUE)
    world.limits = RunLimits(removal_guard_floor=0)
    paint(world, a="blue", b="blue")
    world.run()
    paint(world, a="red")
    assert world.run().status == "failed"
    assert sorted(world.contents()) == ["a", "b"]
    world.forget_requests()
    world.store.set_paused(SYNC, paused=False, reason=None, user_id=None)
    world.limits = RunLimits()
    assert world.run().counters.removed == 1
    assert world.run().counters.filtered == {"metadata_filters": 1}
    assert asked(world) == []


def test_what_is_gone_is_forgotten(blue: World) -> None:
    blue.storage.delete("b")
    assert look(blue) is Probe.NOTHING_NEW
    blue.run()
    assert refused(blue) == ["memory/c"]


def test_what_other_filters_take_out_is_forgotten(blue: World) -> None:
    blue.store.update_sync(SYNC, {"file_filters": {**BLUE, "exclude_patterns": ["b"]}})
    assert blue.run().counters.filtered == {"exclude_patterns": 1, "metadata_filters": 1}
    assert refused(blue) == ["memory/c"]


def test_an_unordered_listing_asks_once_too(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters=BLUE)
    odd = Unordered(world.storage)
    odd.changes = {"ordered_listing": False}
    world.provider = odd
    paint(world, a="blue", b="red", c="red", d="red")
    world.run()
    assert asked(world) == ["a", "b", "c", "d"]
    paint(world, a="red", c="blue")
    world.storage.delete("d")
    counters = world.run().counters
    assert (counters.created, counters.removed, counters.filtered) == (1, 1, {"metadata_filters": 2})
    assert asked(world) == ["a", "c"]
    # Such a listing does not tell that d is gone; its row is harmless and goes with the next full sync.
    assert refused(world) == ["memory/a", "memory/b", "memory/d"]
    world.run(full_sync=True)
    assert refused(world) == ["memory/a", "memory/b"]


def test_a_file_that_can_be_read_again_is_asked(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters=BLUE)
    world.storage.put("a", b"a", tags={"team": "blue"}, unreadable="archived")
    assert world.run().counters.filtered == {"metadata_filters": 1}
    assert look(world) is Probe.NOTHING_NEW
    assert asked(world) == []
    world.storage.files["a"].unreadable = None
    assert world.run().counters.created == 1


def test_a_refused_item_is_no_dead_letter_any_more(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters=BLUE)
    paint(world, a="red")

    def before(verb: str, _path: str) -> None:
        if verb == "attributes":
            raise ItemCorrupt("its answer was cut.")

    world.storage.before = before
    world.run()
    assert [letter.state for letter in world.letters().values()] == ["waiting"]
    world.storage.before = lambda _verb, _path: None
    world.run()
    assert world.letters() == {}
    world.forget_requests()
    world.run()
    assert asked(world) == []


def test_a_run_that_stops_at_its_cap_asks_nothing_twice(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters=BLUE, max_objects_per_run=1)
    paint(world, a="blue", b="red", c="blue", d="red")
    world.run()
    assert asked(world) == ["a", "b", "c", "d"]
    assert refused(world) == ["memory/b", "memory/d"]
    world.run()
    assert asked(world) == ["c"]
    assert sorted(world.contents()) == ["a", "c"]


def test_without_metadata_filters_nothing_is_looked_up(make_world: Callable[..., World]) -> None:
    world = make_world()
    paint(world, a="blue")
    store = MortalStore(world.store)
    view = SyncView(world.tools(store=store), world.sync)
    [shard] = list_items(view, None)
    called: list[str] = []

    class Noting(MortalStore):
        def __getattr__(self, name: str) -> Any:
            called.append(name)
            return super().__getattr__(name)

    plan_changes(SyncView(world.tools(store=Noting(world.store)), world.sync), filter_items(view, shard))
    assert called == ["inventory_span", "has_standing_dead_letters"]
