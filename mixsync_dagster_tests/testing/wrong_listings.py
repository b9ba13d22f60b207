"""Memory providers that break one promise of listings or reads each: what the contract suites have to find."""

import itertools
import threading
import uuid
from dataclasses import replace

import pyarrow as pa

from mixsync_dagster.errors import CursorExpired, ItemVanished, PathNotFound, ProviderUnavailable
from mixsync_dagster.model.items import Span
from mixsync_dagster.ports.provider import Cursor
from mixsync_dagster.testing.memory_feed import MemoryFeedProvider
from mixsync_dagster.testing.memory_provider import MemoryProvider

WRONG = []
"""(class, names of the tests that have to fail with it) of every wrong provider."""


def breaks(*tests):
    """Say which tests a wrong provider has to fail, without `test_`."""

    def told(kind):
        WRONG.append((kind, [f"test_{test}" for test in tests]))
        return kind

    return told


class Paged(MemoryProvider):
    """Changes pages on their way out."""

    def page(self, page):
        return page

    def list_pages(self, after=None, *, hints=()):
        for page in super().list_pages(after, hints=hints):
            yield self.page(page)


class Columned(Paged):
    """Changes one column of every item."""

    column = ""

    def value(self, old):
        return None

    def page(self, page):
        at = page.items.schema.get_field_index(self.column)
        field = page.items.schema.field(at)
        values = [self.value(old) for old in page.items.column(at).to_pylist()]
        return replace(page, items=page.items.set_column(at, field, pa.array(values, field.type)))


@breaks("an_empty_container_gives_one_page_without_items_that_is_the_last")
class NoPageWhenEmpty(MemoryProvider):
    def list_pages(self, after=None, *, hints=()):
        return (page for page in super().list_pages(after) if page.items.num_rows)


@breaks("everything_put_is_listed_exactly_once")
class FirstOfEachPageTwice(Paged):
    def page(self, page):
        return replace(page, items=pa.concat_tables([page.items.slice(0, 1), page.items]))


@breaks("everything_put_is_listed_exactly_once", "a_folder_is_listed_without_its_neighbours")
class LastOfEachPageLost(Paged):
    def page(self, page):
        return replace(page, items=page.items.slice(0, max(page.items.num_rows - 1, 0)))


@breaks("a_page_has_exactly_the_columns_of_the_schema")
class ColumnMissing(Paged):
    def page(self, page):
        return replace(page, items=page.items.drop_columns(["native"]))


@breaks("many_items_come_in_several_pages")
class OnePage(MemoryProvider):
    def __init__(self, storage, prefix="", *, page_rows=3):
        super().__init__(storage, prefix, page_rows=1_000)


@breaks("only_the_last_page_has_no_cursor")
class CursorAtTheEnd(Paged):
    def page(self, page):
        return replace(page, cursor=page.cursor or Cursor("end"))


@breaks("cursors_are_printable_and_short")
class CursorAsItIs(Paged):
    def page(self, page):
        if page.cursor is None:
            return page
        return replace(page, cursor=Cursor(page.items.column("path")[-1].as_py()))


@breaks("identities_are_distinct_and_stay_the_same")
class IdentityByChance(Columned):
    column = "source_object_id"

    def value(self, old):
        return uuid.uuid4().hex


@breaks("identities_are_distinct_and_stay_the_same")
class OneIdentity(Columned):
    column = "source_object_id"

    def value(self, old):
        return "all"


@breaks("an_item_tells_its_size")
class NoSize(Columned):
    column = "size_bytes"


@breaks("an_item_tells_when_it_was_modified_in_utc")
class NoTime(Columned):
    column = "modified_at"


@breaks("an_item_tells_its_name")
class PathWithSuffix(Columned):
    column = "path"

    def value(self, old):
        return old + ";1"


@breaks("the_version_stays_while_nothing_changes")
class VersionOfTheListing(Columned):
    column = "version"

    def value(self, old):
        return uuid.uuid4().hex


@breaks("the_version_changes_with_the_content")
class OneVersion(Columned):
    column = "version"

    def value(self, old):
        return "1"


@breaks("what_was_deleted_is_not_listed")
class Ghosts(Paged):
    def page(self, page):
        gone = [path for path in self._storage.log if path not in self._storage.files]
        ghosts = page.items.slice(0, len(gone) if page.cursor is None else 0)
        at = ghosts.schema.get_field_index("path")
        ghosts = ghosts.set_column(at, ghosts.schema.field(at), pa.array(gone[: ghosts.num_rows], pa.string()))
        return replace(page, items=pa.concat_tables([page.items, ghosts]))


@breaks("a_listing_goes_on_behind_every_cursor_or_refuses_it", "hints_and_a_cursor_go_together")
class StartsAnew(MemoryProvider):
    def list_pages(self, after=None, *, hints=()):
        return super().list_pages(None, hints=hints)


@breaks("a_cursor_that_is_none_of_its_own_is_refused")
class TakesEveryCursor(MemoryProvider):
    def list_pages(self, after=None, *, hints=()):
        try:
            yield from super().list_pages(after, hints=hints)
        except CursorExpired:
            yield from super().list_pages(None, hints=hints)


