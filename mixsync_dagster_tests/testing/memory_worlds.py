"""Storages in memory as worlds of the contract suites: one listed in order, one with a change feed."""

from dataclasses import dataclass, field, replace

from mixsync_dagster.testing.memory_feed import LoggedStorage, MemoryFeedProvider
from mixsync_dagster.testing.memory_provider import MemoryProvider


@dataclass
class MemoryWorld:
    """A storage, and the class of the providers that read it."""

    kind: type[MemoryProvider] = MemoryProvider
    page_rows: int = 5
    storage: LoggedStorage = field(default_factory=LoggedStorage)

    def provider(self, folder=""):
        return self.kind(self.storage, f"{folder}/" if folder else "", page_rows=self.page_rows)

    def put(self, path, content, *, tags=None, metadata=None, properties=None):
        self.storage.put(path, content, tags=tags or {}, metadata={**(metadata or {}), **(properties or {})})

    def delete(self, path):
        self.storage.delete(path)


class PropertyProvider(MemoryProvider):
    """Tells metadata as the properties of files."""

    @property
    def capabilities(self):
        return replace(super().capabilities, attribute_kinds=frozenset({"drive_property"}))

    def read_attributes(self, item, kinds):
        metadata = self._file(item).metadata
        super().read_attributes(item, frozenset())
        return {"drive_property": metadata} if "drive_property" in kinds else {}


def memory_feed_world():
    return MemoryWorld(MemoryFeedProvider)
