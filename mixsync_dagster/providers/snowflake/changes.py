"""Changes by Snowflake's CHANGES clause: what was inserted, updated and deleted between two times.

Not run against the live service: the tests look at the text of the statements and answer rows of the documented form,
since the server that the tests run against knows neither CHANGES nor time travel.

What is assumed of Snowflake, from its documentation: AT and END take a constant cast to a timestamp, of which they look
at milliseconds; the end is included; `INFORMATION => DEFAULT` nets changes, an update being a DELETE and an INSERT; the
clause fails for times before change tracking was switched on or outside the retention of Time Travel, and then the
table is listed in full. Data is identified by timestamps that may differ slightly from the system's time: an interval
ends a little before now, so that nothing can still appear in it.

The hand-off: `head` is such a time, taken before the first listing. The listing shows a later state, so that rows
changed in between are seen twice and found unchanged; nothing falls between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.model.items import empty_items
from mixsync_dagster.ports.provider import ChangePage, Cursor, Probe
from mixsync_dagster.providers.snowflake import cursors
from mixsync_dagster.providers.snowflake.client import Row, SnowflakeClient
from mixsync_dagster.providers.snowflake.columns import literal
from mixsync_dagster.providers.snowflake.errors import Failure, Kind, told
from mixsync_dagster.providers.snowflake.rows import RowBuilder, RowReader
from mixsync_dagster.providers.snowflake.shape import Shape
from mixsync_dagster.providers.snowflake.statements import Statement, behind, selected
from mixsync_dagster.providers.snowflake.values import moment

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3,9})?[+-]\d\d:\d\d")
_BELOW_MILLISECONDS = re.compile(r"(?<=\.\d{3})\d+")
_INSERT = "INSERT"
SETTLING_SECONDS = 10
"""How far behind the server's clock an interval ends."""


@dataclass(slots=True)
class _Changed:
    """The rows of one key."""

    key_json: str
    seen: Row
    """Any row of the key."""
    row: Row | None = None
    """The row as it is now; None: it is gone."""


class ChangesFeed:
    """The log of a table with a key and change tracking; keeps nothing."""

    def __init__(self, client: SnowflakeClient, shape: Shape, page_rows: int) -> None:
        self._client = client
        self._shape = shape
        self._page_rows = page_rows
        self._reader = RowReader(shape)

    def head(self) -> Cursor:
        """Return the server's time ten seconds ago, by one statement."""
        return self._cursor({"at": self._now()})

    def probe(self, after: Cursor) -> Probe:
        """Ask for any one change, by one statement. Raises CursorExpired."""
        begin = self._time(cursors.read(after, self._shape.digest, "at"), "at")
        sql = f"SELECT 1 FROM {self._source(begin, None)} LIMIT 1"  # noqa: S608 - quoted names and times of our own
        return Probe.CHANGED if any(True for _ in self._rows(Statement(sql))) else Probe.NOTHING_NEW

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield changed rows and removed keys in the order of the key. Raises CursorExpired."""
        position = cursors.read(after, self._shape.digest, "at")
        begin = self._time(position, "at")
        end = self._time(position, "end") if "end" in position else self._now()
        key = position.get("key")
        if key is not None and (not isinstance(key, list) or len(key) != len(self._shape.key)):
            raise CursorExpired("The position does not fit the table's key; the listing starts again.")
        done = self._cursor({"at": end})
        if begin >= end:
            # Both are times of sessions in UTC, which compare as their texts do.
            yield ChangePage(empty_items(), (), self._cursor({"at": begin}), caught_up=True)
            return
        yield from self._pages(self._rows(self.statement(begin, end, key)), begin, end, done)

    def statement(self, begin: str, end: str, key: list[Any] | None) -> Statement:
        """Return the statement of all changes after `begin` up to `end`, behind a key."""
        order = [f"{column.ordered_by} ASC NULLS FIRST" for column in self._shape.key]
        what = ", ".join([*selected(self._shape), "METADATA$ACTION"])
        sql = f"SELECT {what} FROM {self._source(begin, end)}"  # noqa: S608 - quoted names and times of our own
        binds: tuple[str | None, ...] = ()
        if key is not None:
            where = behind(self._shape.key, key)
            sql, binds = f"{sql} WHERE {where.sql}", where.binds
        # DELETE before INSERT, so that a key's last row tells what it is now.
        return Statement(f"{sql} ORDER BY {', '.join(order)}, METADATA$ACTION ASC", binds)

    def _pages(self, rows: Iterator[Row], begin: str, end: str, done: Cursor) -> Iterator[ChangePage]:
        builder = RowBuilder(self._shape)
        waiting: list[_Changed] = []
        number = 0
        for changed in self._by_key(rows):
            if len(waiting) == self._page_rows:
                number += 1
                place = {"at": begin, "end": end, "key": self._reader.key(waiting[-1].seen)}
                yield self._page(builder, waiting, self._cursor(place, page=number), caught_up=False)
                waiting = []
            waiting.append(changed)
        yield self._page(builder, waiting, done, caught_up=True)

    def _page(self, builder: RowBuilder, changed: list[_Changed], cursor: Cursor, *, caught_up: bool) -> ChangePage:
        built = builder.build([one.row for one in changed if one.row is not None])
        removed = tuple(builder.identity(one.key_json) for one in changed if one.row is None)
        return ChangePage(built.items, removed, cursor, caught_up, built.rejected)

    def _by_key(self, rows: Iterator[Row]) -> Iterator[_Changed]:
        """Yield one entry a key: an update is a DELETE and an INSERT of the same key."""
        current: _Changed | None = None
        for row in rows:
            key_json = self._reader.key_json(row)
            if current is None or current.key_json != key_json:
                if current is not None:
                    yield current
                current = _Changed(key_json, row)
            if row[-1] == _INSERT:
                current.row = row[:-1]
        if current is not None:
            yield current

    def _rows(self, statement: Statement) -> Iterator[Row]:
        try:
            for chunk in self._client.raw_chunks(statement.sql, statement.binds, rows=self._page_rows):
                yield from chunk
        except Failure as failure:
            if failure.kind is Kind.REFUSAL and not failure.session_ended:
                raise CursorExpired(
                    f"Snowflake does not tell the changes since the position ({failure}); the listing starts again."
                ) from None
            raise told(failure, self._client.place) from None

    def _source(self, begin: str, end: str | None) -> str:
        source = f"{self._shape.table.quoted} CHANGES(INFORMATION => DEFAULT) AT(TIMESTAMP => {_constant(begin)})"
        return source if end is None else f"{source} END(TIMESTAMP => {_constant(end)})"

    def _now(self) -> str:
        sql = f"SELECT DATEADD(second, -{SETTLING_SECONDS}, CURRENT_TIMESTAMP())::VARCHAR"
        return _BELOW_MILLISECONDS.sub("", moment(str(self._client.rows(sql)[0][0])))

    @staticmethod
    def _time(position: dict[str, Any], name: str) -> str:
        text = position[name]
        if not isinstance(text, str) or not _TIME.fullmatch(text):
            raise CursorExpired("The position holds no time; the listing starts again.")
        return text

    def _cursor(self, fields: dict[str, Any], *, page: int = 0) -> Cursor:
        return cursors.written(self._shape.digest, {"feed": "changes", **fields}, page=page)


def _constant(time: str) -> str:
    return f"{literal(time)}::TIMESTAMP_TZ"
