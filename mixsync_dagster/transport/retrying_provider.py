"""A provider whose calls are repeated by a Retrier; the wrapper has exactly the powers of what it wraps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.ports.pacing import Pacer
from mixsync_dagster.ports.provider import (
    AttributeSource,
    Capabilities,
    ChangeFeed,
    ChangePage,
    Cursor,
    Page,
    Probe,
    Provider,
)


class RetryingProvider:
    """Repeats `check`, single pages and the start of reads; errors that outlast the patience pass unchanged.

    A listing goes on behind the last page that was yielded, with fresh patience for every page. A read is repeated only
    before its first chunk was yielded: later the consumer has bytes that cannot be taken back.
    """

    def __init__(self, provider: Provider, pacer: Pacer) -> None:
        self._provider = provider
        self._pacer = pacer

    @property
    def capabilities(self) -> Capabilities:
        """Return what the wrapped provider can do."""
        return self._provider.capabilities

    @property
    def root(self) -> str:
        """Return the wrapped provider's root; repeated, since finding it may ask the storage."""
        return self._pacer.call(lambda: self._provider.root)

    def check(self) -> None:
        """Check the wrapped provider."""
        self._pacer.call(self._provider.check)

    def list_pages(self, after: Cursor | None = None, *, hints: Sequence[str] = ()) -> Iterator[Page]:
        """Yield the wrapped provider's pages; each page at most once, however often a listing had to start again."""
        steps = _Steps(lambda position: self._provider.list_pages(position, hints=hints), after)
        try:
            while (page := self._pacer.call(steps.step)) is not None:
                yield page
                if page.cursor is None:
                    return
        finally:
            steps.close()

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the item's bytes."""
        provider = self._provider

        def start() -> tuple[Iterator[bytes], bytes | None]:
            chunks = provider.read(item)
            return chunks, next(chunks, None)

        chunks, first = self._pacer.call(start)
        if first is not None:
            try:
                yield first
                yield from chunks
            finally:
                _close(chunks)

    def close(self) -> None:
        """Close the wrapped provider."""
        self._provider.close()


class _Steps:
    """The next page of a listing that can start again behind the last page it gave."""

    def __init__(self, listing: Any, position: Cursor | None) -> None:
        self._listing = listing
        self._position = position
        self._pages: Iterator[Page] | None = None

    def step(self) -> Page | None:
        if self._pages is None:
            self._pages = self._listing(self._position)
        pages, self._pages = self._pages, None  # a generator that raised is finished: it is only kept on success
        page = next(pages, None)
        self._pages = pages
        if page is not None:
            self._position = page.cursor
        return page

    def close(self) -> None:
        if self._pages is not None:
            _close(self._pages)


def _close(iterator: Iterator[Any]) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        close()


class _RetryingAttributes(RetryingProvider):
    def read_attributes(self, item: SourceItem, kinds: frozenset[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the wrapped provider's attributes of one item."""
        source = cast("AttributeSource", self._provider)
        return self._pacer.call(lambda: source.read_attributes(item, kinds))


class _RetryingFeed(RetryingProvider):
    def head(self) -> Cursor:
        """Return the feed's present end."""
        return self._pacer.call(cast("ChangeFeed", self._provider).head)

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield what changed; a repeated feed goes on behind the last page that was yielded."""
        feed = cast("ChangeFeed", self._provider)
        steps = _Steps(feed.changes, after)
        try:
            while (page := self._pacer.call(steps.step)) is not None:
                yield cast("ChangePage", page)
        finally:
            steps.close()

    def probe(self, after: Cursor) -> Probe:
        """Return whether anything changed."""
        feed = cast("ChangeFeed", self._provider)
        return self._pacer.call(lambda: feed.probe(after))


class _RetryingBoth(_RetryingAttributes, _RetryingFeed):
    """A provider with attributes and a change feed."""


def retrying(provider: Provider, pacer: Pacer) -> RetryingProvider:
    """Return the provider with its calls repeated; it is an AttributeSource or a ChangeFeed if the original is."""
    attributes = isinstance(provider, AttributeSource)
    feed = isinstance(provider, ChangeFeed)
    if attributes and feed:
        return _RetryingBoth(provider, pacer)
    if attributes:
        return _RetryingAttributes(provider, pacer)
    if feed:
        return _RetryingFeed(provider, pacer)
    return RetryingProvider(provider, pacer)
