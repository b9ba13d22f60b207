"""Passes over a provider's change feed: what it tells is done, and what it cannot tell is listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mixsync_dagster.engine.feeding import list_changes
from mixsync_dagster.engine.probing import probe_sync
from mixsync_dagster.errors import ItemCorrupt, ProviderUnavailable
from mixsync_dagster.model.items import Shard
from mixsync_dagster.ports.provider import ChangePage, Cursor, Probe
from mixsync_dagster.testing.memory_feed import MemoryFeedProvider
from mixsync_dagster_tests.engine.support import SYNC, Crash, MortalStore, World

DAY = timedelta(days=1).total_seconds()


def asked(world: World) -> dict[str, int]:
    """Return how often the source was listed, asked for changes, its head and its news, and forget it."""
    counted = {verb: world.storage.count(verb) for verb in ("list", "changes", "head", "probe", "read")}
    world.forget_requests()
    return {verb: count for verb, count in counted.items() if count}


def test_after_a_listing_only_the_feed_is_read(fed: Callable[..., World]) -> None:
    world = fed()
    world.put("a", "b", "c")
    assert world.run().counters.created == 3
    assert asked(world) == {"head": 1, "list": 1, "read": 3}
    world.storage.put("b", b"new b")
    world.put("d")
    world.storage.delete("c")
    counters = world.run().counters
    assert (counters.created, counters.replaced, counters.removed, counters.discovered) == (1, 1, 1, 2)
    assert asked(world) == {"changes": 1, "read": 2}
    assert world.contents() == world.source()


def test_without_change_a_look_is_one_call_and_a_pass_is_one_page(fed: Callable[..., World]) -> None:
    world = fed()
    world.put("a", "b")
    assert probe_sync(world.tools(), world.sync, deadline_seconds=5) is Probe.CHANGED
    world.run()
    world.forget_requests()
    assert probe_sync(world.tools(), world.sync, deadline_seconds=5) is Probe.NOTHING_NEW
    assert asked(world) == {"probe": 1}
    assert world.run().counters.discovered == 0
    assert asked(world) == {"changes": 1}
    world.put("c")
    assert probe_sync(world.tools(), world.sync, deadline_seconds=5) is Probe.CHANGED


def test_what_changes_while_the_first_listing_goes_on_is_in_the_feed_after_it(fed: Callable[..., World]) -> None:
    world = fed()
    world.put("b", "c", "d", "e")

    def before(verb: str, _path: str) -> None:
        if verb == "list" and "a" not in world.storage.files and world.storage.count("list") == 2:
            world.put("a")
            world.storage.delete("b")

    world.storage.before = before
    world.run()
    world.run()
    assert world.contents() == world.source()
    assert "a" in world.contents()


def test_of_many_changes_of_an_item_the_last_one_counts(fed: Callable[..., World]) -> None:
    world = fed(page_rows=2)
    world.put("a", "b")
    world.run()
    for content in (b"1", b"2", b"3"):
        world.storage.put("a", content)
        world.put("x")
        world.storage.delete("x")
    world.storage.delete("b")
    world.storage.put("b", b"again")
    counters = world.run().counters
    assert (counters.created, counters.replaced, counters.removed) == (0, 2, 0)
    assert world.contents() == {"a": b"3", "b": b"again"}


def test_an_item_that_comes_back_after_it_was_told_gone_is_not_removed(fed: Callable[..., World]) -> None:
    world = fed()
    world.put("a")
    world.run()
    told = [
        ([], ("memory/a",), "5", False),
        (["a"], (), "6", True),
    ]
    provider = world.provider
    assert isinstance(provider, MemoryFeedProvider)
    provider.changes = lambda _after: (  # type: ignore[method-assign]
        ChangePage(provider._table(there), gone, Cursor(at), caught_up=end) for there, gone, at, end in told
    )
    (shard,) = list_changes(world_view(world), "0")
    assert (shard.gone, shard.table.num_rows, shard.caught_up) == ((), 1, True)
    assert world.run().counters.removed == 0


def world_view(world: World) -> Any:
    from mixsync_dagster.engine.context import SyncView

    return SyncView(world.tools(), world.sync)


def test_a_refused_position_leads_to_a_listing_in_the_same_run(fed: Callable[..., World]) -> None:
    world = fed()
    world.put("a", "b", "c")
    world.run()
    world.storage.delete("a")
    world.put("d")
    world.storage.forgotten = len(world.storage.log)
    world.forget_requests()
    assert probe_sync(world.tools(), world.sync, deadline_seconds=5) is Probe.CHANGED
    counters = world.run().counters
    assert (counters.created, counters.removed, counters.unchanged) == (1, 1, 2)
    assert asked(world) == {"probe": 1, "changes": 1, "head": 1, "list": 1, "read": 1}
    world.put("e")
    assert world.run().counters.created == 1
    assert asked(world) == {"changes": 1, "read": 1}
    assert world.contents() == world.source()


def test_a_position_refused_half_way_loses_nothing(fed: Callable[..., World]) -> None:
    world = fed(page_rows=2)
    world.put("a", "b", "c", "d")
    world.run()
    world.put("e", "f", "g", "h")
    world.storage.delete("a")

    def before(verb: str, position: str) -> None:
        world.clock.advance(3 if verb == "changes" else 0)
        if verb == "changes" and position == "6":
            world.storage.forgotten = 7

    world.storage.before = before
    counters = world.run().counters
    assert (counters.created, counters.removed) == (4, 1)
    assert world.contents() == world.source()
    feed = world.store.load_feed(SYNC)
    assert feed is not None
    assert feed.cursor == "9"


@pytest.mark.parametrize("hard", [True, False])
def test_a_pass_over_the_feed_that_ends_at_any_point_is_made_good(fed: Callable[..., World], hard: bool) -> None:
    number = 0
    while True:
        number += 1
        world = fed(page_rows=2, batch_size=2)
        world.put("a", "b", "c", "d")
        world.run()
        world.put("e", "f", "g")
        world.storage.put("b", b"new b")
        world.storage.delete("a")
        store = MortalStore(world.store)
        passed = 0

        def passing(_name: str, store: MortalStore = store, last: int = number) -> None:
            nonlocal passed
            passed += 1
            if passed == last:
                if hard:
                    store.dead.set()
                raise Crash

        try:
            world.run(world.tools(store=store, passing=passing))
        except Crash:
            world.clock.advance(world.limits.lease_seconds + 1)
            world.runs_until_settled()
            assert world.contents() == world.source()
            assert len(world.batched()) == 4 + 4
            assert len(set(world.batched())) == 8
        else:
            break
    assert number > 10


def test_everything_is_listed_once_a_day(fed: Callable[..., World]) -> None:
    world = fed()
    world.put("a")
    world.run()
    # What a feed never told: an entry that the vendor lost.
    world.put("lost")
    world.storage.log.pop()
    assert world.run().counters.created == 0
    world.clock.advance(DAY)
    assert world.run().counters.created == 1
    assert world.contents() == world.source()


def test_a_full_sync_lists_everything(fed: Callable[..., World]) -> None:
    world = fed()
    world.put("a")
    world.run()
    world.forget_requests()
    world.run(full_sync=True)
    assert asked(world) == {"head": 1, "list": 1}
    world.run()
    assert asked(world) == {"changes": 1}


def test_a_changed_configuration_lists_everything(fed: Callable[..., World]) -> None:
    world = fed(file_filters={"include_patterns": ["*.txt"]})
    world.put("a.txt", "b.bin")
    assert world.run().counters.created == 1
    world.store.update_sync(SYNC, {"file_filters": None})
    assert world.run().counters.created == 1
    assert world.contents() == world.source()


def test_a_configuration_changed_during_a_pass_lists_everything_after_it(fed: Callable[..., World]) -> None:
    for verb, runs_before in (("list", 0), ("changes", 1)):
        world = fed(file_filters={"include_patterns": ["*.txt"]})
        world.put("a.txt", "b.bin")
        for _ in range(runs_before):
            world.run()

        def before(asked: str, _path: str, world: World = world, verb: str = verb) -> None:
            if asked == verb:
                world.storage.before = lambda _verb, _path: None
                world.store.update_sync(SYNC, {"file_filters": None})

        world.storage.before = before
        world.run()
        assert sorted(world.contents()) == ["a.txt"]
        world.run()
        assert world.contents() == world.source()


def test_an_item_that_failed_is_tried_again_though_the_feed_does_not_tell_of_it(fed: Callable[..., World]) -> None:
    world = fed()
    world.put("a")
    world.run()
    world.put("b")
    broken = True

    def before(verb: str, path: str) -> None:
        if broken and (verb, path) == ("read", "b"):
            raise ItemCorrupt("The connection ended inside b.")

    world.storage.before = before
    assert world.run().counters.failed == 1
    broken = False
    assert world.run().counters.created == 1
    assert world.letters() == {}
    world.forget_requests()
    world.run()
    assert asked(world) == {"changes": 1}


def test_the_dead_letter_of_an_item_that_the_feed_tells_gone_is_closed(fed: Callable[..., World]) -> None:
    world = fed()
    world.put("a")
    world.run()
    world.storage.put("b", b"b", unreadable="archived")
    assert world.run().counters.failed == 1
    assert [letter.state for letter in world.letters().values()] == ["quarantined"]
    world.storage.delete("b")
    world.run()
    assert world.letters() == {}


def test_items_that_no_longer_pass_the_filters_go(fed: Callable[..., World]) -> None:
    world = fed(file_filters={"max_size_bytes": 3})
    world.put("a", "b")
    world.run()
    world.storage.put("a", b"too large")
    assert world.run().counters.removed == 1
    assert sorted(world.contents()) == ["b"]


def test_a_duplicate_becomes_an_object_when_its_owner_goes(fed: Callable[..., World]) -> None:
    world = fed()
    world.storage.put("a", b"same")
    world.storage.put("b", b"same")
    assert world.run().counters.duplicates == 1
    (owner,) = world.contents()
    world.storage.delete(owner)
    world.run()
    assert world.sync.pending_full_sync
    world.run()
    assert world.contents() == world.source()
    assert not world.sync.pending_full_sync


def test_more_removals_than_the_guard_allows_are_held_back_and_told_again(fed: Callable[..., World]) -> None:
    world = fed()
    world.put(*(f"{number:02}" for number in range(40)))
    world.run()
    for number in range(20):
        world.storage.delete(f"{number:02}")
    assert world.run().error is not None
    assert len(world.contents()) == 40
    world.store.set_paused(SYNC, False, reason=None, user_id=None)
    world.limits = replace(world.limits, removal_guard_percent=100.0)
    assert world.run().counters.removed == 20
    assert world.contents() == world.source()


def test_a_run_that_hits_its_cap_goes_on_in_the_next(fed: Callable[..., World]) -> None:
    world = fed(page_rows=2, max_objects_per_run=3)
    world.put("a", "b")
    world.run()
    world.put(*"cdefghij")
    assert world.run().counters.created == 3
    assert world.store.load_checkpoint(SYNC) is not None
    world.runs_until_settled()
    assert world.contents() == world.source()


@pytest.mark.parametrize("pages", [[("4", False), ("4", False)], [("5", False)], []])
def test_a_feed_that_does_not_advance_or_ends_early_is_an_outage(
    fed: Callable[..., World], pages: list[tuple[str, bool]]
) -> None:
    world = fed()
    world.put("a")
    world.run()
    provider = world.provider
    assert isinstance(provider, MemoryFeedProvider)
    provider.changes = lambda _after: (  # type: ignore[method-assign]
        ChangePage(provider._table([]), (), Cursor(at), caught_up=end) for at, end in pages
    )
    with pytest.raises(ProviderUnavailable, match="change feed"):
        world.run()
    assert world.store.list_runs(SYNC)[0].status == "interrupted"


def test_a_slice_of_a_feed_is_told_whole_by_its_header() -> None:
    from mixsync_dagster.model.items import empty_items

    shard = Shard(3, empty_items(), cursor="c", gone=("a", "b"), caught_up=True)
    listing = Shard(4, empty_items(), feed_head="h")
    for one in (shard, listing):
        again = Shard.from_header(one.header(), one.table)
        assert replace(again, table=one.table) == one
