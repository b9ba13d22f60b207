"""What a table looks like: its columns, its key, its watermark and where its content stands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from mixsync_dagster.errors import ConfigurationError, InvalidInput, PathNotFound
from mixsync_dagster.model.paths import SnowflakeTable
from mixsync_dagster.providers.snowflake.client import Row, SnowflakeClient
from mixsync_dagster.providers.snowflake.columns import KEYS, TIMES, Column, Kind
from mixsync_dagster.providers.snowflake.settings import SnowflakeSettings

_CONTENT = frozenset({Kind.BINARY, Kind.TEXT, Kind.JSON})
_SHOWN_COLUMNS = 20


@dataclass(frozen=True, slots=True)
class Shape:
    """A table as one provider sees it for its life."""

    table: SnowflakeTable
    columns: tuple[Column, ...]
    key: tuple[Column, ...]
    """Columns that identify a row; empty: a hash of the row does."""
    watermark: Column | None
    content: Column | None
    """Column whose value is the item's content; None: the row as JSON."""

    @property
    def digest(self) -> str:
        """Changes when positions in listings and feeds of the table lose their meaning."""
        parts = [self.table.quoted, *(column.name for column in self.key), "/"]
        parts.append(self.watermark.name if self.watermark else "")
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=6).hexdigest()


def look_at(client: SnowflakeClient, settings: SnowflakeSettings) -> Shape:
    """Return the table's shape, by one statement.

    Raises PathNotFound, InvalidInput for columns that the table does not have or that cannot serve, and what
    `SnowflakeClient.rows` raises.
    """
    described = client.rows(f"DESCRIBE TABLE {settings.table.quoted}")
    if not described:
        raise PathNotFound(f"source_path: {settings.table.quoted} does not exist or shows no columns.")
    return shape_of(described, settings)


def shape_of(described: Sequence[Row], settings: SnowflakeSettings) -> Shape:
    """Return the shape that rows of DESCRIBE TABLE tell: name, type, and more that is not looked at."""
    columns = tuple(Column.described(str(row[0]), str(row[1])) for row in described)
    key = tuple(
        _usable(found(columns, name, "primary_key_columns"), KEYS, "primary_key_columns", "a plain value")
        for name in settings.primary_key_columns
    )
    if len({column.name for column in key}) != len(key):
        raise ConfigurationError(f"primary_key_columns: {', '.join(settings.primary_key_columns)} name a column twice.")
    watermark = content = None
    if settings.incremental_column is not None:
        column = found(columns, settings.incremental_column, "incremental_column")
        watermark = _usable(column, TIMES | {Kind.NUMBER}, "incremental_column", "a date, timestamp or number")
    if settings.content_column is not None:
        column = found(columns, settings.content_column, "content_column")
        content = _usable(column, _CONTENT, "content_column", "BINARY, text or JSON")
        if not key:
            raise ConfigurationError(
                f"primary_key_columns: none are given; the content in {column.name} is read row by row and needs them."
            )
    elif key:
        binaries = [column for column in columns if column.kind is Kind.BINARY and column not in key]
        content = binaries[0] if len(binaries) == 1 else None
    return Shape(settings.table, columns, key, watermark, content)


def found(columns: Sequence[Column], name: str, field: str) -> Column:
    """Return the column of a name: exactly so, else in upper case, as Snowflake reads it. Raises InvalidInput."""
    by_name = {column.name: column for column in columns}
    column = by_name.get(name) or by_name.get(name.upper())
    if column is None:
        shown = ", ".join(list(by_name)[:_SHOWN_COLUMNS])
        raise InvalidInput.of(field, name, f"a column of the table: {shown}")
    return column


def _usable(column: Column, kinds: frozenset[Kind], field: str, accepted: str) -> Column:
    if column.kind not in kinds:
        raise InvalidInput.of(field, f"{column.name} ({column.kind.value})", f"a column that holds {accepted}")
    return column
