"""SharePoint and OneDrive as a Provider, an AttributeSource and a ChangeFeed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.provider import Capabilities, ChangePage, Cursor, Page, Probe
from mixsync_dagster.providers.sharepoint.attributes import KIND, QUERY, columns_of
from mixsync_dagster.providers.sharepoint.bytes_reader import BytesReader
from mixsync_dagster.providers.sharepoint.client import GraphClient
from mixsync_dagster.providers.sharepoint.cursors import Scope, decode
from mixsync_dagster.providers.sharepoint.feed import Feed
from mixsync_dagster.providers.sharepoint.finding import Finder
from mixsync_dagster.providers.sharepoint.listing import Listing
from mixsync_dagster.providers.sharepoint.settings import SharePointSettings

_CAPABILITIES = Capabilities(
    ordered_listing=False,
    change_feed=True,
    reports_removals=True,
    attribute_kinds=frozenset({KIND}),
)


class SharePointProvider:
    """One document library, or a folder of it, or a user's OneDrive.

    Paths are those below the library's root. Making a provider sends nothing. Raises ConfigurationError when the
    settings cannot be used.
    """

    def __init__(self, settings: SharePointSettings, clock: Clock) -> None:
        self._client = GraphClient(settings, clock)
        self._finder = Finder(self._client, settings, clock)
        self._listing = Listing(self._client, self._finder, clock)
        self._feed = Feed(self._client, self._finder, clock)
        self._reader = BytesReader(self._client, clock)
        self._scope: Scope | None = None
        self._scope_lock = threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        """Return what the service can do: it lists in no order, and keeps a log of changes."""
        return _CAPABILITIES

    @property
    def root(self) -> str:
        """Return the folder of the source path as the library spells it; asks the service once, raises as `check`."""
        return self._found_scope().root

    def check(self) -> None:
        """Return if site, library and folder exist and the library's changes can be read; see Provider.check."""
        self._feed.head(self._found_scope())

    def list_pages(self, after: Cursor | None = None, *, hints: Sequence[str] = ()) -> Iterator[Page]:
        """Yield the listing behind `after`; see the port. Hints are of no use: a delta is one thread."""
        del hints
        yield from self._listing.pages(self._found_scope(), after)

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the file's bytes in chunks of about 1 MiB."""
        return self._reader.read(item)

    def read_attributes(self, item: SourceItem, kinds: frozenset[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the library's columns of one file by their internal names, one request; other kinds are left out."""
        if KIND not in kinds:
            return {}
        return {KIND: columns_of(self._reader.entry(item, QUERY))}

    def head(self) -> Cursor:
        """Return the present end of the library's feed."""
        return self._feed.head(self._found_scope())

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield what changed after a position; see the port, and Feed.changes for what is told of folders."""
        self._know(after)
        yield from self._feed.changes(after)

    def probe(self, after: Cursor) -> Probe:
        """Return whether the library changed, by one request; a change outside the source path's folder counts."""
        return self._feed.probe(after)

    def close(self) -> None:
        """Free connections. Twice is harmless."""
        self._client.close()

    def _know(self, after: Cursor) -> None:
        """Take the scope from a feed's position: what it names is asked again only when a folder changes."""
        scope = decode(after, "feed").scope
        if scope.named == self._finder.named:
            with self._scope_lock:
                self._scope = self._scope or scope

    def _found_scope(self) -> Scope:
        scope = self._scope
        if scope is not None:
            return scope
        with self._scope_lock:
            if self._scope is None:
                self._scope = self._finder.find()
            return self._scope
