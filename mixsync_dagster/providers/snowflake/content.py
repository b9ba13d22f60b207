"""An item's bytes: the row as JSON, which the listing has brought, or the value of its content column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mixsync_dagster.errors import ItemChanged, ItemCorrupt, ItemUnreadable, ItemVanished
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.providers.snowflake.attributes import carried
from mixsync_dagster.providers.snowflake.client import Row, SnowflakeClient
from mixsync_dagster.providers.snowflake.rows import ROW_TYPE, RowReader
from mixsync_dagster.providers.snowflake.shape import Shape
from mixsync_dagster.providers.snowflake.statements import one_row
from mixsync_dagster.providers.snowflake.values import to_json

CHUNK_BYTES = 1024 * 1024


def row_as_json(item: SourceItem) -> bytes | None:
    """Return the listed row as JSON where that is the item's content; None where a column holds it."""
    return to_json(carried(item)["values"]).encode() if item.mime_type == ROW_TYPE else None


def column_content(client: SnowflakeClient, shape: Shape, item: SourceItem) -> Iterator[bytes]:
    """Yield the content column's value, of exactly the listed version of the row, by one statement.

    Raises ItemVanished, ItemChanged, ItemCorrupt, and what `SnowflakeClient.rows` raises.
    """
    if shape.content is None:
        raise ItemUnreadable(f"{item.path} has no content column in the table.", error_type="validation_error")
    statement = one_row(shape, carried(item)["key"])
    data = _content(client.rows(statement.sql, statement.binds), shape, item)
    if item.size_bytes is not None and len(data) != item.size_bytes:
        raise ItemCorrupt(f"{item.path} is listed with {item.size_bytes} bytes and was answered with {len(data)}.")
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


def _content(rows: Sequence[Row], shape: Shape, item: SourceItem) -> bytes:
    if not rows:
        raise ItemVanished(f"{item.path} is gone since it was listed.")
    reader = RowReader(shape)
    for row in rows:
        if reader.read(row[:-1]).version == item.version:
            return _bytes(row[-1])
    raise ItemChanged(f"{item.path} changed since it was listed.")


def _bytes(value: Any) -> bytes:
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else bytes(value)
