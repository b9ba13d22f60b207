"""A document library: its entries by id, and the log of what became of them."""

from __future__ import annotations

import base64
import functools
import mimetypes
import operator
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import quote

_START = datetime(2026, 1, 1, tzinfo=UTC)
_LONE = "surrogatepass"
"""Names are UTF-16 to the service, so that half a pair can be one."""


@functools.lru_cache(maxsize=200_000)
def quick_xor_hash(data: bytes) -> str:
    """Return the quickXorHash in base64, column by column of the register: not the way a fast client computes it."""
    register = 0
    for position in range(160):
        byte = functools.reduce(operator.xor, data[position::160], 0)
        for bit in range(8):
            if byte >> bit & 1:
                register ^= 1 << ((position * 11 + bit) % 160)
    register ^= len(data) << 96
    return base64.b64encode(register.to_bytes(20, "little")).decode()


@dataclass
class DriveEntry:
    """A file, a folder, a notebook or a shortcut, in its present state."""

    number: int
    id: str
    name: str
    parent: DriveEntry | None
    kind: str
    """root, folder, file, package or shortcut."""
    content: bytes = b""
    columns: dict[str, Any] = field(default_factory=dict)
    changed: int = 0
    """Number of the log's entry that told of it last."""
    edits: int = 1
    modified_at: datetime = _START
    deleted: bool = False
    told: dict[str, Any] = field(default_factory=dict)
    """Properties that the service tells otherwise than they are: `size`, `quickXorHash` (None: none), `malware`."""

    @property
    def path(self) -> str:
        """Path below the library's root; empty for the root."""
        above = "" if self.parent is None else self.parent.path
        return f"{above}/{self.name}" if above else self.name if self.parent is not None else ""

    @property
    def etag(self) -> str:
        """Changes with the content and with the properties."""
        return f'"{{{self.id}}},{self.edits}"'

    @property
    def ancestors(self) -> Iterator[DriveEntry]:
        """The folders above, nearest first."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent


class SimulatedDrive:
    """A library that tests fill and change; thread-safe. Paths are below its root, folders are made as needed."""

    def __init__(self, drive_id: str, name: str, web_url: str) -> None:
        self.id = drive_id
        self.name = name
        self.web_url = web_url
        self.deletes_tell_content = True
        """Whether the log tells of every entry below a deleted folder, or of the folder alone."""
        self.lock = threading.RLock()
        self._sequence = 0
        self._order: list[DriveEntry] = []
        self.entries: dict[str, DriveEntry] = {}
        self._below: dict[str, list[DriveEntry]] = {}
        self.root = self._new("root", None, "root")

    @property
    def sequence(self) -> int:
        """The number of the log's last entry."""
        return self._sequence

    def put(self, path: str, content: bytes, *, columns: Mapping[str, Any] | None = None, **told: Any) -> DriveEntry:
        """Write or overwrite a file, and return its entry."""
        with self.lock:
            entry = self.find(path)
            if entry is None:
                folder, _, name = path.rpartition("/")
                entry = self._new(name, self.mkdir(folder), "file")
            entry.content = content
            if columns is not None:
                entry.columns = dict(columns)
            entry.told = told
            self._touch(entry)
            return entry

    def mkdir(self, path: str, kind: str = "folder") -> DriveEntry:
        """Return the folder at a path, made with those above it if need be; `kind` may be package or shortcut."""
        with self.lock:
            at = self.root
            for name in [part for part in path.split("/") if part]:
                below = self._child(at, name)
                at = below if below is not None else self._new(name, at, kind)
            return at

    def find(self, path: str) -> DriveEntry | None:
        """Return the entry at a path, whatever the case of its letters; None when there is none."""
        with self.lock:
            at: DriveEntry | None = self.root
            for name in [part for part in path.split("/") if part]:
                at = self._child(at, name) if at is not None else None
            return at

    def move(self, path: str, to: str) -> None:
        """Move or rename a file or folder; the log tells of it alone, not of what is below."""
        with self.lock:
            entry = self._required(path)
            folder, _, name = to.rpartition("/")
            entry.parent, entry.name = self.mkdir(folder), name
            self._below.setdefault(entry.parent.id, []).append(entry)
            self._touch(entry)

    def set_columns(self, path: str, columns: Mapping[str, Any]) -> None:
        """Change a file's columns: the item changes, its content does not."""
        with self.lock:
            entry = self._required(path)
            entry.columns = dict(columns)
            self._touch(entry)

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with everything in it."""
        with self.lock:
            entry = self._required(path)
            below = [one for one in self.entries.values() if entry in one.ancestors and not one.deleted]
            for one in [*below, entry]:
                one.deleted = True
                if one is entry or self.deletes_tell_content:
                    self._touch(one)

    def live(self, below: DriveEntry, after: int, most: int | None = None) -> list[DriveEntry]:
        """Return the first `most` entries of a subtree, itself included, made after number `after`, in that order."""
        found = (one for one in islice(self._order, after, None) if not one.deleted and _lies_below(one, below))
        return list(islice(found, most))

    def changed(self, below: DriveEntry, after: int) -> list[DriveEntry]:
        """Return the entries of a subtree that changed after a number of the log, deleted ones included, in order."""
        found = [one for one in self._order if one.changed > after and _lies_below(one, below)]
        return sorted(found, key=lambda one: one.changed)

    def _child(self, folder: DriveEntry, name: str) -> DriveEntry | None:
        # Those that moved away or were deleted are still in the list.
        there = [one for one in self._below.get(folder.id, ()) if one.parent is folder and not one.deleted]
        exact = next((one for one in there if one.name == name), None)
        # Folders are found whatever the case; files keep theirs here, so that twins can be told apart.
        alike = (one for one in there if one.kind != "file" and one.name.casefold() == name.casefold())
        return exact or next(alike, None)

    def _required(self, path: str) -> DriveEntry:
        entry = self.find(path)
        if entry is None:
            raise KeyError(path)
        return entry

    def _new(self, name: str, parent: DriveEntry | None, kind: str) -> DriveEntry:
        number = len(self._order) + 1
        entry = DriveEntry(number, f"01SIM{number:08d}", name, parent, kind)
        self._order.append(entry)
        self.entries[entry.id] = entry
        if parent is not None:
            self._below.setdefault(parent.id, []).append(entry)
        self._touch(entry)
        return entry

    def _touch(self, entry: DriveEntry) -> None:
        self._sequence += 1
        entry.changed = self._sequence
        entry.edits += 1
        entry.modified_at = _START + timedelta(seconds=self._sequence)


def _lies_below(entry: DriveEntry, below: DriveEntry) -> bool:
    return below.parent is None or entry is below or below in entry.ancestors


def as_item(drive: SimulatedDrive, entry: DriveEntry, *, in_delta: bool) -> dict[str, Any]:
    """Return the driveItem of an entry: a delta tells no paths, and of a deleted item neither name nor place."""
    modified = entry.modified_at.isoformat().replace("+00:00", "Z")
    item: dict[str, Any] = {"id": entry.id, "lastModifiedDateTime": modified}
    if entry.deleted:
        # The parent of what was deleted is told to be the root.
        item |= {"deleted": {"state": "deleted"}, "parentReference": {"driveId": drive.id, "id": drive.root.id}}
    else:
        item |= {"name": entry.name, "eTag": entry.etag, "webUrl": f"{drive.web_url}/{quote(entry.path, errors=_LONE)}"}
        item["parentReference"] = _parent(drive, entry, in_delta=in_delta)
    if entry.kind == "file":
        told = entry.told.get("quickXorHash", quick_xor_hash(entry.content) if "quickXorHash" not in entry.told else "")
        hashes = {"hashes": {"quickXorHash": told}} if told else {}
        item["file"] = {"mimeType": mimetypes.guess_type(entry.name)[0] or "application/octet-stream", **hashes}
        item["size"] = entry.told.get("size", len(entry.content))
        if entry.told.get("malware"):
            item["malware"] = {"description": "sample"}
    elif entry.kind == "shortcut":
        item["remoteItem"] = {"id": "elsewhere", "folder": {}}
    elif entry.kind == "package":
        item["package"] = {"type": "oneNote"}
    else:
        item["folder"] = {"childCount": 0}
        if entry.kind == "root":
            item["root"] = {}
    return item


def _parent(drive: SimulatedDrive, entry: DriveEntry, *, in_delta: bool) -> dict[str, Any]:
    reference: dict[str, Any] = {"driveId": drive.id, "driveType": "documentLibrary"}
    if entry.parent is not None:
        reference["id"] = entry.parent.id
        if not in_delta:
            above = quote(entry.parent.path, errors=_LONE)
            reference["path"] = f"/drives/{drive.id}/root:" + (f"/{above}" if above else "")
    return reference