class OneAtATime(MemoryProvider):
    """Does not let go of what was given up."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self._free = True

    def once(self, steps):
        if not self._free:
            raise ProviderUnavailable("busy")
        self._free = False
        yield from steps
        self._free = True


@breaks("a_listing_given_up_early_leaves_the_provider_usable")
class OneListing(OneAtATime):
    def list_pages(self, after=None, *, hints=()):
        return self.once(super().list_pages(after, hints=hints))


@breaks("a_read_given_up_early_leaves_the_provider_usable")
class OneRead(OneAtATime):
    def read(self, item):
        return self.once(super().read(item))


@breaks("identities_ascend_by_code_point_where_order_is_declared")
class OrderOfFolders(Paged):
    def page(self, page):
        paths = page.items.column("path").to_pylist()
        rows = sorted(range(len(paths)), key=lambda row: paths[row].split("/"))
        return replace(page, items=page.items.take(rows))


@breaks("spans_cover_the_scope_without_gap_where_order_is_declared")
class SpansOfItems(Paged):
    def page(self, page):
        ids = page.items.column("source_object_id").to_pylist() or ["", ""]
        return replace(page, span=Span(ids[0], ids[-1]))


@breaks("items_lie_inside_their_span_where_order_is_declared")
class SpansTooShort(Paged):
    def page(self, page):
        ids = page.items.column("source_object_id").to_pylist()
        return replace(page, span=Span(page.span.after, ids[0]))


@breaks("no_span_is_told_where_no_order_is_declared")
class SpansWithoutOrder(MemoryFeedProvider):
    def list_pages(self, after=None, **options):
        return (replace(page, span=Span(None, None)) for page in super().list_pages(after, **options))


@breaks("hints_change_neither_items_nor_their_order")
class PartsAsTheyCome(MemoryProvider):
    def list_pages(self, after=None, *, hints=()):
        pages = list(super().list_pages(after))
        return iter(pages[::-1] if hints else pages)


@breaks("hints_that_name_nothing_do_no_harm")
class HintsAreKeys(MemoryProvider):
    def list_pages(self, after=None, *, hints=()):
        for hint in hints:
            assert hint.removeprefix("memory/") in self._storage.files
        return super().list_pages(after)


@breaks("a_folder_is_listed_without_its_neighbours")
class PrefixWithoutSlash(MemoryProvider):
    def __init__(self, storage, prefix="", **settings):
        super().__init__(storage, prefix.rstrip("/"), **settings)


@breaks("the_root_is_the_folder_with_a_slash")
class NoRoot(MemoryProvider):
    @property
    def root(self):
        return ""


@breaks("check_passes_for_a_folder_that_holds_something")
class CheckNeverPasses(MemoryProvider):
    def check(self):
        raise PathNotFound(f"{self._prefix} is not there.")


@breaks("check_names_a_path_that_does_not_exist")
class CheckAlwaysPasses(MemoryProvider):
    def check(self):
        pass


@breaks("reading_gives_exactly_the_bytes")
class AsText(MemoryProvider):
    def read(self, item):
        for chunk in super().read(item):
            yield chunk.decode("utf-8", "replace").encode()


@breaks("an_empty_item_reads_as_nothing")
class NewlineAtTheEnd(MemoryProvider):
    def read(self, item):
        return itertools.chain(super().read(item), [b"\n"])


@breaks("a_large_item_comes_whole_and_in_bounded_chunks")
class OneChunk(MemoryProvider):
    def read(self, item):
        yield b"".join(super().read(item))


@breaks("odd_names_are_listed_and_read_exactly")
class NamesInLowerCase(MemoryProvider):
    def _file(self, item):
        return {path.lower(): file for path, file in self._storage.files.items()}[item.path.lower()]


class AnyVersion(MemoryProvider):
    def _file(self, item):
        return replace(super()._file(item), version=item.version)


breaks(
    "an_item_replaced_since_it_was_listed_is_not_read",
    "values_of_another_version_are_not_taken_for_those_of_this_one",
)(AnyVersion)


@breaks("an_item_deleted_since_it_was_listed_has_vanished")
class NothingForWhatIsGone(MemoryProvider):
    def read(self, item):
        try:
            yield from super().read(item)
        except ItemVanished:
            return


@breaks("many_threads_read_at_once", "many_threads_ask_at_once")
class OneThread(MemoryProvider):
    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self._alone, self._met = threading.Lock(), threading.Event()

    def _file(self, item):
        if not self._alone.acquire(blocking=False):
            self._met.set()
            raise ProviderUnavailable("busy")
        # Until another thread was refused, or there is none.
        self._met.wait(0.1)
        self._alone.release()
        return super()._file(item)


@breaks("closing_twice_is_harmless")
class ClosedOnce(MemoryProvider):
    closed = False

    def close(self):
        if self.closed:
            raise ProviderUnavailable("closed")
        self.closed = True
