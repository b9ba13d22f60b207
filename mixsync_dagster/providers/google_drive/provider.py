"""Google Drive as a Provider, a ChangeFeed, an AttributeSource and a FolderBrowser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.ports.browsing import BrowsedFile, BrowsedFolder
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.provider import Capabilities, ChangePage, Cursor, Page, Probe
from mixsync_dagster.providers.google_drive.browsing import files_in, folders_in
from mixsync_dagster.providers.google_drive.bytes_reader import BytesReader
from mixsync_dagster.providers.google_drive.client import DriveClient
from mixsync_dagster.providers.google_drive.drive import PRESENT, Drive, quoted
from mixsync_dagster.providers.google_drive.feed import changes_after, head_of, probe
from mixsync_dagster.providers.google_drive.listing import list_tree, place_of
from mixsync_dagster.providers.google_drive.scope import Scope, find_scope
from mixsync_dagster.providers.google_drive.settings import DriveSettings
from mixsync_dagster.providers.google_drive.tree import Tree, load_tree

_PROPERTIES = "drive_property"


class GoogleDriveProvider:
    """A folder of My Drive, of a shared drive, or one that is shared with the account, and all that it holds.

    The identity of a file is its id, which it keeps wherever it moves. Making a provider sends nothing. Raises
    ConfigurationError when the credentials cannot be used.
    """

    def __init__(self, settings: DriveSettings, clock: Clock) -> None:
        self._settings = settings
        self._client = DriveClient(settings, clock)
        self._drive = Drive(self._client, settings, clock)
        self._reader = BytesReader(self._client, settings, clock)
        self._scope: Scope | None = None
        self._tree: Tree | None = None
        self._lock = threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        """Listings in no order, the log of changes, properties of files."""
        return Capabilities(
            ordered_listing=False,
            change_feed=True,
            reports_removals=True,
            attribute_kinds=frozenset({_PROPERTIES}),
        )

    @property
    def root(self) -> str:
        """Return the folders of a path, or the name of a folder that is given by its id, with a slash at the end.

        Asks Drive once, for an id only; raises as `check` then.
        """
        folders = self._settings.place.folders
        if folders is not None:
            return "".join(f"{name}/" for name in folders)
        with self._lock:
            if self._scope is None:
                self._scope = find_scope(self._drive)
            return self._scope.root

    def check(self) -> None:
        """Return if the drive and the folder of the source path exist and can be listed."""
        if self._settings.shared_drive_id is not None:
            self._drive.drive_name(self._settings.shared_drive_id)
        scope = find_scope(self._drive)
        self._drive.page(f"{quoted(scope.root_id)} in parents and {PRESENT}", scope.drive_id)

    def list_pages(self, after: Cursor | None = None, *, hints: Sequence[str] = ()) -> Iterator[Page]:
        """Yield the listing behind `after`; see the port. Hints are of no use where nothing is in order.

        Raises CursorExpired for a foreign position, and for a page token that Drive no longer takes (after hours).
        """
        del hints
        if after is not None:
            place_of(after, self._settings)  # before anything is asked for
        yield from list_tree(self._drive, self._current_tree(), after)

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the file's bytes, or those of its export, in chunks of about 1 MiB."""
        return self._reader.read(item)

    def read_attributes(self, item: SourceItem, kinds: frozenset[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the file's own values and its properties, as they were listed; nothing is asked for."""
        if _PROPERTIES not in kinds:
            return {}
        carried = json.loads(item.native or "{}")
        return {_PROPERTIES: carried.get("properties", {})}

    def head(self) -> Cursor:
        """Return the present end of every log that the scope depends on."""
        position, tree = head_of(self._drive)
        with self._lock:
            self._tree = tree
        return position.cursor(self._settings)

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield what changed after a position; see the port, and `feed.changes_after` for what costs a new listing."""
        return changes_after(self._drive, after)

    def probe(self, after: Cursor) -> Probe:
        """Return whether anything changed in the drive, by one request for each log; one, as a rule."""
        return probe(self._drive, after)

    def browse_folders(self, *, limit: int) -> Sequence[BrowsedFolder]:
        """Return the folders in the folder; see `ports.browsing`."""
        return folders_in(self._drive, limit=limit)

    def browse_files(self, *, limit: int) -> tuple[Sequence[BrowsedFile], bool]:
        """Return files in the folder, and whether there are more; see `ports.browsing`."""
        return files_in(self._drive, limit=limit)

    def close(self) -> None:
        """Free connections. Twice is harmless."""
        self._client.close()

    def _current_tree(self) -> Tree:
        """Return the tree that `head` has just fetched (changes since are in the feed behind it), else a new one."""
        with self._lock:
            tree, self._tree = self._tree, None
        return tree or load_tree(self._drive, find_scope(self._drive))
