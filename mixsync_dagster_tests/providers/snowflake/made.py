"""Tables made in tests without a server."""

from dataclasses import replace

from mixsync_dagster.errors import PathNotFound
from mixsync_dagster.model.paths import SnowflakeTable
from mixsync_dagster.providers.snowflake.errors import Failure, Place, told
from mixsync_dagster.providers.snowflake.settings import SnowflakeSettings
from mixsync_dagster.providers.snowflake.shape import shape_of

SETTINGS = SnowflakeSettings(
    account="acct", warehouse="WH", table=SnowflakeTable("DB", "S", "T"), username="reader", password="CANARY"
)


def shape(columns, **settings):
    """A table of (name, type) pairs."""
    return shape_of(columns, replace(SETTINGS, **settings))


class ScriptedClient:
    """Answers statements by the first entry whose text they hold; an exception is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []
        self.place = Place("acct", "reader", None, "WH", '"DB"."S"."T"', 300)

    def raw_chunks(self, sql, binds=(), *, rows, names=None):
        self.sent.append((sql, tuple(binds)))
        answer = next((answer for part, answer in self.answers if part in sql), None)
        if answer is None:
            raise PathNotFound(f"no answer is scripted for {sql}")
        if isinstance(answer, Exception):
            raise answer
        for start in range(0, len(answer), rows):
            yield answer[start : start + rows]

    def chunks(self, sql, binds=(), *, rows):
        try:
            yield from self.raw_chunks(sql, binds, rows=rows)
        except Failure as failure:
            raise told(failure, self.place) from None

    def rows(self, sql, binds=()):
        return [row for chunk in self.chunks(sql, binds, rows=1000) for row in chunk]
