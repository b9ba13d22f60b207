"""From the columns of a listing answer to a page of items."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote_from_bytes, unquote_to_bytes

import pyarrow as pa
import pyarrow.compute as pc

from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.model.columns import column, constant
from mixsync_dagster.model.items import ITEM_SCHEMA, RejectedItem, empty_items
from mixsync_dagster.ports.provider import Cursor
from mixsync_dagster.providers.s3.page_parser import ListedPage

_ARCHIVED = frozenset({b"GLACIER", b"DEEP_ARCHIVE"})
_CURSOR = re.compile(r"[\w.~/%-]{1,3072}", re.ASCII)
_ETAG = re.compile(rb'\s*(?:W/)?(?:"|&quot;|&#34;)?([^"&\s]*)(?:"|&quot;|&#34;)?\s*')
_QUOTES = (b'"', b"&quot;", b"&#34;")
_MICROSECONDS = pa.timestamp("us", tz="UTC")
_NO_SEPARATOR = constant("", pa.string())
_ZERO = constant(0, pa.int64())


def cursor_of(key: bytes) -> Cursor:
    """Return the position behind a key: the key percent-encoded, so that any key is printable and under 4 KiB."""
    return Cursor(quote_from_bytes(key, safe="/"))


def key_of(cursor: Cursor, prefix: bytes) -> bytes:
    """Return the key that a cursor stands behind. Raises CursorExpired when it is not a position inside `prefix`."""
    if not _CURSOR.fullmatch(cursor):
        raise CursorExpired("The stored position is no position of an S3 listing; the listing starts again.")
    key = unquote_to_bytes(cursor)
    if not key.startswith(prefix):
        raise CursorExpired("The stored position lies outside the source path; the listing starts again.")
    return key


@dataclass(frozen=True, slots=True)
class ItemBuilder:
    """Makes tables of ITEM_SCHEMA; `id_prefix` is put before every key and ends in "/"."""

    id_prefix: str

    def source_object_id(self, key: bytes) -> str:
        """Return the identity of a key; bytes that are no UTF-8 are shown as escapes."""
        return self.id_prefix + key.decode("utf-8", "backslashreplace")

    def build(self, page: ListedPage) -> tuple[pa.Table, tuple[RejectedItem, ...]]:
        """Return the items of a page, folder markers left out, and what cannot be an item.

        Raises ProviderUnavailable when sizes are no numbers.
        """
        if not page.keys:
            return empty_items(), ()
        keys = column(page.keys, pa.binary())
        try:
            paths = keys.cast(pa.string())
        except pa.ArrowInvalid:
            return self._build_around_rejected(page)
        versions = _versions(page.etags)
        if versions is None:
            return self._build_around_rejected(page)
        try:
            sizes = column(page.sizes, pa.binary()).cast(pa.string()).cast(pa.int64())
        except pa.ArrowInvalid:
            raise ProviderUnavailable("A listing answer holds a size that is no number.") from None
        count = len(paths)
        identities = pc.binary_join_element_wise(constant(self.id_prefix, pa.string()), paths, _NO_SEPARATOR)
        columns = [
            identities,
            paths,
            versions,
            pa.nulls(count, pa.string()),
            sizes,
            _times(page.modified),
            pa.nulls(count, pa.string()),
            _unreadable(page.classes),
            pa.nulls(count, pa.string()),
        ]
        table = pa.Table.from_arrays(columns, schema=ITEM_SCHEMA)
        folders = pc.ends_with(paths, "/")
        if pc.any(folders).as_py():
            table = table.filter(pc.invert(pc.and_(folders, pc.equal(sizes, _ZERO))))
        return table, ()

    def _build_around_rejected(self, page: ListedPage) -> tuple[pa.Table, tuple[RejectedItem, ...]]:
        rejected: list[RejectedItem] = []
        kept: list[int] = []
        for index, key in enumerate(page.keys):
            if (refused := self._refused(key, page.etags[index])) is None:
                kept.append(index)
            elif not (key.endswith(b"/") and page.sizes[index] == b"0"):
                rejected.append(refused)
        table, _ = self.build(page.picked(kept))
        return table, tuple(rejected)

    def _refused(self, key: bytes, etag: bytes) -> RejectedItem | None:
        shown = key.decode("utf-8", "backslashreplace")
        identity = self.id_prefix + shown
        try:
            key.decode("utf-8")
        except UnicodeDecodeError:
            return RejectedItem(identity, shown, "unsupported_name", f"The key {shown} is not valid UTF-8.")
        if not _version(etag):
            message = f"{shown} is listed without a usable ETag, so its changes cannot be seen."
            return RejectedItem(identity, shown, "unsupported_version", message)
        return None


def _version(etag: bytes) -> str:
    found = _ETAG.fullmatch(etag)
    return found[1].decode("utf-8", "replace") if found else ""


def _versions(etags: Sequence[bytes]) -> pa.Array | None:
    """Return ETags without quotes; None when one of them is empty or odd."""
    joined = b"".join(etags)
    marks = [mark for mark in _QUOTES if mark in joined]
    # What is not simply quoted (weak tags, blanks, other entities) is looked at one by one.
    if b"/" in joined or joined.count(b"&") != sum(map(joined.count, _QUOTES[1:])) or len(joined.split()) != 1:
        texts = [_version(etag) for etag in etags]
        return column(texts, pa.string()) if all(texts) else None
    versions = column(etags, pa.binary()).cast(pa.string())
    for mark in marks:
        versions = pc.replace_substring(versions, mark.decode("ascii"), "")
    return versions if pc.min(pc.binary_length(versions)).as_py() else None


def _times(texts: Sequence[bytes]) -> pa.Array:
    """Return times in UTC; null for what is no time: unknown is never replaced by a guess."""
    try:
        return column(texts, pa.binary()).cast(pa.string()).cast(_MICROSECONDS)
    except pa.ArrowInvalid:
        return pa.array([_time(text) for text in texts], _MICROSECONDS)


def _time(text: bytes) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.decode("ascii"))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _unreadable(classes: Sequence[bytes]) -> pa.Array:
    if _ARCHIVED.isdisjoint(classes):
        return pa.nulls(len(classes), pa.string())
    return column(["archived" if name in _ARCHIVED else None for name in classes], pa.string())
