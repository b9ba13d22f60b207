"""What every provider of files has to do.

Bind the suites of what a provider declares in an adapter's tests:

    class TestMyProvider(ProviderContract, ChangeFeedContract, AttributeSourceContract):
        @pytest.fixture
        def world(self) -> ProviderWorld: ...

What a provider declares in its capabilities decides which tests run: the others are skipped. `PowersContract` checks
that the declaration is honest, and that the suites of all declared powers are bound.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mixsync_dagster.errors import CursorExpired, ItemChanged, ItemVanished, PathNotFound
from mixsync_dagster.model.items import ITEM_SCHEMA, items_of
from mixsync_dagster.ports.provider import Cursor
from mixsync_dagster.testing.contracts.powers import PowersContract
from mixsync_dagster.testing.contracts.provider_world import ODD_NAMES, ProviderWorld, fetch, fill, listed, one

if TYPE_CHECKING:
    from mixsync_dagster.ports.provider import Page

__all__ = ["ODD_NAMES", "ProviderContract", "ProviderWorld", "fetch", "listed"]


LARGEST_CHUNK_BYTES = 2 * 1024 * 1024
"""What a reader may hand out at once: many threads read at the same time."""


class ListingContract:
    """Listings: whole, in pages, to be gone on with."""

    def test_an_empty_container_gives_one_page_without_items_that_is_the_last(self, world: ProviderWorld) -> None:
        pages = list(world.provider().list_pages())
        assert [(page.items.num_rows, page.cursor) for page in pages] == [(0, None)]

    def test_everything_put_is_listed_exactly_once(self, world: ProviderWorld) -> None:
        paths = fill(world)
        assert sorted(item.path for item in listed(world.provider())) == paths

    def test_a_page_has_exactly_the_columns_of_the_schema(self, world: ProviderWorld) -> None:
        assert all(page.items.schema.equals(ITEM_SCHEMA) for page in _pages(world))

    def test_many_items_come_in_several_pages(self, world: ProviderWorld) -> None:
        pages = _pages(world)
        assert len(pages) > 1
        assert all(page.items.num_rows <= world.page_rows for page in pages)

    def test_only_the_last_page_has_no_cursor(self, world: ProviderWorld) -> None:
        cursors = [page.cursor for page in _pages(world)]
        assert cursors[-1] is None
        assert None not in cursors[:-1]

    def test_cursors_are_printable_and_short(self, world: ProviderWorld) -> None:
        for number in range(2 * world.page_rows):
            world.put(f"{number}" + "\U0001f600" * 60, b"a long name that is not ASCII")
        cursors = [page.cursor for page in _pages(world) if page.cursor is not None]
        assert cursors
        assert all(cursor.isascii() and cursor.isprintable() and len(cursor) < 4096 for cursor in cursors)

    def test_identities_are_distinct_and_stay_the_same(self, world: ProviderWorld) -> None:
        fill(world)
        first = [item.source_object_id for item in listed(world.provider())]
        assert len(set(first)) == len(first)
        assert sorted(first) == sorted(item.source_object_id for item in listed(world.provider()))

    def test_an_item_tells_its_size(self, world: ProviderWorld) -> None:
        assert one(world, content=b"seven b").size_bytes == 7

    def test_an_item_tells_when_it_was_modified_in_utc(self, world: ProviderWorld) -> None:
        modified_at = one(world).modified_at
        assert modified_at is not None
        assert modified_at.utcoffset() == timedelta(0)

    def test_an_item_tells_its_name(self, world: ProviderWorld) -> None:
        assert one(world, "a/b/name.txt").name == "name.txt"

    def test_the_version_stays_while_nothing_changes(self, world: ProviderWorld) -> None:
        version = one(world).version
        assert version
        assert [item.version for item in listed(world.provider())] == [version]

    def test_the_version_changes_with_the_content(self, world: ProviderWorld) -> None:
        before = one(world, content=b"before").version
        assert one(world, content=b"after!").version != before

    def test_what_was_deleted_is_not_listed(self, world: ProviderWorld) -> None:
        paths = fill(world)
        world.delete(paths[4])
        assert sorted(item.path for item in listed(world.provider())) == paths[:4] + paths[5:]

    def test_a_listing_goes_on_behind_every_cursor_or_refuses_it(self, world: ProviderWorld) -> None:
        pages = _pages(world)
        before: list[str] = []
        everything = sorted(item.path for page in pages for item in items_of(page.items))
        for page in pages[:-1]:
            before += [item.path for item in items_of(page.items)]
            try:
                rest = [item.path for item in listed(world.provider(), page.cursor)]
            except CursorExpired:
                assert not world.provider().capabilities.ordered_listing
                return
            assert sorted(before + rest) == everything

    def test_a_cursor_that_is_none_of_its_own_is_refused(self, world: ProviderWorld) -> None:
        fill(world)
        with pytest.raises(CursorExpired):
            list(world.provider().list_pages(Cursor("no cursor \x00 of anybody")))

    def test_a_listing_given_up_early_leaves_the_provider_usable(self, world: ProviderWorld) -> None:
        paths = fill(world)
        provider = world.provider()
        pages = provider.list_pages(hints=[item.source_object_id for item in listed(provider)[3::4]])
        next(pages)
        del pages
        assert len(listed(provider)) == len(paths)


class OrderContract:
    """Order and spans of listings, hints for parts of them, and what a source path takes in."""

    def test_identities_ascend_by_code_point_where_order_is_declared(self, world: ProviderWorld) -> None:
        _need_order(world)
        for path in ("d", "d/e", "d-x", "d0", "B", "b", "\u00e9", "\uffee", "\U0001f600"):
            world.put(path, b"x")
        identities = [item.source_object_id for item in listed(world.provider())]
        assert len(identities) == 9
        assert identities == sorted(identities)

    def test_spans_cover_the_scope_without_gap_where_order_is_declared(self, world: ProviderWorld) -> None:
        _need_order(world)
        spans = [page.span for page in _pages(world)]
        assert all(span is not None for span in spans)
        edges = [(span.after, span.upto) for span in spans if span is not None]
        assert edges[0][0] is None
        assert edges[-1][1] is None
        assert [after for after, _ in edges[1:]] == [upto for _, upto in edges[:-1]]

    def test_items_lie_inside_their_span_where_order_is_declared(self, world: ProviderWorld) -> None:
        _need_order(world)
        for page in _pages(world):
            assert page.span is not None
            for item in items_of(page.items):
                assert page.span.after is None or item.source_object_id > page.span.after
                assert page.span.upto is None or item.source_object_id <= page.span.upto

    def test_no_span_is_told_where_no_order_is_declared(self, world: ProviderWorld) -> None:
        if world.provider().capabilities.ordered_listing:
            pytest.skip("this provider lists in order")
        assert {page.span for page in _pages(world)} == {None}

    def test_hints_change_neither_items_nor_their_order(self, world: ProviderWorld) -> None:
        fill(world)
        plain = listed(world.provider())
        hints = sorted(item.source_object_id for item in plain)[2::3]
        assert listed(world.provider(), hints=hints) == plain

    def test_hints_that_name_nothing_do_no_harm(self, world: ProviderWorld) -> None:
        paths = fill(world)
        prefix = listed(world.provider())[0].source_object_id.removesuffix(paths[0])
        hints = ["", prefix + "in/0", prefix + "in/0005", prefix + "zzz", "~ of another world"]
        assert sorted(item.path for item in listed(world.provider(), hints=hints)) == paths

    def test_hints_and_a_cursor_go_together(self, world: ProviderWorld) -> None:
        _need_order(world)
        pages = _pages(world)
        plain = [item for page in pages for item in items_of(page.items)]
        hints = [item.source_object_id for item in plain][2::3]
        behind = plain[pages[0].items.num_rows :]
        assert listed(world.provider(), pages[0].cursor, hints) == behind

    def test_a_folder_is_listed_without_its_neighbours(self, world: ProviderWorld) -> None:
        for path in ("media/a.txt", "media/deep/b.txt", "mediator.txt", "media-old/c.txt", "other/d.txt"):
            world.put(path, b"x")
        provider = world.provider("media")
        assert sorted(item.path.removeprefix(provider.root) for item in listed(provider)) == ["a.txt", "deep/b.txt"]

    def test_the_root_is_the_folder_with_a_slash(self, world: ProviderWorld) -> None:
        world.put("media/a.txt", b"x")
        root = world.provider("media").root
        assert root.endswith("media/")

    def test_check_passes_for_a_folder_that_holds_something(self, world: ProviderWorld) -> None:
        world.put("media/a.txt", b"x")
        world.provider("media").check()
        world.provider().check()

    def test_check_names_a_path_that_does_not_exist(self, world: ProviderWorld) -> None:
        world.put("media/a.txt", b"x")
        with pytest.raises(PathNotFound, match="nowhere"):
            world.provider("nowhere").check()


class BytesContract:
    """Reading an item: exactly its listed version, whole, or an error."""

    def test_reading_gives_exactly_the_bytes(self, world: ProviderWorld) -> None:
        content = bytes(range(256)) * 40
        assert fetch(world.provider(), one(world, content=content)) == content

    def test_an_empty_item_reads_as_nothing(self, world: ProviderWorld) -> None:
        assert fetch(world.provider(), one(world, content=b"")) == b""

    def test_a_large_item_comes_whole_and_in_bounded_chunks(self, world: ProviderWorld) -> None:
        content = bytes(range(256)) * (12 * 1024)
        item = one(world, content=content)
        chunks = list(world.provider().read(item))
        assert b"".join(chunks) == content
        assert max(map(len, chunks)) <= LARGEST_CHUNK_BYTES

    def test_odd_names_are_listed_and_read_exactly(self, world: ProviderWorld) -> None:
        for name in ODD_NAMES:
            world.put(f"odd/{name}", name.encode())
        provider = world.provider()
        found = {item.path: fetch(provider, item).decode() for item in listed(provider)}
        assert found == {f"odd/{name}": name for name in ODD_NAMES}

    def test_an_item_replaced_since_it_was_listed_is_not_read(self, world: ProviderWorld) -> None:
        item = one(world, content=b"before")
        world.put(item.path, b"after!")
        with pytest.raises(ItemChanged):
            fetch(world.provider(), item)

    def test_an_item_deleted_since_it_was_listed_has_vanished(self, world: ProviderWorld) -> None:
        item = one(world)
        world.delete(item.path)
        with pytest.raises(ItemVanished):
            fetch(world.provider(), item)

    def test_many_threads_read_at_once(self, world: ProviderWorld) -> None:
        fill(world)
        provider = world.provider()
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda item: (item.path, fetch(provider, item)), listed(provider) * 3))
        assert len(found) == 69
        assert all(path.encode() == content for path, content in found)

    def test_a_read_given_up_early_leaves_the_provider_usable(self, world: ProviderWorld) -> None:
        content = bytes(2_500_000)
        item = one(world, content=content)
        provider = world.provider()
        chunks = provider.read(item)
        next(chunks)
        del chunks
        assert fetch(provider, item) == content

    def test_closing_twice_is_harmless(self, world: ProviderWorld) -> None:
        provider = world.provider()
        list(provider.list_pages())
        provider.close()
        provider.close()


class ProviderContract(ListingContract, OrderContract, BytesContract, PowersContract):
    """The promises of the Provider port."""


def _pages(world: ProviderWorld) -> list[Page]:
    fill(world)
    return list(world.provider().list_pages())


def _need_order(world: ProviderWorld) -> None:
    if not world.provider().capabilities.ordered_listing:
        pytest.skip("this provider does not list in order")
