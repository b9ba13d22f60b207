"""From files as the API tells them to rows of ITEM_SCHEMA."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from mixsync_dagster.model.columns import column, empty
from mixsync_dagster.model.items import ITEM_SCHEMA
from mixsync_dagster.providers.google_drive.exports import NOT_EXPORTABLE, export_of, is_native
from mixsync_dagster.providers.google_drive.settings import ExportFormat

FILE_FIELDS = (
    "id,name,mimeType,parents,driveId,md5Checksum,sha256Checksum,size,createdTime,modifiedTime,version,headRevisionId,"
    "shortcutDetails(targetId,targetMimeType,targetResourceKey),trashed,starred,description,webViewLink,properties,"
    "appProperties,resourceKey,capabilities(canDownload)"
)
"""What every request about files asks for: all that rows are made of."""

VERSION_FIELDS = "id,mimeType,md5Checksum,size,version,headRevisionId,trashed"
"""As much of a file as its version is made of."""

PROPERTIES = (
    "name",
    "mimeType",
    "description",
    "starred",
    "trashed",
    "createdTime",
    "modifiedTime",
    "size",
    "webViewLink",
    "parents",
)
"""Values of the file itself that the mapping source drive_property knows; they win over properties of the same key."""

BROKEN_SHORTCUT = "shortcut_broken"
"""Reason class of a shortcut whose target is gone or not shared with the account."""

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_MICROSECONDS = pa.timestamp("us", tz="UTC")
Placed = tuple[Mapping[str, Any], str]
"""A file and its path, extension of the export not yet added."""


def clean(name: str) -> str:
    """Return a name as one part of a path: Drive allows slashes in names, which stand as the full-width solidus then.

    What is no Unicode (half a surrogate pair) becomes a question mark.
    """
    if "/" in name:
        name = name.replace("/", "\uff0f")
    if not name.isascii():
        name = name.encode("utf-8", "replace").decode("utf-8")
    return name or "_"


def version_of(file: Mapping[str, Any], chosen: ExportFormat) -> str:
    """Return what changes with the content.

    For bytes their MD5 and size. Documents of Google's editors have neither and no revision id: their version number
    also counts changes that do not show, so that they may be exported once too often, never once too rarely.
    """
    mime_type = str(file.get("mimeType", ""))
    if is_native(mime_type):
        export = export_of(mime_type, chosen)
        return f"{file.get('version', '')} {'' if export is None else export.mime_type}".rstrip()
    if md5 := file.get("md5Checksum"):
        return f"{md5}-{file.get('size', '')}"
    return str(file.get("headRevisionId") or file.get("version") or "unknown")


def table_of(files: Iterable[Placed], chosen: ExportFormat) -> pa.Table:
    """Return files with their paths as a table of items."""
    rows = [_row(file, path, chosen) for file, path in files]
    if not rows:
        return empty(ITEM_SCHEMA)
    columns = list(zip(*rows, strict=True))
    times = _times(columns[5])
    arrays = [
        times if field.name == "modified_at" else column(values, field.type)
        for field, values in zip(ITEM_SCHEMA, columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=ITEM_SCHEMA)


def _row(file: Mapping[str, Any], path: str, chosen: ExportFormat) -> tuple[Any, ...]:
    mime_type = str(file.get("mimeType", ""))
    native = is_native(mime_type)
    export = export_of(mime_type, chosen) if native else None
    size = file.get("size")
    if export is not None and not path.lower().endswith(export.extension):
        path += export.extension
    carried: dict[str, Any] = {"properties": _properties(file)}
    if export is not None:
        carried["export"] = export.mime_type
    elif sha256 := file.get("sha256Checksum"):
        carried["sha256"] = sha256
    if resource_key := file.get("resourceKey"):
        carried["resource_key"] = resource_key
    text = _encode(carried)
    return (
        file["id"],
        path,
        version_of(file, chosen),
        blake2b(f"{path}\0{text}".encode(), digest_size=16).hexdigest(),
        # A document's own size says nothing about that of its export.
        None if native or size is None else int(size),
        file.get("modifiedTime"),
        export.mime_type if export is not None else mime_type or None,
        _unreadable(file, nothing=native and export is None),
        text,
    )


def _unreadable(file: Mapping[str, Any], *, nothing: bool) -> str | None:
    if file.get("broken"):
        return BROKEN_SHORTCUT
    if nothing:
        return NOT_EXPORTABLE
    may = file.get("capabilities")
    return "download_forbidden" if isinstance(may, dict) and may.get("canDownload") is False else None


def _properties(file: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: file[name] for name in PROPERTIES if name in file}
    if "size" in values:
        values["size"] = int(values["size"])
    given, by_apps = file.get("properties"), file.get("appProperties")
    return {**given, **(by_apps or {}), **values} if given else {**by_apps, **values} if by_apps else values


def _times(texts: Sequence[str | None]) -> pa.Array:
    """Return times in UTC; null for what is no time: unknown is never replaced by a guess."""
    try:
        return column(texts, pa.string()).cast(_MICROSECONDS)
    except pa.ArrowInvalid:
        return column([_time(text) for text in texts], pa.int64()).cast(_MICROSECONDS)


def _time(text: str | None) -> int | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
