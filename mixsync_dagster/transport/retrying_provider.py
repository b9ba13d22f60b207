"""A provider whose calls are repeated by a Retrier; the wrapper has exactly the powers of what it wraps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from mixsync_dagster.errors import AccessDenied
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

Answer = TypeVar("Answer")

Renew: TypeAlias = Callable[[], Provider | None]
"""Opens the provider anew where its credentials have been replaced since; None when they have not."""


class RetryingProvider:
    """Repeats `check`, single pages and the start of reads; errors that outlast the patience pass unchanged.

    A listing goes on behind the last page that was yielded, with fresh patience for every page. A read is repeated only
    before its first chunk was yielded: later the consumer has bytes that cannot be taken back. Where credentials are
    refused and `renew` gives a provider with others, that one is used from then on.
    """

    def __init__(self, provider: Provider, pacer: Pacer, renew: Renew | None = None) -> None:
        self._provider = provider
        self._pacer = pacer
        self._renew = renew
        self._renewing = threading.Lock()
        self._replaced: list[Provider] = []

    @property
    def capabilities(self) -> Capabilities:
        """Return what the wrapped provider can do."""
        return self._provider.capabilities

    @property
    def root(self) -> str:
        """Return the wrapped provider's root; repeated, since finding it may ask the storage."""
        return self._call(lambda provider: cast("str", provider.root))

    def check(self) -> None:
        """Check the wrapped provider."""
        self._call(lambda provider: provider.check())

    def list_pages(self, after: Cursor | None = None, *, hints: Sequence[str] = ()) -> Iterator[Page]:
        """Yield the wrapped provider's pages; each page at most once, however often a listing had to start again."""
        steps = _Steps(lambda provider, position: provider.list_pages(position, hints=hints), after)
        try:
            while (page := self._call(steps.step)) is not None:
                yield page
                if page.cursor is None:
                    return
        finally:
            steps.close()

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the item's bytes."""

        def start(provider: Provider) -> tuple[Iterator[bytes], bytes | None]:
            chunks = provider.read(item)
            return chunks, next(chunks, None)

        chunks, first = self._call(start)
        if first is not None:
            try:
                yield first
                yield from chunks
            finally:
                _close(chunks)

    def close(self) -> None:
        """Close the wrapped provider, and those that it replaced."""
        for provider in (self._provider, *self._replaced):
            provider.close()

    def _call(self, operation: Callable[[Any], Answer]) -> Answer:
        """Return the operation's answer, repeated as the pacer does it, and once more after credentials changed."""
        provider = self._provider
        try:
            return self._pacer.call(lambda: operation(provider))
        except AccessDenied:
            renewed = self._renewed(provider)
            if renewed is None:
                raise
        return self._pacer.call(lambda: operation(renewed))

    def _renewed(self, refused: Provider) -> Provider | None:
        """Return a provider with other credentials than the refused one; another thread may have opened it."""
        with self._renewing:
            if self._provider is not refused:
                return self._provider
            fresh = None if self._renew is None else self._renew()
            if fresh is not None:
                # Others may still be at work with the one that is replaced.
                self._replaced.append(refused)
                self._provider = fresh
            return fresh


class _Steps:
    """The next page of a listing that can start again behind the last page it gave."""

    def __init__(self, listing: Any, position: Cursor | None) -> None:
        self._listing = listing
        self._position = position
        self._pages: Iterator[Page] | None = None

    def step(self, provider: Any) -> Page | None:
        if self._pages is None:
            self._pages = self._listing(provider, self._position)
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
        return self._call(lambda source: cast("AttributeSource", source).read_attributes(item, kinds))


class _RetryingFeed(RetryingProvider):
    def head(self) -> Cursor:
        """Return the feed's present end."""
        return self._call(lambda feed: cast("ChangeFeed", feed).head())

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield what changed; a repeated feed goes on behind the last page that was yielded."""
        steps = _Steps(lambda feed, position: feed.changes(position), after)
        try:
            while (page := self._call(steps.step)) is not None:
                yield cast("ChangePage", page)
        finally:
            steps.close()

    def probe(self, after: Cursor) -> Probe:
        """Return whether anything changed."""
        return self._call(lambda feed: cast("ChangeFeed", feed).probe(after))


class _RetryingBoth(_RetryingAttributes, _RetryingFeed):
    """A provider with attributes and a change feed."""


def retrying(provider: Provider, pacer: Pacer, renew: Renew | None = None) -> RetryingProvider:
    """Return the provider with its calls repeated; it is an AttributeSource or a ChangeFeed if the original is."""
    attributes = isinstance(provider, AttributeSource)
    feed = isinstance(provider, ChangeFeed)
    if attributes and feed:
        return _RetryingBoth(provider, pacer, renew)
    if attributes:
        return _RetryingAttributes(provider, pacer, renew)
    if feed:
        return _RetryingFeed(provider, pacer, renew)
    return RetryingProvider(provider, pacer, renew)
