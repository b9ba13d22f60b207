"""An S3 provider whose service filters listings by an index on Last-Modified: it has a change feed besides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import blake2b

from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.provider import Capabilities, ChangePage, Cursor, Probe
from mixsync_dagster.providers.s3.page_parser import parse_page
from mixsync_dagster.providers.s3.provider import S3Provider, list_query
from mixsync_dagster.providers.s3.query_feed import QueriedPage, QueryFeed, QueryRefused, position_of
from mixsync_dagster.providers.s3.settings import S3Settings
from mixsync_dagster.transport.http import HttpAnswer

_NOT_SERVED = frozenset({400, 405, 501})


class QueriedS3Provider(S3Provider):
    """An S3Provider, and a ChangeFeed of objects that were put. Deleted objects are found by the full listing."""

    def __init__(self, settings: S3Settings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self._capabilities = replace(self._capabilities, change_feed=True)
        named = f"{settings.identity}\n{settings.container}\n{settings.prefix}\n{settings.narrowed_to}"
        self._named = blake2b(named.encode(), digest_size=8).hexdigest()

    @property
    def capabilities(self) -> Capabilities:
        """Return what this dialect can do."""
        return self._capabilities

    def head(self) -> Cursor:
        """Return the present end of what was put, by two requests."""
        return self._feed().head()

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield what was put after a position; one request when nothing was, or little. See QueryFeed.changes."""
        self._know(after)
        yield from self._feed().changes(after)

    def probe(self, after: Cursor) -> Probe:
        """Return whether anything was put, by one request; UNKNOWN when one page of it cannot tell."""
        self._know(after)
        return self._feed().probe(after)

    def _know(self, after: Cursor) -> None:
        """Take from a position whether the source path names an object: that is asked before a listing only."""
        scope = self._scope_as(single=position_of(after, self._named).single)
        with self._scope_lock:
            self._scope = self._scope or scope

    def _feed(self) -> QueryFeed:
        scope = self._found_scope()
        prefix, only = scope.only or scope.prefix, scope.only

        def ask(since: datetime | None, token: str | None) -> QueriedPage:
            return self._queried(prefix, since, token)

        return QueryFeed(
            ask=ask,
            builder=self._builder,
            inside=lambda key: key.startswith(prefix) if only is None else key == only,
            named=self._named,
            overlap=timedelta(seconds=self._settings.query_overlap_seconds),
            single=only is not None,
        )

    def _queried(self, prefix: bytes, since: datetime | None, token: str | None) -> QueriedPage:
        headers = {}
        if since is not None:
            time = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            header = self._settings.row.query_header or ""
            headers[header] = f'WHERE `Last-Modified` >= "{time}" ORDER BY `Last-Modified`'
        most = self._settings.page_keys if since is not None else 1
        answer = self._client.send("GET", query=list_query(prefix, None, token, most=most), headers=headers)
        if since is not None and answer.status in _NOT_SERVED:
            answer.close()
            raise QueryRefused
        answered_at = self._clock_of(answer)
        return QueriedPage(parse_page(self._successful(answer).read()), answered_at)

    def _clock_of(self, answer: HttpAnswer) -> datetime:
        """Return the service's time; ours where it tells none."""
        try:
            told = parsedate_to_datetime(answer.headers.get("Date") or "")
        except ValueError:
            return self._clock.now()
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told
