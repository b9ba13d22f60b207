"""Listing a scope: pages of files, put into their folders by the tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.ports.provider import Cursor, Page
from mixsync_dagster.providers.google_drive.drive import CONTENT, PRESENT, Drive, quoted
from mixsync_dagster.providers.google_drive.exports import SHORTCUT
from mixsync_dagster.providers.google_drive.items import Placed, clean, table_of
from mixsync_dagster.providers.google_drive.settings import DriveSettings
from mixsync_dagster.providers.google_drive.tree import Shortcut, Tree

_WHOLE_DRIVE = "*"
"""The part that goes through the whole drive; sorts before every id."""
_ALIASES = "~"
"""The part of single files that shortcuts lead to; sorts behind every id."""
_FORM = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listing goes on: a part of it, and the page token in there (None: its beginning)."""

    part: str
    token: str | None = None


def fingerprint(settings: DriveSettings) -> str:
    """Return what tells positions of one scope from those of others."""
    return blake2b(settings.scope_key.encode("utf-8", "replace"), digest_size=8).hexdigest()


def cursor_of(place: Place, settings: DriveSettings) -> Cursor:
    """Return a place as a cursor."""
    return Cursor(json.dumps([_FORM, fingerprint(settings), place.part, place.token]))


def place_of(cursor: Cursor, settings: DriveSettings) -> Place:
    """Return the place of a cursor. Raises CursorExpired when it is none of this scope's."""
    try:
        form, scope, part, token = json.loads(cursor)
    except (ValueError, TypeError):
        raise CursorExpired("The position is none of a Google Drive listing.") from None
    if form != _FORM or scope != fingerprint(settings) or not isinstance(part, str):
        raise CursorExpired("The position is one of another listing.")
    return Place(part, token)


def list_tree(drive: Drive, tree: Tree, after: Cursor | None) -> Iterator[Page]:
    """Yield the files of the tree behind a position; at least one page.

    The listing has parts: the whole drive at once where the scope has many folders, else each folder on its own; then
    folders elsewhere, and single files elsewhere, that shortcuts lead to. Raises CursorExpired when the position is
    refused.
    """
    parts = _parts(drive, tree)
    listing = _Listing(drive, tree, parts)
    place: Place | None = Place(parts[0])
    if after is not None:
        place = _continued(place_of(after, drive.settings), parts)
    while place is not None:
        files, place = listing.page(place)
        yield Page(
            items=table_of(files, drive.settings.export_format),
            cursor=None if place is None else cursor_of(place, drive.settings),
        )


def _continued(place: Place, parts: list[str]) -> Place:
    """Return the place if the listing still has the parts that it began with."""
    began_whole, goes_whole = place.part == _WHOLE_DRIVE, parts[0] == _WHOLE_DRIVE
    if began_whole != goes_whole and (began_whole or place.part not in parts):
        raise CursorExpired("The folders have changed too much for the listing to go on.")
    return place


def _parts(drive: Drive, tree: Tree) -> list[str]:
    """Return the parts of the listing in their order."""
    inside = set(tree.in_scope())
    own = inside - tree.foreign
    by_folder = bool(tree.scope.root) and len(own) <= drive.settings.few_folders
    parts = sorted(inside if by_folder else inside & tree.foreign)
    if own and not by_folder:
        parts.insert(0, _WHOLE_DRIVE)
    if tree.alias_files or tree.broken:
        parts.append(_ALIASES)
    return parts


class _Listing:
    """A listing in parts, a page at a time."""

    def __init__(self, drive: Drive, tree: Tree, parts: list[str]) -> None:
        self._drive = drive
        self._tree = tree
        self._parts = parts
        self._known = frozenset(parts)

    def page(self, place: Place) -> tuple[list[Placed], Place | None]:
        """Return one page of files, and where the listing goes on (None: nowhere)."""
        part, tree = place.part, self._tree
        behind = next((Place(one) for one in self._parts if one > part), None)
        if part == _ALIASES:
            return _aliases(tree), None
        if part == _WHOLE_DRIVE:
            query, drive_id = f"{CONTENT} and {PRESENT}", tree.scope.drive_id
        elif part in self._known:
            query, drive_id = f"{quoted(part)} in parents and {CONTENT} and {PRESENT}", tree.drive_of(part)
        else:
            # The folder has left the scope since; what is behind it has not been listed yet.
            return [], behind
        files, token = self._drive.page(query, drive_id, place.token)
        placed = [
            (file, above + clean(file.get("name", "")))
            for file in files
            if (above := self._folder_of(file, part)) is not None
        ]
        return placed, behind if token is None else Place(part, token)

    def _folder_of(self, file: Mapping[str, Any], part: str) -> str | None:
        """Return a file's folder path; None where it is outside of the scope, or another part lists it."""
        parents = file.get("parents")
        if not parents:
            return None
        if parents != [part]:
            # Files of old have several parents: the first that is a part of its own lists them.
            listed_by = min(self._known.intersection(parents), default=part)
            if listed_by != part:
                return None
        return self._tree.place(parents)


def _aliases(tree: Tree) -> list[Placed]:
    found: list[Placed] = []
    for target, (path, shortcut) in sorted(tree.alias_files.items()):
        file = tree.targets.get(target)
        if file is None or file.get("trashed"):
            found.append(_broken(path, shortcut))
        elif tree.place(file.get("parents") or ()) is None:
            found.append(({"resourceKey": shortcut.resource_key, **file}, path))
    for shortcut in tree.broken.values():
        above = tree.place(shortcut.parents)
        if above is not None:
            found.append(_broken(above + clean(shortcut.name), shortcut))
    return found


def _broken(path: str, shortcut: Shortcut) -> Placed:
    file = {"id": shortcut.shortcut_id, "name": shortcut.name, "mimeType": SHORTCUT, "version": "0", "broken": True}
    return file, path
