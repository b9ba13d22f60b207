"""What every provider has to do that keeps a log of changes.

A feed may tell more than what changed: nothing here fails where it repeats what it told before. It may refuse a
position when only a listing can tell what happened, as where folders changed: the files of these tests lie in none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.model.items import ITEM_SCHEMA
from mixsync_dagster.ports.provider import Cursor, Probe
from mixsync_dagster.testing.contracts.provider_world import applied, fill, listed, need_feed, one

if TYPE_CHECKING:
    from mixsync_dagster.ports.provider import ChangePage
    from mixsync_dagster.testing.contracts.provider_world import ProviderWorld, Told


class ChangeFeedContract:
    """The promises of the ChangeFeed port; skipped where no feed is declared.

    Every question is put to a new provider: a position means the same after a restart.
    """

    def test_a_feed_without_news_gives_one_empty_page(self, world: ProviderWorld) -> None:
        pages = _changes(world, need_feed(world).head())
        assert [(page.items.num_rows, page.removed, page.caught_up) for page in pages] == [(0, (), True)]

    def test_what_is_put_after_the_head_is_told_as_it_is_listed(self, world: ProviderWorld) -> None:
        head = need_feed(world).head()
        item = one(world, "new.txt")
        assert list(_told(world, head).items.values()) == [item]

    def test_what_is_overwritten_after_the_head_is_told_as_it_is_now(self, world: ProviderWorld) -> None:
        need_feed(world)
        before = one(world, content=b"before")
        head = need_feed(world).head()
        after = one(world, content=b"after!")
        assert before.version != after.version
        assert _told(world, head).items == {after.source_object_id: after}

    def test_of_several_changes_of_an_item_the_last_one_counts(self, world: ProviderWorld) -> None:
        head = need_feed(world).head()
        for content in (b"first", b"second", b"third"):
            item = one(world, content=content)
        assert _told(world, head).items == {item.source_object_id: item}

    def test_what_came_and_went_is_not_there(self, world: ProviderWorld) -> None:
        head = need_feed(world).head()
        world.put("gone.txt", b"x")
        world.delete("gone.txt")
        assert _told(world, head).items == {}

    def test_what_went_and_came_again_is_there(self, world: ProviderWorld) -> None:
        need_feed(world)
        one(world)
        head = need_feed(world).head()
        world.delete("one.txt")
        again = one(world, content=b"again")
        told = _told(world, head)
        assert told.items == {again.source_object_id: again}
        assert again.source_object_id not in told.gone

    def test_pages_have_exactly_the_columns_of_the_schema(self, world: ProviderWorld) -> None:
        assert all(page.items.schema.equals(ITEM_SCHEMA) for page in _many(world))

    def test_many_changes_come_in_several_pages_of_which_the_last_has_caught_up(self, world: ProviderWorld) -> None:
        pages = _many(world)
        assert len(pages) > 1
        assert [page.caught_up for page in pages] == [False] * (len(pages) - 1) + [True]
        assert all(page.items.num_rows <= world.page_rows for page in pages)

    def test_positions_are_printable_and_short(self, world: ProviderWorld) -> None:
        cursors = [need_feed(world).head()]
        for number in range(2 * world.page_rows):
            world.put(f"{number}" + "\U0001f600" * 60, b"a long name that is not ASCII")
        cursors += [page.cursor for page in _changes(world, cursors[0])]
        assert all(cursor.isascii() and cursor.isprintable() and len(cursor) < 4096 for cursor in cursors)

    def test_a_feed_goes_on_behind_every_page(self, world: ProviderWorld) -> None:
        pages = _many(world)
        everything = applied(pages).items
        assert len(everything) == 23
        for number, page in enumerate(pages[:-1], start=1):
            rest = _changes(world, page.cursor)
            assert applied([*pages[:number], *rest]).items == everything

    def test_asking_uses_nothing_up(self, world: ProviderWorld) -> None:
        head = need_feed(world).head()
        item = one(world)
        first = _told(world, head)
        assert first.paths == [item.path]
        assert _told(world, head) == first

    def test_what_changes_after_the_end_is_told_by_the_next_pass(self, world: ProviderWorld) -> None:
        pages = _many(world)
        item = one(world, "later.txt")
        assert _told(world, pages[-1].cursor).items.get(item.source_object_id) == item

    def test_what_was_told_and_caught_up_with_is_no_news(self, world: ProviderWorld) -> None:
        pages = _many(world)
        assert need_feed(world).probe(pages[-1].cursor) is not Probe.CHANGED

    def test_positions_of_one_time_mean_the_same(self, world: ProviderWorld) -> None:
        provider = need_feed(world)
        first, second = provider.head(), need_feed(world).head()
        item = one(world)
        assert _told(world, first).items == _told(world, second).items == {item.source_object_id: item}

    def test_changes_outside_of_the_source_path_are_not_told_as_items(self, world: ProviderWorld) -> None:
        need_feed(world)
        for path in ("media/before.txt", "other/before.txt"):
            world.put(path, b"x")
        head = need_feed(world, "media").head()
        for path in ("media/a.txt", "mediator.txt", "media-old/b.txt", "other/before.txt"):
            world.put(path, b"y")
        inside = {item.source_object_id: item for item in listed(world.provider("media"))}
        try:
            told = applied(list(need_feed(world, "media").changes(head))).items
        except CursorExpired:
            return
        assert told.keys() <= inside.keys()
        assert "a.txt" in {item.name for item in told.values()}

    def test_a_feed_given_up_early_leaves_the_provider_usable(self, world: ProviderWorld) -> None:
        head = need_feed(world).head()
        fill(world, folder="")
        provider = need_feed(world)
        pages = provider.changes(head)
        next(pages)
        del pages
        assert len(applied(list(provider.changes(head))).items) == 23

    def test_a_probe_at_the_head_finds_nothing_new(self, world: ProviderWorld) -> None:
        need_feed(world)
        one(world)
        assert need_feed(world).probe(need_feed(world).head()) is Probe.NOTHING_NEW

    def test_a_probe_does_not_miss_a_change(self, world: ProviderWorld) -> None:
        need_feed(world)
        item = one(world, content=b"before")
        head = need_feed(world).head()
        world.put(item.path, b"after!")
        assert need_feed(world).probe(head) is not Probe.NOTHING_NEW

    def test_a_probe_does_not_miss_a_removal_that_the_feed_tells(self, world: ProviderWorld) -> None:
        if not need_feed(world).capabilities.reports_removals:
            pytest.skip("this provider's feed tells no removals")
        item = one(world)
        head = need_feed(world).head()
        world.delete(item.path)
        assert need_feed(world).probe(head) is not Probe.NOTHING_NEW

    def test_a_probe_moves_nothing(self, world: ProviderWorld) -> None:
        provider = need_feed(world)
        head = provider.head()
        item = one(world)
        provider.probe(head)
        assert applied(list(provider.changes(head))).items == {item.source_object_id: item}

    def test_a_position_that_is_none_of_its_own_is_refused(self, world: ProviderWorld) -> None:
        foreign = Cursor("no cursor \x00 of anybody")
        need_feed(world)
        with pytest.raises(CursorExpired):
            _changes(world, foreign)
        with pytest.raises(CursorExpired):
            need_feed(world).probe(foreign)

    def test_a_position_in_a_listing_is_none_in_the_feed(self, world: ProviderWorld) -> None:
        need_feed(world)
        fill(world)
        in_listing = next(iter(world.provider().list_pages())).cursor
        assert in_listing is not None
        with pytest.raises(CursorExpired):
            _changes(world, in_listing)


def _changes(world: ProviderWorld, after: Cursor) -> list[ChangePage]:
    return list(need_feed(world).changes(after))


def _told(world: ProviderWorld, after: Cursor) -> Told:
    return applied(_changes(world, after))


def _many(world: ProviderWorld) -> list[ChangePage]:
    head = need_feed(world).head()
    fill(world, folder="")
    return _changes(world, head)
