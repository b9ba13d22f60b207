"""What the contract suites of providers are given: a storage to fill, and providers that read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

import pytest

from mixsync_dagster.model.items import items_of
from mixsync_dagster.ports.provider import AttributeSource, ChangeFeed, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixsync_dagster.model.items import SourceItem
    from mixsync_dagster.ports.provider import ChangePage, Cursor

ODD_NAMES = (
    "a b.txt",
    "a+b.txt",
    "100%.txt",
    "p%25q.txt",
    "h#x.txt",
    "q&a.txt",
    "caf\u00e9.txt",
    "emoji\U0001f600.txt",
    "\u202ertl.txt",
    "UPPER.txt",
    "upper.txt",
)
"""Names that nearly every storage takes and that careless URL handling mixes up."""

ATTRIBUTE_KINDS = frozenset({"tag", "metadata", "column", "drive_property", "sharepoint_column"})
"""Every kind that a provider may declare."""


class ProviderWorld(Protocol):
    """A storage that the test fills, empty at first, and providers that read it."""

    page_rows: int
    """How many items a page of these providers holds at most; 3 to 10, so that small worlds have several pages."""

    def provider(self, folder: str = "") -> Provider:
        """Return a new provider over the whole container, or over a folder (without a slash at its end)."""
        ...

    def put(
        self,
        path: str,
        content: bytes,
        *,
        tags: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> object:
        """Write or overwrite a file.

        `properties` are values of drive_property or sharepoint_column. Attributes of kinds that the provider does not
        declare may be dropped.
        """
        ...

    def delete(self, path: str) -> None:
        """Remove a file."""
        ...


class FeedProvider(Provider, ChangeFeed, Protocol):
    """A provider with a change feed."""


class AttributeProvider(Provider, AttributeSource, Protocol):
    """A provider with attributes."""


@dataclass
class Told:
    """What pages of a feed amount to, once all are applied in order."""

    items: dict[str, SourceItem] = field(default_factory=dict)
    """By source object id."""
    gone: set[str] = field(default_factory=set)
    cursor: Cursor | None = None

    @property
    def paths(self) -> list[str]:
        """Paths of what is there, in order."""
        return sorted(item.path for item in self.items.values())


def listed(provider: Provider, after: Cursor | None = None, hints: Sequence[str] = ()) -> list[SourceItem]:
    """Return every item of a listing."""
    return [item for page in provider.list_pages(after, hints=hints) for item in items_of(page.items)]


def fetch(provider: Provider, item: SourceItem) -> bytes:
    """Return an item's whole content."""
    return b"".join(provider.read(item))


def applied(pages: Sequence[ChangePage]) -> Told:
    """Return what pages tell together: of an item that several name, the last word counts."""
    told = Told()
    for page in pages:
        for item in items_of(page.items):
            told.items[item.source_object_id] = item
            told.gone.discard(item.source_object_id)
        for identity in page.removed:
            told.items.pop(identity, None)
            told.gone.add(identity)
        told.cursor = page.cursor
    return told


def fill(world: ProviderWorld, count: int = 23, folder: str = "in/") -> list[str]:
    """Put numbered files and return their paths in order."""
    paths = [f"{folder}{number:03d}.txt" for number in range(count)]
    for path in paths:
        world.put(path, path.encode())
    return paths


def one(world: ProviderWorld, path: str = "one.txt", content: bytes = b"content", **attributes: Any) -> SourceItem:
    """Put one file and return its item."""
    world.put(path, content, **attributes)
    found = [item for item in listed(world.provider()) if item.path == path]
    assert len(found) == 1, f"{path} was put and is listed {len(found)} times"
    return found[0]


def need_feed(world: ProviderWorld, folder: str = "") -> FeedProvider:
    """Return a new provider with its feed, or skip the test where none is declared."""
    provider = world.provider(folder)
    if not provider.capabilities.change_feed:
        pytest.skip("this provider has no change feed")
    assert isinstance(provider, ChangeFeed), "a change feed is declared, and the methods of one are not there"
    return cast("FeedProvider", provider)


def need_attributes(world: ProviderWorld, *kinds: str) -> AttributeProvider:
    """Return a new provider as a source of these kinds (none: of any), or skip the test where they are not declared."""
    provider = world.provider()
    declared = provider.capabilities.attribute_kinds
    if not declared or not declared.issuperset(kinds):
        pytest.skip(f"this provider reads no {' and '.join(kinds) or 'attributes'}")
    assert isinstance(provider, AttributeSource), "attributes are declared, and the method to read them is not there"
    return cast("AttributeProvider", provider)
