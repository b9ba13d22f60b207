"""Fetching what a URL in an item's values names: content that comes from elsewhere than the provider."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer whose bytes are still to come."""

    chunks: Iterator[bytes]
    """The bytes, once. Raises as `UrlFetcher.fetch` does; closing it early ends the connection."""
    filename: str
    """As the answer names it, else the last part of the URL's path, else the host; never empty and without a slash."""
    mime_type: str | None
    """As the answer tells it, in lower case and without parameters; None when it does not."""


class UrlFetcher(Protocol):
    """Fetches URLs that users or their rows name; for any number of threads. Nothing is repeated."""

    def fetch(self, url: str) -> Fetched:
        """Ask for a URL and return its answer.

        Raises ItemUnreadable for what cannot get better by itself (`url_refused`, `address_refused`, `too_large`,
        `access_denied`, `not_found`), ItemUnanswered for silence, slowness and failing servers, ItemCorrupt for an
        answer that was cut short. Messages name the host, never the query.
        """
        ...

    def close(self) -> None:
        """Free connections. Twice is harmless."""
        ...
