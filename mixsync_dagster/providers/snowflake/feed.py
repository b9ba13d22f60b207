"""A table's change feed: by its watermark, by Snowflake's CHANGES, or by the time of the table's last commit.

| feed        | where                                      | shows                                              |
|-------------|--------------------------------------------|----------------------------------------------------|
| watermark   | `incremental_column` is given              | new and changed rows                               |
| changes     | else a key, change tracking, Time Travel   | new, changed and deleted rows                      |
| commits     | else                                       | that something changed: then a full listing tells  |
| none        | else (the last commit is not told)         | nothing: every look is a full listing              |

A position names its feed, so that a table whose settings changed is listed again and not misread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.model.items import empty_items
from mixsync_dagster.ports.provider import ChangePage, Cursor, Probe
from mixsync_dagster.providers.snowflake import cursors
from mixsync_dagster.providers.snowflake.changes import ChangesFeed
from mixsync_dagster.providers.snowflake.client import SnowflakeClient
from mixsync_dagster.providers.snowflake.columns import literal
from mixsync_dagster.providers.snowflake.errors import Failure, Kind, told
from mixsync_dagster.providers.snowflake.settings import SnowflakeSettings
from mixsync_dagster.providers.snowflake.shape import Shape
from mixsync_dagster.providers.snowflake.watermark import WatermarkFeed


class Feed(Protocol):
    """One way to see changes."""

    def head(self) -> Cursor:
        """Return the present end."""
        ...

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield what changed after a position of this feed."""
        ...

    def probe(self, after: Cursor) -> Probe:
        """Return whether anything changed after a position of this feed."""
        ...


class CommitFeed:
    """Knows only whether the table changed, by one statement that reads no rows and needs no warehouse.

    Not run against the live service: SYSTEM$LAST_CHANGE_COMMIT_TIME is answered by the tests' server. Snowflake
    documents it as a token that differs when a table, or what a view refers to, has changed.
    """

    def __init__(self, client: SnowflakeClient, shape: Shape) -> None:
        self._client = client
        self._shape = shape

    def head(self) -> Cursor:
        """Return the token, or a position of feed `none` where Snowflake refuses to tell it."""
        token = self._token()
        name = "commits" if token is not None else "none"
        return cursors.written(self._shape.digest, {"feed": name, "token": token}, page=0)

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield one empty page when nothing changed. Raises CursorExpired when something did."""
        if self.probe(after) is not Probe.NOTHING_NEW:
            raise CursorExpired("The table has changed, and only a full listing tells in which rows.")
        yield ChangePage(empty_items(), (), after, caught_up=True)

    def probe(self, after: Cursor) -> Probe:
        """Compare tokens; UNKNOWN where there are none."""
        known = cursors.read(after, self._shape.digest, "token")["token"]
        if known is None:
            return Probe.UNKNOWN
        token = self._token()
        if token is None:
            return Probe.UNKNOWN
        return Probe.NOTHING_NEW if token == known else Probe.CHANGED

    def _token(self) -> str | None:
        sql = f"SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME({literal(self._shape.table.quoted)})"
        try:
            rows = [row for chunk in self._client.raw_chunks(sql, rows=1) for row in chunk]
        except Failure as failure:
            if failure.kind is Kind.OUTAGE or failure.session_ended:
                raise told(failure, self._client.place) from None
            return None
        return str(rows[0][0]) if rows and rows[0][0] is not None else None


class TableFeed:
    """The feed that suits the table, or the one that a position belongs to."""

    def __init__(self, client: SnowflakeClient, shape: Shape, settings: SnowflakeSettings) -> None:
        self._client = client
        self._shape = shape
        self._settings = settings

    def head(self) -> Cursor:
        """Return the present end of the feed that suits the table now."""
        return self._feed(self._suitable()).head()

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield what changed after a position, in the feed that it belongs to. Raises CursorExpired."""
        yield from self._of(after).changes(after)

    def probe(self, after: Cursor) -> Probe:
        """Ask the feed that the position belongs to. Raises CursorExpired."""
        return self._of(after).probe(after)

    def _of(self, after: Cursor) -> Feed:
        name = cursors.read(after, self._shape.digest, "feed")["feed"]
        # The key and watermark are those of the position, its digest says so; the feed may be asked as before.
        return self._feed(name)

    def _feed(self, name: Any) -> Feed:
        rows = self._settings.page_rows
        if name == "watermark" and self._shape.watermark is not None:
            return WatermarkFeed(self._client, self._shape, rows, self._settings.overlap_seconds)
        if name == "changes" and self._shape.key:
            return ChangesFeed(self._client, self._shape, rows)
        if name in ("commits", "none"):
            return CommitFeed(self._client, self._shape)
        raise CursorExpired("The position belongs to no feed of this table; the listing starts again.")

    def _suitable(self) -> str:
        if self._shape.watermark is not None:
            return "watermark"
        return "changes" if self._shape.key and self._tracked() else "commits"

    def _tracked(self) -> bool:
        table = self._shape.table
        schema = type(table)(None, table.database, table.schema or "").quoted
        sql = f"SHOW TABLES LIKE {literal(table.table)} IN SCHEMA {schema}"
        # LIKE knows wildcards and no case, so that the answer may hold other tables too.
        wanted = {"name": table.table, "change_tracking": "ON"}
        days = self._client.first_named(sql, "retention_time", wanted)
        # Without Time Travel every look at the changes would be refused, and everything listed each time.
        return days is not None and str(days) != "0"
