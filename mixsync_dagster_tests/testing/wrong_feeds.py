"""Memory providers whose change feed breaks one promise each."""

from dataclasses import replace

import pyarrow as pa

from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.ports.provider import Cursor, Probe
from mixsync_dagster.testing.memory_feed import MemoryFeedProvider
from mixsync_dagster_tests.testing.wrong_listings import breaks


class Fed(MemoryFeedProvider):
    """Changes pages of the feed on their way out."""

    def told(self, page):
        return page

    def changes(self, after):
        return (self.told(page) for page in super().changes(after))


def with_version(items, version):
    at = items.schema.get_field_index("version")
    return items.set_column(at, items.schema.field(at), pa.array([version] * items.num_rows, pa.string()))


@breaks("a_feed_without_news_gives_one_empty_page")
class SilentWithoutNews(MemoryFeedProvider):
    def changes(self, after):
        return (page for page in super().changes(after) if page.items.num_rows or page.removed)


@breaks("what_is_put_after_the_head_is_told_as_it_is_listed")
class VersionsOfItsOwn(Fed):
    def told(self, page):
        return replace(page, items=with_version(page.items, "in the feed"))


@breaks("what_is_overwritten_after_the_head_is_told_as_it_is_now")
class NewFilesOnly(Fed):
    def told(self, page):
        new = [self._logged.log.count(path) == 1 for path in page.items.column("path").to_pylist()]
        return replace(page, items=page.items.filter(pa.array(new, pa.bool_())))


@breaks("of_several_changes_of_an_item_the_last_one_counts")
class OldStateLast(Fed):
    def told(self, page):
        again = page.items.slice(0, 1 if len(self._logged.log) == 3 else 0)
        return replace(page, items=pa.concat_tables([page.items, with_version(again, "old")]))


@breaks("what_went_and_came_again_is_there")
class OnceGoneAlwaysGone(Fed):
    def told(self, page):
        twice = [path for path in dict.fromkeys(self._logged.log) if self._logged.log.count(path) > 1]
        return replace(page, removed=tuple(self._identity(path) for path in twice))


@breaks("pages_have_exactly_the_columns_of_the_schema")
class FeedColumnMissing(Fed):
    def told(self, page):
        return replace(page, items=page.items.drop_columns(["native"]))


@breaks("many_changes_come_in_several_pages_of_which_the_last_has_caught_up")
class NeverCaughtUp(Fed):
    def told(self, page):
        return replace(page, caught_up=False)


@breaks("many_changes_come_in_several_pages_of_which_the_last_has_caught_up")
class OneFeedPage(MemoryFeedProvider):
    def __init__(self, storage, prefix="", *, page_rows=3):
        super().__init__(storage, prefix, page_rows=1_000)


@breaks("positions_are_printable_and_short")
class PositionOfNames(Fed):
    def told(self, page):
        return replace(page, cursor=Cursor("".join(page.items.column("path").to_pylist())))


@breaks("a_feed_goes_on_behind_every_page")
class OneTooFar(MemoryFeedProvider):
    def changes(self, after):
        position = int(after)
        return super().changes(Cursor(str(position + 1 if position else 0)))


@breaks("asking_uses_nothing_up")
class UsedUp(MemoryFeedProvider):
    def changes(self, after):
        yield from list(super().changes(after))
        self._logged.log[:] = []


@breaks("what_changes_after_the_end_is_told_by_the_next_pass")
class EndBehindTheEnd(Fed):
    def told(self, page):
        return replace(page, cursor=Cursor(str(int(page.cursor) + 1))) if page.caught_up else page


@breaks("what_was_told_and_caught_up_with_is_no_news", "a_probe_at_the_head_finds_nothing_new")
class AlwaysNews(MemoryFeedProvider):
    def probe(self, after):
        return Probe.CHANGED


@breaks("positions_of_one_time_mean_the_same")
class OnePositionAtATime(MemoryFeedProvider):
    def head(self):
        self._storage.given = getattr(self._storage, "given", 0) + 1
        return Cursor(f"{super().head()} {self._storage.given}")

    def changes(self, after):
        position, _, given = after.partition(" ")
        if given and int(given) != self._storage.given:
            raise CursorExpired("Another position was given since.")
        return super().changes(Cursor(position))


@breaks("changes_outside_of_the_source_path_are_not_told_as_items")
class WholeStorage(MemoryFeedProvider):
    def changes(self, after):
        prefix, self._prefix = self._prefix, ""
        yield from super().changes(after)
        self._prefix = prefix


@breaks("a_feed_given_up_early_leaves_the_provider_usable")
class OneReader(MemoryFeedProvider):
    busy = False

    def changes(self, after):
        if self.busy:
            raise ProviderUnavailable("busy")
        self.busy = True
        yield from super().changes(after)
        self.busy = False


@breaks("a_probe_does_not_miss_a_change", "a_probe_does_not_miss_a_removal_that_the_feed_tells")
class NeverNews(MemoryFeedProvider):
    def probe(self, after):
        return Probe.NOTHING_NEW


@breaks("a_probe_moves_nothing")
class ProbeTakesAway(MemoryFeedProvider):
    def probe(self, after):
        found = super().probe(after)
        self._logged.log[:] = []
        return found


@breaks("a_position_that_is_none_of_its_own_is_refused", "a_position_in_a_listing_is_none_in_the_feed")
class FromTheStart(MemoryFeedProvider):
    @staticmethod
    def _position(after):
        try:
            return int(after)
        except ValueError:
            return 0
