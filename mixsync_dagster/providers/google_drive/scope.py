"""Which folder a source path names, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass

from mixsync_dagster.errors import ConfigurationError, PathNotFound
from mixsync_dagster.providers.google_drive.drive import PRESENT, Drive, quoted
from mixsync_dagster.providers.google_drive.exports import FOLDER
from mixsync_dagster.providers.google_drive.items import clean

_MY_DRIVE = "root"
"""The API's name for the root folder of My Drive."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The folder that a source path names."""

    root_id: str
    drive_id: str | None
    """The shared drive that holds it; None: My Drive, or a folder that somebody shares from theirs."""
    root: str
    """What the paths of its items begin with: empty for a whole drive, else it ends in a slash.

    For a path it is the path; for an id it is the folder's own name, since the way to it may not be visible.
    """
    name: str
    """The root folder's own name; empty where nothing depends on it."""
    apart: bool = False
    """Whether the folder is of a shared drive that the account is no member of: then only it can be searched."""


def find_scope(drive: Drive) -> Scope:
    """Return the folder of the source path, by one request for each of its names.

    Raises PathNotFound when it does not exist or is not shared with the account, ConfigurationError when it is no
    folder, or when a name is there twice.
    """
    place = drive.settings.place
    if place.folder_id is not None and place.folder_id not in (_MY_DRIVE, drive.settings.shared_drive_id):
        return _by_id(drive, place.folder_id)
    drive_id = drive.settings.shared_drive_id
    root_id = drive_id or _my_drive(drive)
    names = place.folders or ()
    for depth, name in enumerate(names):
        root_id = _child(drive, root_id, drive_id, names[: depth + 1], name)
    return Scope(root_id, drive_id, "".join(f"{name}/" for name in names), names[-1] if names else "")


def _my_drive(drive: Drive) -> str:
    file = drive.file(_MY_DRIVE)
    if file is None:
        raise PathNotFound(f"source_path: {drive.settings.who} has no My Drive; give shared_drive_id or a folder's id.")
    return str(file["id"])


def _by_id(drive: Drive, folder_id: str) -> Scope:
    settings = drive.settings
    file = drive.file(folder_id)
    if file is None:
        raise PathNotFound(
            f"source_path: the folder {folder_id} does not exist, or is not shared with {settings.who}; "
            "share it with the role Viewer."
        )
    if file.get("trashed"):
        raise PathNotFound(f"source_path: the folder {folder_id} is in the trash.")
    if file.get("mimeType") != FOLDER:
        raise ConfigurationError(f"source_path: {folder_id} is not accepted, for it is a file; give a folder.")
    drive_id = file.get("driveId")
    if settings.shared_drive_id is not None and drive_id != settings.shared_drive_id:
        raise ConfigurationError(
            f"source_path: {folder_id} is not accepted; give a folder of the shared drive {settings.shared_drive_id}, "
            "or leave shared_drive_id out."
        )
    if folder_id == drive_id:
        return Scope(folder_id, drive_id, "", "")
    name = str(file.get("name", ""))
    corpus = drive.corpus_of(drive_id)
    return Scope(folder_id, corpus, clean(name) + "/", name, apart=corpus != drive_id)


def _child(drive: Drive, parent: str, drive_id: str | None, way: tuple[str, ...], name: str) -> str:
    query = f"{quoted(parent)} in parents and name = {quoted(name)} and mimeType = '{FOLDER}' and {PRESENT}"
    found = [str(file["id"]) for file in drive.all(query, drive_id) if file.get("name") == name]
    shown = "/" + "/".join(way)
    if not found:
        whose = f"the shared drive {drive_id}" if drive_id else f"My Drive of {drive.settings.who}"
        raise PathNotFound(
            f"source_path: there is no folder {shown} in {whose}; a folder that others share is given by its id."
        )
    if len(found) > 1:
        raise ConfigurationError(
            f"source_path: {shown} is not accepted, for there are {len(found)} folders of this name; give the id of "
            f"one: {', '.join(sorted(found)[:5])}."
        )
    return found[0]
