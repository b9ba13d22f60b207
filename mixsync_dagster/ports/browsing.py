"""A power that some providers have besides: showing their folders to people who choose a source path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class BrowsedFolder:
    """A folder."""

    identifier: str
    name: str
    source_path: str
    """What a sync gives to read it: its path, or its id where no path leads to it."""
    mime_type: str


@dataclass(frozen=True, slots=True)
class BrowsedFile:
    """A file."""

    identifier: str
    name: str
    mime_type: str
    size_bytes: int | None
    """None: it has no size, as documents of an online editor."""
    modified_at: datetime | None


@runtime_checkable
class FolderBrowser(Protocol):
    """A provider whose source path is a folder that can be looked into, one level deep.

    Both raise PathNotFound, and otherwise what `Provider.check` raises.
    """

    def browse_folders(self, *, limit: int) -> Sequence[BrowsedFolder]:
        """Return the folders in the folder, by name; at most `limit`."""
        ...

    def browse_files(self, *, limit: int) -> tuple[Sequence[BrowsedFile], bool]:
        """Return files in the folder, by name of those that were met first, and whether there are more."""
        ...
