"""A memory storage that keeps a log of its changes, and a provider that reads it as a change feed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.ports.provider import Capabilities, ChangePage, Cursor, Page, Probe
from mixsync_dagster.testing.memory_provider import MemoryProvider, MemoryStorage


@dataclass
class LoggedStorage(MemoryStorage):
    """A MemoryStorage that remembers which path changed when. A path that is gone is a change, too."""

    log: list[str] = field(default_factory=list)
    forgotten: int = 0
    """How many of the oldest entries are no longer told: positions before them are refused."""

    def put(self, path: str, content: bytes, **settings: Any) -> None:
        """Write or overwrite a file."""
        super().put(path, content, **settings)
        self.log.append(path)

    def delete(self, path: str) -> None:
        """Remove a file."""
        super().delete(path)
        self.log.append(path)


class MemoryFeedProvider(MemoryProvider):
    """Lists without order, and tells changes; a change tells the file as it is now, however often it changed."""

    def __init__(self, storage: LoggedStorage, prefix: str = "", **settings: Any) -> None:
        super().__init__(storage, prefix, **settings)
        self._logged = storage

    @property
    def capabilities(self) -> Capabilities:
        """The memory provider's, but for the order, with a change feed."""
        return replace(super().capabilities, ordered_listing=False, change_feed=True, reports_removals=True)

    def list_pages(self, after: Cursor | None = None, **options: Any) -> Iterator[Page]:
        """Yield pages without spans."""
        for page in super().list_pages(after, **options):
            yield replace(page, span=None)

    def head(self) -> Cursor:
        """Return the length of the log."""
        self._note("head", "")
        return Cursor(str(len(self._logged.log)))

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield the log's entries, a page of them at a time; an empty log gives one empty page."""
        position = self._position(after)
        while True:
            self._note("changes", str(position))
            if position < self._logged.forgotten:
                raise CursorExpired("The position is too old.")
            told = self._logged.log[position : position + self._page_rows]
            position += len(told)
            named = [path for path in dict.fromkeys(told) if path.startswith(self._prefix)]
            there = [path for path in named if path in self._logged.files]
            gone = tuple(self._identity(path) for path in named if path not in self._logged.files)
            caught_up = position >= len(self._logged.log)
            cursor = Cursor(str(position))
            yield ChangePage(self._table(there), gone, cursor, caught_up=caught_up, rejected=self._rejected(there))
            if caught_up:
                return

    def probe(self, after: Cursor) -> Probe:
        """Return whether the log is longer."""
        self._note("probe", str(after))
        position = self._position(after)
        if position < self._logged.forgotten:
            raise CursorExpired("The position is too old.")
        return Probe.CHANGED if len(self._logged.log) > position else Probe.NOTHING_NEW

    @staticmethod
    def _position(after: Cursor) -> int:
        try:
            return int(after)
        except ValueError:
            raise CursorExpired("The position is none of this feed.") from None
