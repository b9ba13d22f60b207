"""The change feed: the library's delta behind a stored link.

It is always the delta of the library's root: only there does a file that leaves the scope come up as moved. A changed
folder stands for everything below it, of which the service says nothing, so that its present content is told with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.provider import ChangePage, Cursor, Probe
from mixsync_dagster.providers.sharepoint.client import GraphClient
from mixsync_dagster.providers.sharepoint.cursors import Position, Scope, decode, encode
from mixsync_dagster.providers.sharepoint.delta import DeltaPage, delta_of, fetch_page, is_folder, is_root
from mixsync_dagster.providers.sharepoint.errors import Refusal, feed_error, request_error
from mixsync_dagster.providers.sharepoint.finding import Finder
from mixsync_dagster.providers.sharepoint.listing import delta_pages, note_folders, shown
from mixsync_dagster.providers.sharepoint.rows import Rows, identity_of, rows_of
from mixsync_dagster.providers.sharepoint.tree import FolderLost, FolderTree


class Feed:
    """Reads the feeds of one connection; not for several threads at once."""

    def __init__(self, client: GraphClient, finder: Finder, clock: Clock) -> None:
        self._client = client
        self._finder = finder
        self._clock = clock

    def head(self, scope: Scope) -> Cursor:
        """Return the present end of the library's feed, by one request."""
        try:
            page = fetch_page(self._client, delta_of(scope.drive_id, None, latest=True))
        except Refusal as refusal:
            raise request_error(refusal, place=shown(scope), now=self._clock.now()) from None
        if page.delta_link is None:
            raise ProviderUnavailable("The service answered a request for the latest position with a page of changes.")
        return encode(Position("feed", scope, page.delta_link))

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield what changed; see ChangeFeed.changes. One request when nothing did.

        Files outside the scope are told as removed, whether they ever were inside; one whose folder may not be read is
        rejected. What lies below a changed folder is told in pages of its own, whose positions begin the same page
        again. Raises CursorExpired when the service no longer takes the position, when the source path names another
        folder now, and when a folder was deleted: its content is not told, and an empty folder does not tell that it
        is one.
        """
        position = self._position(after)
        scope, link = position.scope, position.link
        tree = FolderTree(lambda folder_id: self._finder.folder(scope.drive_id, folder_id), scope.placed)
        while True:
            page = self._page(scope, link)
            folders = _changed_folders(page)
            note_folders(tree, page.entries)
            if folders:
                self._require_same(scope)
                for step, rows in enumerate(self._below(scope, tree, folders), start=1):
                    again = encode(Position("feed", scope, link), step=step)
                    yield ChangePage(rows.table, rows.outside, again, caught_up=False, rejected=rows.rejected)
            rows = rows_of(page.entries, scope.drive_id, scope.root, tree)
            deleted = tuple(identity_of(scope.drive_id, one["id"]) for one in page.entries if "deleted" in one)
            cursor = encode(Position("feed", scope, page.link))
            ended = page.next_link is None
            yield ChangePage(rows.table, rows.outside + deleted, cursor, caught_up=ended, rejected=rows.rejected)
            if page.next_link is None:
                return
            link = page.next_link

    def probe(self, after: Cursor) -> Probe:
        """Return whether the library changed, by one request; the root alone is no change, it is always told."""
        position = self._position(after)
        page = self._page(position.scope, position.link)
        if any(not is_root(entry) for entry in page.entries):
            return Probe.CHANGED
        return Probe.NOTHING_NEW if page.next_link is None else Probe.UNKNOWN

    def _position(self, after: Cursor) -> Position:
        position = decode(after, "feed")
        if position.scope.named != self._finder.named:
            raise CursorExpired("The stored position belongs to another source path; everything is listed again.")
        return position

    def _page(self, scope: Scope, link: str) -> DeltaPage:
        try:
            return fetch_page(self._client, link, changes_only=True)
        except Refusal as refusal:
            raise feed_error(refusal, place=shown(scope), now=self._clock.now()) from None

    def _require_same(self, scope: Scope) -> None:
        """Ask again what the source path names: a changed folder may be the scope, or one above it."""
        if self._finder.find() != scope:
            raise CursorExpired("The source path names another folder than before; everything is listed again.")

    def _below(self, scope: Scope, tree: FolderTree, folders: list[str]) -> Iterator[Rows]:
        """Yield what lies below the topmost of these folders."""
        covered = "\n"
        for path, folder_id in sorted(self._paths(tree, folders)):
            if path.startswith(covered):
                continue
            covered = path
            place = replace(scope, folder_id=folder_id, root=path)
            for page in delta_pages(self._first_below, self._next_below, place, None):
                note_folders(tree, page.entries)
                rows = rows_of(page.entries, scope.drive_id, scope.root, tree)
                if rows.table.num_rows or rows.outside or rows.rejected:
                    yield rows

    def _paths(self, tree: FolderTree, folders: list[str]) -> Iterator[tuple[str, str]]:
        for folder_id in folders:
            try:
                yield tree.path_of(folder_id), folder_id
            except FolderLost:
                # Gone since, or moved below what may not be read: a later page, or the next full listing, tells.
                continue

    def _first_below(self, place: Scope) -> DeltaPage:
        return self._page_below(place, delta_of(place.drive_id, place.folder_id))

    def _next_below(self, place: Scope, link: str) -> DeltaPage:
        return self._page_below(place, link)

    def _page_below(self, place: Scope, link: str) -> DeltaPage:
        try:
            return fetch_page(self._client, link)
        except Refusal as refusal:
            if refusal.status in (404, 410):
                # Deleted since the page was told: a later page says so.
                return DeltaPage([], None, "gone")
            if refusal.status in (400, 501):
                message = (
                    f"A folder was moved or renamed and cannot be read by itself ({refusal}); all is listed again."
                )
                raise CursorExpired(message) from None
            raise request_error(refusal, place=shown(place), now=self._clock.now()) from None


def _changed_folders(page: DeltaPage) -> list[str]:
    """Return the ids of the page's folders. Raises CursorExpired when one of them was deleted."""
    folders = [entry for entry in page.entries if is_folder(entry) and not is_root(entry)]
    if any("deleted" in entry for entry in folders):
        raise CursorExpired(
            "A folder was deleted, and the change feed does not promise to tell what was in it; all is listed again."
        )
    return [entry["id"] for entry in folders]
