"""A Snowflake table as a Provider, an AttributeSource and a ChangeFeed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.ports.provider import Capabilities, ChangePage, Cursor, Page, Probe
from mixsync_dagster.providers.snowflake.attributes import ColumnValues, carried
from mixsync_dagster.providers.snowflake.client import SnowflakeClient
from mixsync_dagster.providers.snowflake.content import column_content, row_as_json
from mixsync_dagster.providers.snowflake.feed import TableFeed
from mixsync_dagster.providers.snowflake.listing import list_table
from mixsync_dagster.providers.snowflake.settings import SnowflakeSettings
from mixsync_dagster.providers.snowflake.shape import Shape, look_at
from mixsync_dagster.providers.snowflake.statements import first_row


class SnowflakeProvider:
    """The rows of one table or view. Making a provider sends nothing.

    Items are rows: `path` is the key as text and `root` is empty, since a table has no folders. Rows come in the order
    of their key, which is not the order of source object ids (10 comes behind 9, "10" before "9").
    """

    def __init__(self, settings: SnowflakeSettings) -> None:
        self._settings = settings
        self._client = SnowflakeClient(settings)
        self._shape: Shape | None = None
        self._lock = threading.Lock()
        self._capabilities = Capabilities(
            ordered_listing=False,
            change_feed=True,
            # A watermark does not show deleted rows; CHANGES does, and without it every change means a full listing.
            reports_removals=settings.incremental_column is None,
            attribute_kinds=frozenset({"column"}),
            rows=True,
        )

    @property
    def capabilities(self) -> Capabilities:
        """Return what this provider can do."""
        return self._capabilities

    @property
    def root(self) -> str:
        """Return "": the source path names a table, and rows have no folders."""
        return ""

    def check(self) -> None:
        """Return if the table exists with all columns that the connection names, and a row of it can be read."""
        statement = first_row(self._seen_shape())
        self._client.rows(statement.sql, statement.binds)

    def list_pages(self, after: Cursor | None = None, *, hints: Sequence[str] = ()) -> Iterator[Page]:
        """Yield the rows behind `after`; see the port. Hints are of no use here."""
        del hints
        yield from list_table(self._client, self._seen_shape(), after, self._settings.page_rows)

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the row as JSON, as it was listed and without asking anybody, or the value of its content column."""
        row = row_as_json(item)
        if row is not None:
            yield row
            return
        yield from column_content(self._client, self._seen_shape(), item)

    def read_attributes(self, item: SourceItem, kinds: frozenset[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the row's column values as they were listed, without asking anybody."""
        return {"column": ColumnValues(carried(item)["values"])} if "column" in kinds else {}

    def head(self) -> Cursor:
        """Return the feed's present end, by one to three statements."""
        return self._feed().head()

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield what changed after a position. Raises CursorExpired where only a full listing can tell."""
        yield from self._feed().changes(after)

    def probe(self, after: Cursor) -> Probe:
        """Return whether anything changed, by one statement (and one look at the table's columns per provider)."""
        return self._feed().probe(after)

    def close(self) -> None:
        """End the session. Twice is harmless."""
        self._client.close()

    def _feed(self) -> TableFeed:
        return TableFeed(self._client, self._seen_shape(), self._settings)

    def _seen_shape(self) -> Shape:
        """Return the table's shape, looked at once."""
        with self._lock:
            if self._shape is None:
                self._shape = look_at(self._client, self._settings)
            return self._shape
