"""From entries of a delta to rows of a page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from mixsync_dagster.model.columns import column, empty
from mixsync_dagster.model.items import ITEM_SCHEMA, RejectedItem
from mixsync_dagster.providers.sharepoint.tree import FolderLost, FolderTree, parent_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BUSINESS = "b!"


@dataclass
class Rows:
    """What some entries amount to."""

    table: pa.Table
    outside: tuple[str, ...] = ()
    """Identities of files that lie outside the scope."""
    rejected: tuple[RejectedItem, ...] = ()


@dataclass
class _Columns:
    identity: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    version: list[str] = field(default_factory=list)
    metadata_version: list[str] = field(default_factory=list)
    size: list[int | None] = field(default_factory=list)
    modified: list[int | None] = field(default_factory=list)
    mime: list[str | None] = field(default_factory=list)
    unreadable: list[str | None] = field(default_factory=list)


def identity_of(drive_id: str, item_id: str) -> str:
    """Return the source object id of an item: it survives renames and moves inside its library."""
    return f"{drive_id}!{item_id}"


def ids_of(identity: str) -> tuple[str, str]:
    """Return drive and item of a source object id. Ids of business drives begin with `b!`, item ids may hold `!`."""
    start = len(_BUSINESS) if identity.startswith(_BUSINESS) else 0
    cut = identity.find("!", start)
    return identity[:cut], identity[cut + 1 :]


def version_of(entry: dict[str, Any]) -> str:
    """Return what changes if and only if the content does: the checksum, else the eTag, which changes more often."""
    checksum = checksum_of(entry)
    if checksum:
        return f"q:{checksum}"
    tag = str(entry.get("eTag") or "")
    return f"e:{tag}" if tag else f"m:{entry.get('lastModifiedDateTime')}:{entry.get('size')}"


def checksum_of(entry: dict[str, Any]) -> str:
    """Return the quickXorHash in base64; empty when the entry has none."""
    return str(((entry.get("file") or {}).get("hashes") or {}).get("quickXorHash") or "")


def rows_of(entries: Iterable[dict[str, Any]], drive_id: str, root: str, tree: FolderTree) -> Rows:
    """Return the files among the entries; folders, notebooks, shortcuts to other drives and deleted entries are none.

    `root` is the scope's path. A file whose folder is gone is gone with it and left out; one whose folder may not be
    read has no path and is rejected.
    """
    columns, outside, rejected = _Columns(), [], []
    for entry in entries:
        if "file" not in entry or "deleted" in entry or "remoteItem" in entry:
            continue
        identity, name = identity_of(drive_id, entry["id"]), str(entry.get("name") or "")
        try:
            path = tree.path_of(parent_of(entry)) + name
        except FolderLost as lost:
            if not lost.gone:
                message = f"{name} cannot be placed: the folder that holds it cannot be read."
                rejected.append(RejectedItem(identity, name, "access_denied", message))
            continue
        if not path.startswith(root):
            outside.append(identity)
            continue
        try:
            _append(columns, identity, path, entry)
        except UnicodeEncodeError:
            shown = path.encode("utf-8", "backslashreplace").decode()
            message = f"{shown} cannot be kept: its name is not valid Unicode."
            rejected.append(RejectedItem(identity, shown, "unsupported_name", message))
    return Rows(_table(columns), tuple(outside), tuple(rejected))


def _append(columns: _Columns, identity: str, path: str, entry: dict[str, Any]) -> None:
    spelled = f"{entry.get('eTag')}\n{path}".encode()  # raises for a lone surrogate, before anything is appended
    size = entry.get("size")
    columns.identity.append(identity)
    columns.path.append(path)
    columns.version.append(version_of(entry))
    # The eTag knows of columns and of the file's own name, the path of the folders above it.
    columns.metadata_version.append(hashlib.blake2b(spelled, digest_size=16).hexdigest())
    columns.size.append(size if isinstance(size, int) and size >= 0 else None)
    columns.modified.append(_micros(entry.get("lastModifiedDateTime")))
    columns.mime.append(str((entry.get("file") or {}).get("mimeType") or "") or None)
    columns.unreadable.append("malware" if "malware" in entry else None)


def _table(columns: _Columns) -> pa.Table:
    if not columns.identity:
        return empty(ITEM_SCHEMA)
    text, whole = pa.string(), pa.int64()
    arrays = [
        column(columns.identity, text),
        column(columns.path, text),
        column(columns.version, text),
        column(columns.metadata_version, text),
        column(columns.size, whole),
        column(columns.modified, whole).cast(ITEM_SCHEMA.field("modified_at").type),
        column(columns.mime, text),
        column(columns.unreadable, text),
        pa.nulls(len(columns.identity), text),
    ]
    return pa.Table.from_arrays(arrays, schema=ITEM_SCHEMA)


def _micros(text: Any) -> int | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
