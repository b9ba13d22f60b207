"""Listing a scope: a delta without a token, page by page.

Paging through the children of folders is not an alternative: the documentation promises completeness for deltas alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.provider import Cursor, Page
from mixsync_dagster.providers.sharepoint.client import GraphClient
from mixsync_dagster.providers.sharepoint.cursors import Position, Scope, decode, encode
from mixsync_dagster.providers.sharepoint.delta import DeltaPage, delta_of, fetch_page, is_folder, is_root
from mixsync_dagster.providers.sharepoint.errors import Refusal, request_error
from mixsync_dagster.providers.sharepoint.finding import Finder
from mixsync_dagster.providers.sharepoint.rows import rows_of
from mixsync_dagster.providers.sharepoint.tree import FolderTree

_ROOT_ONLY = frozenset({"notSupported", "invalidRequest", "badArgument"})
"""What services say that know the delta of a library's root only."""


class Listing:
    """Lists scopes of one connection; not for several threads at once."""

    def __init__(self, client: GraphClient, finder: Finder, clock: Clock) -> None:
        self._client = client
        self._finder = finder
        self._clock = clock
        self._tree: FolderTree | None = None

    def pages(self, scope: Scope, after: Cursor | None) -> Iterator[Page]:
        """Yield the pages behind `after`; see Provider.list_pages. A file may come twice: its last row is its state.

        Raises CursorExpired for a position of another scope, and for one that the service no longer takes.
        """
        link = None
        if after is not None:
            position = decode(after, "listing")
            if position.scope != scope:
                raise CursorExpired(
                    "The stored position belongs to another library or folder; the listing starts again."
                )
            link = position.link
        if link is None or self._tree is None:
            self._tree = FolderTree(lambda folder_id: self._finder.folder(scope.drive_id, folder_id), scope.placed)
        for page in delta_pages(self._first, self._next, scope, link):
            note_folders(self._tree, page.entries)
            rows = rows_of(page.entries, scope.drive_id, scope.root, self._tree)
            cursor = None if page.next_link is None else encode(Position("listing", scope, page.next_link))
            yield Page(rows.table, cursor, None, rows.rejected)

    def _first(self, scope: Scope) -> DeltaPage:
        try:
            try:
                return fetch_page(self._client, delta_of(scope.drive_id, scope.folder_id))
            except Refusal as refusal:
                if scope.folder_id is None or refusal.status not in (400, 501) or refusal.code not in _ROOT_ONLY:
                    raise
                return fetch_page(self._client, delta_of(scope.drive_id, None))
        except Refusal as refusal:
            raise request_error(refusal, place=shown(scope), now=self._clock.now()) from None

    def _next(self, scope: Scope, link: str) -> DeltaPage:
        try:
            return fetch_page(self._client, link)
        except Refusal as refusal:
            if refusal.status in (400, 410):
                raise CursorExpired(
                    f"The listing's position is no longer taken ({refusal}); it starts again."
                ) from None
            raise request_error(refusal, place=shown(scope), now=self._clock.now()) from None


def delta_pages(first: Any, following: Any, scope: Scope, link: str | None) -> Iterator[DeltaPage]:
    """Yield pages up to the one with a delta link, beginning behind `link` (None: at the start)."""
    while True:
        page = first(scope) if link is None else following(scope, link)
        yield page
        link = page.next_link
        if link is None:
            return


def note_folders(tree: FolderTree, entries: Any) -> None:
    """Teach the tree every folder among the entries, before any path is made of them: they come in any order."""
    for entry in entries:
        if (is_folder(entry) or is_root(entry)) and "deleted" not in entry:
            tree.note(entry)


def shown(scope: Scope) -> str:
    """Return the scope in words."""
    return f"the folder {scope.root.rstrip('/')}" if scope.root else f"the library {scope.drive_id}"
