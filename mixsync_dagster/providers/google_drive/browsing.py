"""Looking into one folder, for people who choose a source path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from mixsync_dagster.ports.browsing import BrowsedFile, BrowsedFolder
from mixsync_dagster.providers.google_drive.drive import CONTENT, PRESENT, Drive, quoted
from mixsync_dagster.providers.google_drive.exports import FOLDER
from mixsync_dagster.providers.google_drive.items import clean
from mixsync_dagster.providers.google_drive.scope import find_scope


def folders_in(drive: Drive, *, limit: int) -> Sequence[BrowsedFolder]:
    """Return the folders in the folder of the source path; see `FolderBrowser.browse_folders`."""
    scope = find_scope(drive)
    query = f"{quoted(scope.root_id)} in parents and mimeType = '{FOLDER}' and {PRESENT}"
    found = list(islice(drive.all(query, scope.drive_id), limit))
    way = drive.settings.place.folders
    names = [str(file.get("name", "")) for file in found]
    return sorted(
        (_folder(file, way, unique=names.count(str(file.get("name", ""))) == 1) for file in found),
        key=lambda folder: (folder.name, folder.identifier),
    )


def files_in(drive: Drive, *, limit: int) -> tuple[Sequence[BrowsedFile], bool]:
    """Return files in the folder of the source path; see `FolderBrowser.browse_files`."""
    scope = find_scope(drive)
    query = f"{quoted(scope.root_id)} in parents and {CONTENT} and {PRESENT}"
    found = list(islice(drive.all(query, scope.drive_id), limit + 1))
    files = sorted(map(_file, found[:limit]), key=lambda file: (file.name, file.identifier))
    return files, len(found) > limit


def _folder(file: Mapping[str, Any], way: tuple[str, ...] | None, *, unique: bool) -> BrowsedFolder:
    name, identifier = str(file.get("name", "")), str(file["id"])
    # A name with a slash, or one that two folders have, is no step of a path.
    by_path = way is not None and unique and name and clean(name) == name
    path = "/" + "/".join((*(way or ()), name)) if by_path else identifier
    return BrowsedFolder(identifier, clean(name), path, FOLDER)


def _file(file: Mapping[str, Any]) -> BrowsedFile:
    size, modified = file.get("size"), file.get("modifiedTime")
    return BrowsedFile(
        identifier=str(file["id"]),
        name=clean(str(file.get("name", ""))),
        mime_type=str(file.get("mimeType", "")),
        size_bytes=None if size is None else int(size),
        modified_at=None if modified is None else datetime.fromisoformat(str(modified)),
    )
