"""Changes by a column that grows with every change of a row: a closed range, re-read a little, paged by key.

A position holds `since` (the watermark covered so far, never above the server's clock, so that a row dated into the
future cannot move it there), `upto` (the greatest watermark there was), and how many rows stood at or above the overlap
and without a watermark. A round begins by looking whether these are still so: one statement when nothing changed.

The range goes from `since` minus the overlap, since a transaction that began earlier may commit later, to the greatest
watermark, both ends included: rows share times. What was read before is found unchanged. Rows without a watermark are
read when their number changed. Deleted rows are not seen, and rows that change without moving their watermark neither:
the periodic full listing finds them.

Times without a zone are compared as they are; a writer whose clock is ahead of UTC only has its newest rows read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.model.items import empty_items
from mixsync_dagster.ports.provider import ChangePage, Cursor, Probe
from mixsync_dagster.providers.snowflake import cursors
from mixsync_dagster.providers.snowflake.client import SnowflakeClient
from mixsync_dagster.providers.snowflake.columns import TIMES, Column, Kind
from mixsync_dagster.providers.snowflake.listing import pages_of, told_apart
from mixsync_dagster.providers.snowflake.rows import RowBuilder
from mixsync_dagster.providers.snowflake.shape import Shape
from mixsync_dagster.providers.snowflake.statements import Condition, Statement, behind, both, grouped, in_order
from mixsync_dagster.providers.snowflake.values import moment

_NOW = {
    Kind.DATE: "CURRENT_DATE()",
    Kind.TIMESTAMP_NTZ: "CURRENT_TIMESTAMP()::TIMESTAMP_NTZ",
    Kind.TIMESTAMP_LTZ: "CURRENT_TIMESTAMP()",
    Kind.TIMESTAMP_TZ: "CURRENT_TIMESTAMP()::TIMESTAMP_TZ",
}


@dataclass(frozen=True, slots=True)
class Covered:
    """What a position says of the table."""

    since: str | None
    """None: there was no row with a watermark."""
    upto: str | None
    rows: int
    nulls: int


class WatermarkFeed:
    """The rows of a table whose watermark lies in a range; keeps nothing."""

    def __init__(self, client: SnowflakeClient, shape: Shape, page_rows: int, overlap_seconds: int) -> None:
        if shape.watermark is None:
            raise CursorExpired("The table has no watermark any more; the listing starts again.")
        self._client = client
        self._shape = shape
        self._page_rows = page_rows
        self._overlap_seconds = overlap_seconds
        self._column: Column = shape.watermark

    def head(self) -> Cursor:
        """Return the present end, by two statements."""
        return self._cursor(self._covered(self._look(None).since))

    def probe(self, after: Cursor) -> Probe:
        """Look once, by one statement."""
        position, under_way = self._position(after)
        if under_way is not None:
            return Probe.CHANGED
        return Probe.NOTHING_NEW if self._unchanged(position, self._look(position.since)) else Probe.CHANGED

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield the rows of the range, oldest first; one empty page when a look shows no change."""
        position, under_way = self._position(after)
        if under_way is None:
            look = self._look(position.since)
            if self._unchanged(position, look):
                yield ChangePage(empty_items(), (), after, caught_up=True)
                return
            # Where all rows that were covered last are gone, what was covered before them still is.
            target, at = self._covered(look.since or position.since), None
        else:
            target, at = under_way
        yield from self._pages(position, target, at)

    def _pages(self, position: Covered, target: Covered, at: list[Any] | None) -> Iterator[ChangePage]:
        statement = self._statement(position, target, at)
        builder = RowBuilder(self._shape)
        chunks = self._client.chunks(statement.sql, statement.binds, rows=self._page_rows)
        number = 0
        for chunk, last in told_apart(pages_of(chunks, self._shape, self._page_rows)):
            number += 1
            built = builder.build(chunk)
            cursor = self._cursor(target)
            if not last:
                where = None if built.last_key is None else [built.last_watermark, *built.last_key]
                cursor = self._cursor(position, target, where, page=number)
            yield ChangePage(built.items, (), cursor, caught_up=last, rejected=built.rejected)
        if number == 0:
            yield ChangePage(empty_items(), (), self._cursor(target), caught_up=True)

    def _statement(self, position: Covered, target: Covered, at: list[Any] | None) -> Statement:
        where = self._range(position.since, target.upto)
        if target.nulls != position.nulls:
            name = self._column.ordered_by
            where = Condition(f"({where.sql}) OR {name} IS NULL", where.binds)
        if not self._shape.key:
            return grouped(self._shape, where)
        order = [self._column, *self._shape.key]
        rest = None if at is None else behind(order, at)
        return in_order(self._shape, both(where, rest), first=[self._column])

    def _range(self, since: str | None, upto: str | None) -> Condition:
        name, bound = self._column.ordered_by, self._column.bound
        if upto is None:
            return Condition("1 = 0")
        highest = Condition(f"{name} <= {bound}", (upto,))
        return highest if since is None else both(self._from(since), highest)

    def _from(self, since: str) -> Condition:
        name, bound = self._column.ordered_by, self._column.bound
        if self._column.kind in TIMES and self._overlap_seconds:
            bound = f"DATEADD(second, -{self._overlap_seconds}, {bound})"
        return Condition(f"{name} >= {bound}", (since,))

    def _look(self, since: str | None) -> Covered:
        """Return what the table shows from the overlap before `since` on, counting rows as a position there does."""
        name = self._column.ordered_by
        counted = Condition(f"{name} IS NOT NULL") if since is None else self._from(since)
        now = _NOW.get(self._column.kind)
        capped = f"MAX({name})" if now is None else f"LEAST(MAX({name}), {now})"
        sql = (
            f"SELECT MAX({name})::VARCHAR, {capped}::VARCHAR, COUNT_IF({counted.sql}), "  # noqa: S608 - quoted names
            f"COUNT_IF({name} IS NULL) FROM {self._shape.table.quoted}"
        )
        binds = counted.binds
        if since is not None:
            # What lies before needs no reading, and a table that grows by time is stored by time.
            sql += f" WHERE {counted.sql} OR {name} IS NULL"
            binds *= 2
        highest, capped_at, rows, nulls = self._client.rows(sql, binds)[0]
        return Covered(self._text(capped_at), self._text(highest), int(rows or 0), int(nulls or 0))

    def _covered(self, since: str | None) -> Covered:
        look = self._look(since)
        return Covered(since, look.upto, look.rows, look.nulls)

    def _text(self, value: Any) -> str | None:
        if value is None:
            return None
        return moment(str(value)) if self._column.kind in TIMES else str(value)

    @staticmethod
    def _unchanged(position: Covered, look: Covered) -> bool:
        return (position.upto, position.rows, position.nulls) == (look.upto, look.rows, look.nulls)

    def _cursor(
        self, position: Covered, target: Covered | None = None, at: list[Any] | None = None, *, page: int = 0
    ) -> Cursor:
        fields: dict[str, Any] = {"feed": "watermark", **asdict(position)}
        if target is not None:
            # Without a place to go on from, a broken round begins again: its rows are found unchanged.
            fields |= {"page": page} if at is None else {"target": asdict(target), "at": at}
        return cursors.written(self._shape.digest, fields, page=page)

    def _position(self, after: Cursor) -> tuple[Covered, tuple[Covered, list[Any]] | None]:
        read = cursors.read(after, self._shape.digest, "since", "upto", "rows", "nulls")
        try:
            position = Covered(read["since"], read["upto"], int(read["rows"]), int(read["nulls"]))
            if "target" not in read:
                return position, None
            at = read["at"]
            if not isinstance(at, list) or len(at) != len(self._shape.key) + 1:
                raise ValueError  # noqa: TRY301 - told below, in one place
            return position, (Covered(**read["target"]), at)
        except (KeyError, TypeError, ValueError):
            raise CursorExpired("The position does not fit the table's watermark; the listing starts again.") from None
