"""Reading an external storage: listing, bytes, attributes, and a change feed where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NewType, Protocol, runtime_checkable

import pyarrow as pa

from mixsync_dagster.model.items import RejectedItem, SourceItem, Span

Cursor = NewType("Cursor", str)
"""A position in a listing or feed; opaque outside its provider, printable, under 4 KiB."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do; the engine asks this and never the provider's name."""

    ordered_listing: bool
    """Pages come in ascending source_object_id (by code point) and report spans."""
    change_feed: bool = False
    reports_removals: bool = False
    attribute_kinds: frozenset[str] = field(default_factory=frozenset)
    """Mapping sources that `read_attributes` serves: tag, metadata, column, drive_property, sharepoint_column."""
    rows: bool = False
    """Items are rows of a table rather than files; content hashes are no sign of a duplicate."""


@dataclass(frozen=True, slots=True)
class Page:
    """One slice of a listing.

    `items` has exactly the columns of ITEM_SCHEMA and may be empty. `cursor` continues after this page; None means
    that the scope was listed to its end. Folder markers are neither items nor counted.
    """

    items: pa.Table
    cursor: Cursor | None
    span: Span | None = None
    rejected: tuple[RejectedItem, ...] = ()


class Probe(StrEnum):
    """Answer of a cheap look for changes."""

    NOTHING_NEW = "nothing_new"
    CHANGED = "changed"
    UNKNOWN = "unknown"


@runtime_checkable
class Provider(Protocol):
    """One source path at one external storage.

    Methods may be called from many threads at once, `list_pages` from one. Errors are ours only: AccessDenied,
    PathNotFound, RateLimited, ProviderUnavailable, and per item the ItemError family. No method retries by itself.
    """

    @property
    def capabilities(self) -> Capabilities:
        """Return what this provider can do; constant for its life."""
        ...

    @property
    def root(self) -> str:
        """Return the prefix of `path` that the source path names: "" for the whole container, else it ends in "/"."""
        ...

    def check(self) -> None:
        """Return if the source path can be listed with these credentials; reads at most one page.

        Raises PathNotFound, AccessDenied, ConfigurationError with a sentence, ProviderUnavailable when nobody answers.
        """
        ...

    def list_pages(self, after: Cursor | None = None, *, hints: Sequence[str] = ()) -> Iterator[Page]:
        """Yield the listing from `after` (None: from the start) to its end; the last page has cursor None.

        `hints` are source object ids, ascending, expected to cut the scope into parts of similar size; a provider may
        use them to list parts at once, and yields the pages in order all the same. Memory is bounded by a few pages a
        part. At least one page is yielded, also for an empty scope. Raises CursorExpired when `after` is refused.
        """
        ...

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the item's bytes in chunks; a zero-byte item yields nothing or one empty chunk.

        Raises ItemChanged when the answer is not of `item.version` (before the first chunk where the storage tells it
        in time, else at the end), ItemVanished, ItemUnreadable, ItemCorrupt when size or checksum do not match,
        RateLimited, ProviderUnavailable. Closing the iterator early frees the connection.
        """
        ...

    def close(self) -> None:
        """Free connections. Twice is harmless."""
        ...


@runtime_checkable
class AttributeSource(Protocol):
    """Optional power: values that a listing does not carry."""

    def read_attributes(self, item: SourceItem, kinds: frozenset[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return {kind: {key: value}} for the wanted kinds of one item; one call per kind at most.

        Keys of `metadata` are lower-case without the storage's prefix. Raises as `Provider.read`.
        """
        ...


@runtime_checkable
class ChangeFeed(Protocol):
    """Optional power: the provider's own log of changes."""

    def head(self) -> Cursor:
        """Return the feed's present end; taken and made durable before the first full listing that it follows."""
        ...

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield what changed after a position, oldest first.

        The last occurrence of an id wins. Raises CursorExpired.
        """
        ...

    def probe(self, after: Cursor) -> Probe:
        """Return whether anything changed, by one call."""
        ...


@dataclass(frozen=True, slots=True)
class ChangePage:
    """One slice of a change feed: changed items, ids that are gone, and the position after both.

    `rejected` are changed items that cannot be rows, as in a listing; they become dead letters. An id is named by one
    of the three only.
    """

    items: pa.Table
    removed: tuple[str, ...]
    cursor: Cursor
    caught_up: bool
    rejected: tuple[RejectedItem, ...] = ()
