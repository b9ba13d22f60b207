"""A table's rows as pages: one statement for the whole listing, so that all pages show one state of the table.

Snowflake has no indexes; a statement per page would read the table as often as there are pages. Its result is taken in
small pieces and cut into pages here. A listing that breaks goes on behind the last page's key, by a condition on the
key and never by counting rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.model.items import empty_items
from mixsync_dagster.ports.provider import Cursor, Page
from mixsync_dagster.providers.snowflake import cursors
from mixsync_dagster.providers.snowflake.client import Row, SnowflakeClient
from mixsync_dagster.providers.snowflake.rows import RowBuilder
from mixsync_dagster.providers.snowflake.shape import Shape
from mixsync_dagster.providers.snowflake.statements import Statement, behind, grouped, in_order


def list_table(client: SnowflakeClient, shape: Shape, after: Cursor | None, page_rows: int) -> Iterator[Page]:
    """Yield the table's rows behind a position, in the order of the key. Raises CursorExpired without a key."""
    statement = _statement(shape, after)
    builder = RowBuilder(shape)
    chunks = client.chunks(statement.sql, statement.binds, rows=page_rows)
    number = 0
    for chunk, last in told_apart(pages_of(chunks, shape, page_rows)):
        number += 1
        built = builder.build(chunk)
        position = {"key": built.last_key} if built.last_key is not None else {"page": number}
        cursor = None if last else cursors.written(shape.digest, position, page=number)
        yield Page(built.items, cursor, rejected=built.rejected)
    if number == 0:
        yield Page(empty_items(), None)


def pages_of(chunks: Iterator[list[Row]], shape: Shape, page_rows: int) -> Iterator[list[Row]]:
    """Yield rows so that no page has more than `page_rows` items: a row without a key stands for all of its like."""
    if shape.key:
        yield from chunks
        return
    page: list[Row] = []
    items = 0
    for chunk in chunks:
        for row in chunk:
            likes = int(row[-1])
            if page and items + likes > page_rows:
                yield page
                page, items = [], 0
            page.append(row)
            items += likes
    if page:
        yield page


def told_apart(chunks: Iterator[list[Row]]) -> Iterator[tuple[list[Row], bool]]:
    """Yield every chunk and whether it is the last."""
    waiting: list[Row] | None = None
    for chunk in chunks:
        if waiting is not None:
            yield waiting, False
        waiting = chunk
    if waiting is not None:
        yield waiting, True


def _statement(shape: Shape, after: Cursor | None) -> Statement:
    if not shape.key:
        if after is not None:
            cursors.read(after, shape.digest)
            raise CursorExpired("Rows without a key have no order to go on from; the listing starts again.")
        return grouped(shape, None)
    if after is None:
        return in_order(shape, None)
    key = cursors.read(after, shape.digest, "key")["key"]
    if not isinstance(key, list) or len(key) != len(shape.key):
        raise CursorExpired("The position does not fit the table's key; the listing starts again.")
    return in_order(shape, behind(shape.key, key))
