"""The files of the simulated Drive: how they lie in folders, and the logs that every change leaves."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

GOOGLE = "application/vnd.google-apps."
FOLDER = GOOGLE + "folder"
SHORTCUT = GOOGLE + "shortcut"
MY_DRIVE = "0AMyDriveRoot"
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class SimulatedFile:
    """One file, folder, document or shortcut."""

    file_id: str
    name: str
    mime_type: str
    parents: list[str]
    drive_id: str | None = None
    content: bytes = b""
    version: int = 1
    revision: int = 1
    modified_at: datetime = _START
    trashed: bool = False
    """Put into the trash itself; what lies in a folder in the trash is there as well."""
    visible: bool = True
    """False: the account may not see it (any more)."""
    listed: bool = True
    """False: to be seen by those who know its id, and in nobody's listing, like what is open to all with its link."""
    shared: bool = False
    """Shared with the account, which need not be a member of its drive for that."""
    target: str | None = None
    target_key: str | None = None
    resource_key: str | None = None
    """Needed to see it, where it has one."""
    can_download: bool = True
    description: str | None = None
    starred: bool = False
    properties: dict[str, str] = field(default_factory=dict)
    app_properties: dict[str, str] = field(default_factory=dict)


class DriveFiles:
    """All that there is, for any number of threads. Every method that changes a file writes it into a log."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.files: dict[str, SimulatedFile] = {}
        self.drives: dict[str, str] = {}
        """Names of the shared drives that the account is a member of."""
        self.log: list[tuple[str | None, str, str]] = []
        """(shared drive, `file` or `drive`, id) of every change; None for the account's own log."""
        self._numbers = itertools.count(1)
        self.files[MY_DRIVE] = SimulatedFile(MY_DRIVE, "My Drive", FOLDER, [])

    def add_drive(self, name: str, drive_id: str | None = None) -> str:
        """Make a shared drive and return its id, which is that of its root folder."""
        with self.lock:
            drive_id = drive_id or f"0ADrive{next(self._numbers)}"
            self.drives[drive_id] = name
            self.files[drive_id] = SimulatedFile(drive_id, name, FOLDER, [], drive_id)
            self.log.append((None, "drive", drive_id))
            return drive_id

    def leave_drive(self, drive_id: str) -> None:
        """Take the account out of a shared drive."""
        with self.lock:
            del self.drives[drive_id]
            self.log.append((None, "drive", drive_id))

    def add(self, name: str, parent: str = MY_DRIVE, mime_type: str = "text/plain", **settings: Any) -> str:
        """Make a file of any kind and return its id."""
        with self.lock:
            file_id = str(settings.pop("file_id", None) or f"file-{next(self._numbers):06d}")
            drive_id = self.files[parent].drive_id
            self.files[file_id] = SimulatedFile(file_id, name, mime_type, [parent], drive_id, **settings)
            self.changed(file_id)
            return file_id

    def add_folder(self, name: str, parent: str = MY_DRIVE, **settings: Any) -> str:
        """Make a folder and return its id."""
        return self.add(name, parent, FOLDER, **settings)

    def add_shortcut(self, name: str, parent: str, target: str, **settings: Any) -> str:
        """Make a shortcut and return its id."""
        return self.add(name, parent, SHORTCUT, target=target, **settings)

    def write(self, file_id: str, content: bytes) -> None:
        """Give a file a new content."""
        with self.lock:
            file = self.files[file_id]
            file.content = content
            file.revision += 1
            file.modified_at += timedelta(seconds=1)
            self.changed(file_id)

    def update(self, file_id: str, **values: Any) -> None:
        """Change values of a file: name, parents, trashed, properties and the like."""
        with self.lock:
            file = self.files[file_id]
            before = file.drive_id
            for name, value in values.items():
                setattr(file, name, value)
            if "parents" in values:
                file.drive_id = self.files[file.parents[0]].drive_id if file.parents else None
                if file.drive_id != before:
                    self.log.append((before, "file", file_id))
            self.changed(file_id)

    def delete(self, file_id: str) -> None:
        """Remove for good, a folder with all that it holds; only what was named gets into the log."""
        with self.lock:
            drive_id = self.files[file_id].drive_id
            for child in [one.file_id for one in self.files.values() if file_id in one.parents]:
                self._drop(child)
            del self.files[file_id]
            self.log.append((drive_id, "file", file_id))

    def hide(self, file_id: str) -> None:
        """Take the account's rights to a file, or to a folder with all that it holds; one entry in the log."""
        with self.lock:
            waiting = [file_id]
            while waiting:
                at = waiting.pop()
                self.files[at].visible = False
                waiting += [one.file_id for one in self.files.values() if at in one.parents]
            self.log.append((self.files[file_id].drive_id, "file", file_id))

    def changed(self, file_id: str) -> None:
        """Count a change and log it, as also looking at a file does."""
        with self.lock:
            file = self.files[file_id]
            file.version += 1
            drive_id = None if file.drive_id is not None and self._is_apart(file) else file.drive_id
            self.log.append((drive_id, "file", file_id))

    def in_trash(self, file: SimulatedFile) -> bool:
        """Return whether a file, or a folder that it lies in, is in the trash."""
        seen: set[str] = set()
        waiting = [file]
        while waiting:
            at = waiting.pop()
            if at.trashed:
                return True
            seen.add(at.file_id)
            waiting += [self.files[one] for one in at.parents if one in self.files and one not in seen]
        return False

    def seen(self, file_id: str) -> SimulatedFile | None:
        """Return a file that the account may see."""
        file = self.files.get(MY_DRIVE if file_id == "root" else file_id)
        if file is None or not file.visible:
            return None
        return file if file.drive_id is None or file.drive_id in self.drives or self.shared_singly(file) else None

    def shared_singly(self, file: SimulatedFile) -> bool:
        """Return whether a file of a drive is shared with the account, itself or with a folder that it lies in."""
        above = [self.files[one] for one in file.parents if one in self.files]
        return file.shared or any(self.shared_singly(one) for one in above)

    def of_corpus(self, drive_id: str | None) -> Iterator[SimulatedFile]:
        """Yield what is to be seen of the account's own corpus or of a shared drive; root folders are never listed."""
        for file in list(self.files.values()):
            if not file.visible or file.file_id in (MY_DRIVE, drive_id):
                continue
            if file.drive_id == drive_id or (drive_id is None and self._is_apart(file)):
                yield file

    def _is_apart(self, file: SimulatedFile) -> bool:
        return file.drive_id not in self.drives and self.shared_singly(file)

    def _drop(self, file_id: str) -> None:
        for child in [one.file_id for one in self.files.values() if file_id in one.parents]:
            self._drop(child)
        self.files.pop(file_id, None)

    def resource(self, file: SimulatedFile) -> dict[str, Any]:
        """Return a file as the API tells it, with every field that it knows."""
        told: dict[str, Any] = {
            "kind": "drive#file",
            "id": file.file_id,
            "name": file.name,
            "mimeType": file.mime_type,
            "version": str(file.version),
            "createdTime": _time(_START),
            "modifiedTime": _time(file.modified_at),
            "trashed": self.in_trash(file),
            "explicitlyTrashed": file.trashed,
            "starred": file.starred,
            "webViewLink": f"https://drive.google.com/file/d/{file.file_id}/view",
            "capabilities": {"canDownload": file.can_download},
        }
        parents = [one for one in file.parents if self.seen(one) is not None]
        optional = {
            "parents": parents or None,
            "driveId": file.drive_id,
            "description": file.description,
            "properties": file.properties or None,
            "appProperties": file.app_properties or None,
            "resourceKey": file.resource_key,
        }
        told |= {name: value for name, value in optional.items() if value is not None}
        if file.target is not None:
            target = self.files.get(file.target)
            details = {"targetId": file.target, "targetMimeType": target.mime_type if target else "text/plain"}
            told["shortcutDetails"] = details | ({"targetResourceKey": file.target_key} if file.target_key else {})
        if not file.mime_type.startswith(GOOGLE):
            told |= {
                "size": str(len(file.content)),
                "md5Checksum": hashlib.md5(file.content, usedforsecurity=False).hexdigest(),
                "sha256Checksum": hashlib.sha256(file.content).hexdigest(),
                "headRevisionId": f"{file.file_id}-r{file.revision}",
            }
        return told


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
