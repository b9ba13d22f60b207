"""From rows to items: identity from the key, version from the values, and the values carried along as JSON.

A version is the digest of the row's values in one form: names in order, no NULLs (so that a new column that nobody
filled changes nothing), times with nanoseconds, whole numbers whole, BINARY values by their own digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from mixsync_dagster.model.columns import column, empty
from mixsync_dagster.model.items import ITEM_SCHEMA, RejectedItem
from mixsync_dagster.model.paths import SnowflakeTable
from mixsync_dagster.providers.snowflake.client import Row
from mixsync_dagster.providers.snowflake.columns import TIMES, spelled
from mixsync_dagster.providers.snowflake.shape import Shape
from mixsync_dagster.providers.snowflake.values import to_json

ROW_TYPE = "application/json"
"""Content type of a row that is its own content."""

_LONGEST_KEY = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MORE_DIGITS = re.compile(r"(\.\d{6})\d+")
_MICROSECOND_LENGTH = len("2026-01-01T00:00:00.000000")


@dataclass(frozen=True, slots=True)
class Built:
    """Items made of rows, and what paging needs to know of them."""

    items: pa.Table
    rejected: tuple[RejectedItem, ...]
    last_key: list[Any] | None
    """Key of the last row; None without rows or without a key."""
    last_watermark: Any
    """Watermark of the last row; None without one."""


@dataclass(slots=True)
class ReadRow:
    """One row in the forms that items need."""

    values_json: str
    version: str
    key_json: str
    row: Row


class RowReader:
    """Takes rows of `statements.selected` apart. Keeps nothing."""

    def __init__(self, shape: Shape) -> None:
        columns = sorted(enumerate(shape.columns), key=lambda one: one[1].name)
        self._values = [(place, to_json(one.name) + ":", one.text) for place, one in columns]
        key = list(enumerate(shape.key, len(shape.columns)))
        self._key = [(place, one.key_value) for place, one in key]
        self._key_texts = [(place, one.key_text) for place, one in key]
        self._size_at = None if shape.content is None else len(shape.columns) + len(shape.key)
        self._watermark = next((it for it in enumerate(shape.columns) if it[1] is shape.watermark), None)

    def read(self, row: Row) -> ReadRow:
        """Return the row's values, version and key."""
        texts = [name + text(row[place]) for place, name, text in self._values if row[place] is not None]
        values_json = "{" + ",".join(texts) + "}"
        version = hashlib.blake2b(values_json.encode(), digest_size=16).hexdigest()
        return ReadRow(values_json, version, self.key_json(row), row)

    def key_json(self, row: Row) -> str:
        """Return the parts of the row's key as a JSON list."""
        parts = ["null" if row[place] is None else text(row[place]) for place, text in self._key_texts]
        return "[" + ",".join(parts) + "]"

    def key(self, row: Row) -> list[Any]:
        """Return the parts of the row's key."""
        return [None if row[place] is None else value(row[place]) for place, value in self._key]

    def content_bytes(self, row: Row) -> int:
        """Return the size of the content column's value, 0 for NULL."""
        return 0 if self._size_at is None else int(row[self._size_at] or 0)

    def watermark(self, row: Row) -> Any:
        """Return the watermark; None without one."""
        if self._watermark is None or row[self._watermark[0]] is None:
            return None
        place, one = self._watermark
        return one.value(row[place])


class RowBuilder:
    """Makes items of the rows of one statement, in its order; one thread, one statement.

    Rows that share a key, which Snowflake does not prevent, come one behind the other: the first is the item, the
    others are rejected. Without a key the last value of a row says how many of its like the table holds.
    """

    def __init__(self, shape: Shape) -> None:
        self._reader = RowReader(shape)
        self._prefix = identity_prefix(shape.table)
        self._keyed = bool(shape.key)
        self._timed = shape.watermark is not None and shape.watermark.kind in TIMES
        self._own_content = shape.content is None
        self._last_id: str | None = None
        self._likes = 0

    def build(self, rows: Sequence[Row]) -> Built:
        """Return the items of the statement's next rows."""
        ids: list[str] = []
        paths: list[str] = []
        kept: list[ReadRow] = []
        rejected: list[RejectedItem] = []
        one: ReadRow | None = None
        for row in rows:
            one = self._reader.read(row)
            if not self._keyed:
                for number in range(1, int(row[-1]) + 1):
                    name = one.version if number == 1 else f"{one.version}-{number}"
                    ids.append(self._prefix + name)
                    paths.append(name)
                    kept.append(one)
                continue
            identity = self.identity(one.key_json)
            if identity == self._last_id:
                self._likes += 1
                rejected.append(self._twin(identity, one))
                continue
            self._last_id, self._likes = identity, 1
            ids.append(identity)
            paths.append(self._path(row))
            kept.append(one)
        items = self._table(ids, paths, kept)
        if one is None:
            return Built(items, tuple(rejected), None, None)
        last_key = self._reader.key(one.row) if self._keyed else None
        return Built(items, tuple(rejected), last_key, self._reader.watermark(one.row))

    def identity(self, key_json: str) -> str:
        """Return the source object id of a key; one of many kilobytes is named by its digest."""
        if len(key_json) > _LONGEST_KEY:
            return f"{self._prefix}sha256:{hashlib.sha256(key_json.encode()).hexdigest()}"
        return self._prefix + key_json

    def _twin(self, identity: str, row: ReadRow) -> RejectedItem:
        message = (
            f"The key {identity.removeprefix(self._prefix)} stands in more than one row; the first is taken. "
            "Give primary_key_columns that identify a row."
        )
        return RejectedItem(f"{identity}#{self._likes}", self._path(row.row), "duplicate_key", message)

    def _path(self, row: Row) -> str:
        path = "/".join(map(_path_part, self._reader.key(row)))
        if len(path) > _LONGEST_KEY:
            path = path[:_LONGEST_KEY]
        # Control characters, NUL above all, are no text for every store.
        return path if not path or min(path) >= " " else to_json(path)[1:-1]

    def _table(self, ids: list[str], paths: list[str], rows: list[ReadRow]) -> pa.Table:
        if not ids:
            return empty(ITEM_SCHEMA)
        count = len(ids)
        if self._own_content:
            sizes = [len(row.values_json.encode()) for row in rows]
        else:
            sizes = [self._reader.content_bytes(row.row) for row in rows]
        natives = [f'{{"key":{row.key_json},"values":{row.values_json}}}' for row in rows]
        times = [_micros(self._reader.watermark(row.row)) if self._timed else None for row in rows]
        arrays = [
            column(ids, pa.string()),
            column(paths, pa.string()),
            column([row.version for row in rows], pa.string()),
            pa.nulls(count, pa.string()),
            column(sizes, pa.int64()),
            column(times, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            column([ROW_TYPE if self._own_content else None] * count, pa.string()),
            pa.nulls(count, pa.string()),
            column(natives, pa.string()),
        ]
        return pa.Table.from_arrays(arrays, schema=ITEM_SCHEMA)


def identity_prefix(table: SnowflakeTable) -> str:
    """Return what the source object ids of a table begin with: its name, parts quoted where they must be, and /."""
    parts = [part for part in (table.database, table.schema, table.table) if part is not None]
    return ".".join(map(spelled, parts)) + "/"


def _path_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    return str(part) if type(part) is int else to_json(part)


def _micros(text: Any) -> int | None:
    """Return microseconds since 1970 of a date or timestamp; one without a zone is taken as UTC."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(_MORE_DIGITS.sub(r"\1", text) if len(text) > _MICROSECOND_LENGTH else text)
    except ValueError:
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return (at - _EPOCH) // _MICROSECOND
