"""Memory providers that declare what they cannot do, do what they do not declare, or tell attributes wrongly."""

from dataclasses import replace

import pyarrow as pa

from mixsync_dagster.errors import ItemUnreadable, ItemVanished
from mixsync_dagster.testing.memory_feed import MemoryFeedProvider
from mixsync_dagster.testing.memory_provider import MemoryFile, MemoryProvider
from mixsync_dagster_tests.testing.memory_worlds import PropertyProvider
from mixsync_dagster_tests.testing.wrong_listings import breaks


def declaring(base, **claims):
    """Return a provider like another that declares something else."""

    class Declaring(base):
        @property
        def capabilities(self):
            return replace(super().capabilities, **claims)

    Declaring.__name__ = f"{base.__name__} declaring {claims}"
    return Declaring


FEED = "a_change_feed_is_declared_if_and_only_if_there_is_one"
ATTRIBUTES = "attributes_are_declared_if_and_only_if_they_can_be_read"
KINDS = "every_declared_kind_is_served_and_no_other"
REMOVALS = "removals_are_told_if_and_only_if_they_are_declared"

breaks(FEED, "a_feed_without_news_gives_one_empty_page")(declaring(MemoryProvider, change_feed=True))
breaks(FEED)(declaring(MemoryFeedProvider, change_feed=False))
breaks(ATTRIBUTES)(declaring(MemoryProvider, attribute_kinds=frozenset()))
breaks(KINDS)(declaring(MemoryProvider, attribute_kinds=frozenset({"tag"})))
breaks(KINDS)(declaring(MemoryProvider, attribute_kinds=frozenset({"tag", "metadata", "column"})))
breaks("only_kinds_that_a_mapping_can_name_are_declared")(
    declaring(MemoryProvider, attribute_kinds=frozenset({"tag", "label"}))
)
breaks("removals_are_declared_by_a_change_feed_only")(declaring(MemoryProvider, reports_removals=True))
breaks(REMOVALS)(declaring(MemoryFeedProvider, reports_removals=False))
breaks("no_span_is_told_where_no_order_is_declared")(declaring(MemoryProvider, ordered_listing=False))
breaks("spans_cover_the_scope_without_gap_where_order_is_declared")(declaring(MemoryFeedProvider, ordered_listing=True))


@breaks(ATTRIBUTES)
class AttributesOnPaper(MemoryProvider):
    read_attributes = None


@breaks("it_has_every_method_of_a_provider")
class NotToBeClosed(MemoryProvider):
    close = None


@breaks("what_is_declared_stays_the_same")
class Moody(MemoryProvider):
    asked = 0

    @property
    def capabilities(self):
        self.asked += 1
        return replace(super().capabilities, rows=self.asked % 2 == 0)


@breaks(REMOVALS, "what_came_and_went_is_not_there", "a_probe_does_not_miss_a_removal_that_the_feed_tells")
class RemovalsUntold(MemoryFeedProvider):
    """Tells of what is gone as if it were there."""

    def changes(self, after):
        for page in super().changes(after):
            gone = [identity.removeprefix("memory/") for identity in page.removed]
            self._storage.files.update((path, MemoryFile(b"")) for path in gone)
            ghosts = self._table(gone)
            for path in gone:
                del self._storage.files[path]
            yield replace(page, items=pa.concat_tables([page.items, ghosts]), removed=())

    def probe(self, after):
        there = [path for path in self._logged.log[self._position(after) :] if path in self._storage.files]
        return super().probe(after if there else str(len(self._logged.log)))


class Attributes(MemoryProvider):
    """Changes values on their way out."""

    def values(self, item, found):
        return found

    def read_attributes(self, item, kinds):
        return {kind: self.values(item, found) for kind, found in super().read_attributes(item, kinds).items()}


@breaks("tags_are_read_as_they_were_put")
class PlusIsASpace(Attributes):
    def values(self, item, found):
        return {name: value.replace("+", " ") for name, value in found.items()}


@breaks("metadata_is_read_by_lower_case_names")
class PrefixedNames(Attributes):
    def values(self, item, found):
        return {f"x-amz-meta-{name}": value for name, value in found.items()}


@breaks("properties_are_read_as_they_were_put")
class AsciiProperties(PropertyProvider):
    def read_attributes(self, item, kinds):
        found = super().read_attributes(item, kinds)
        return {kind: {n: ascii(v) for n, v in values.items()} for kind, values in found.items()}


@breaks("nothing_asked_is_nothing_answered", "each_kind_can_be_asked_alone")
class AllKindsAtOnce(MemoryProvider):
    def read_attributes(self, item, kinds):
        return super().read_attributes(item, self.capabilities.attribute_kinds)


@breaks("an_item_without_tags_or_metadata_has_none")
class ValuesOfItsOwn(Attributes):
    def values(self, item, found):
        return {**found, "etag": item.version}


@breaks("values_are_those_of_the_item_that_was_asked_about")
class FirstAnswerForAll(MemoryProvider):
    first = None

    def read_attributes(self, item, kinds):
        self.first = self.first or super().read_attributes(item, kinds)
        return self.first


@breaks("names_and_values_are_plain")
class BytesAsValues(Attributes):
    def values(self, item, found):
        return {name: value.encode() for name, value in found.items()}


@breaks("asking_changes_nothing")
class CountsReads(MemoryProvider):
    def read_attributes(self, item, kinds):
        file = self._file(item)
        found = super().read_attributes(item, kinds)
        file.tags = {**file.tags, "reads": str(len(self._storage.requests))}
        return found


@breaks("attributes_of_odd_names_are_read")
class AsciiNames(MemoryProvider):
    def read_attributes(self, item, kinds):
        if not item.path.isascii():
            raise ItemUnreadable(item.path, error_type="unsupported_name")
        return super().read_attributes(item, kinds)


@breaks("what_is_gone_has_no_attributes_but_those_that_were_listed")
class NoneForWhatIsGone(MemoryProvider):
    def read_attributes(self, item, kinds):
        try:
            return super().read_attributes(item, kinds)
        except ItemVanished:
            return {}
