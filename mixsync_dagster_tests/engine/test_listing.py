"""The listing cut into shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from mixsync_dagster.engine.context import SyncView
from mixsync_dagster.engine.filtering import VERDICT, filter_items
from mixsync_dagster.engine.listing import list_items
from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.model.items import Shard, Span
from mixsync_dagster.ports.provider import Cursor, Page
from mixsync_dagster_tests.engine.support import OddProvider, World, sync_of


def listed(world: World, cursor: str | None = None, **settings: Any) -> list[Shard]:
    return list(list_items(SyncView(world.tools(), sync_of(**settings)), cursor))


def paths(shard: Shard) -> list[str]:
    found: list[str] = shard.table.column("path").to_pylist()
    return found


def slow_listing(world: World) -> None:
    """Make every page a shard of its own."""
    world.storage.before = lambda verb, _path: world.clock.advance(2.5 if verb == "list" else 0)


def test_a_quick_listing_is_one_shard_over_the_whole_scope(world: World) -> None:
    world.put(*"abcdefgh")
    (shard,) = listed(world)
    assert paths(shard) == list("abcdefgh")
    assert (shard.number, shard.span, shard.cursor, shard.discovered) == (0, Span(None, None), None, 8)


def test_an_empty_scope_is_one_empty_shard(world: World) -> None:
    (shard,) = listed(world)
    assert (paths(shard), shard.span, shard.cursor, shard.discovered) == ([], Span(None, None), None, 0)


def test_a_slow_listing_is_cut_every_two_seconds(world: World) -> None:
    world.put(*"abcdefgh")
    slow_listing(world)
    shards = listed(world)
    assert [paths(shard) for shard in shards] == [list("abc"), list("def"), list("gh")]
    assert [shard.cursor for shard in shards] == ["c", "f", None]
    assert [shard.number for shard in shards] == [0, 1, 2]
    assert [shard.span for shard in shards] == [
        Span(None, "memory/c"),
        Span("memory/c", "memory/f"),
        Span("memory/f", None),
    ]


def test_a_listing_goes_on_behind_its_cursor(world: World) -> None:
    world.put(*"abcdefgh")
    (shard,) = listed(world, "d")
    assert paths(shard) == list("efgh")
    assert shard.span == Span("memory/d", None)


def test_listing_stops_once_more_than_the_cap_needs_work(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.put(*"abcdefghijklmnopqrstuvwxyz")
    slow_listing(world)
    shards = listed(world, max_objects_per_run=4)
    assert len(shards) < 5
    assert sum(len(paths(shard)) for shard in shards) > 4


def test_listing_does_not_stop_for_items_that_need_nothing(world: World) -> None:
    world.put(*"abcdefghijklmnopqrstuvwxyz")
    world.run()
    slow_listing(world)
    assert sum(len(paths(shard)) for shard in listed(world, max_objects_per_run=4)) == 26


def test_a_listing_that_does_not_advance_is_ended(world: World) -> None:
    class Stuck(OddProvider):
        def list_pages(self, after: Cursor | None = None, *, hints: Sequence[str] = ()) -> Iterator[Page]:
            page = next(super().list_pages(after, hints=hints))
            while True:
                yield page

    world.put(*"abcdefgh")
    world.provider = Stuck(world.storage)
    with pytest.raises(ProviderUnavailable, match="does not advance"):
        listed(world)


def test_filtered_rows_stay_with_their_verdict(world: World) -> None:
    world.put("a.txt", "b.mp4")
    view = SyncView(world.tools(), sync_of(file_filters={"extensions": ["txt"]}))
    (shard,) = list_items(view, None)
    filtered = filter_items(view, shard)
    assert filtered.table.column(VERDICT).to_pylist() == [None, "extensions"]
    assert filtered.verdicts == {"extensions": 1}
