"""A change feed out of listings that a service filters by an index on Last-Modified (Tigris's X-Tigris-Query).

Facts, from https://www.tigrisdata.com/docs/objects/query-metadata/: ListObjectsV2 takes a condition in a header,
`Last-Modified` (RFC 3339) is indexed, `>=` and ORDER BY are understood. Deleted objects are not shown: the periodic
full listing finds them. Assumed, and checked on every page: continuation tokens go on in a filtered listing as in any
other, and the prefix holds for it too.

A position says since when the next pass looks: the service's own clock at the beginning of the pass before, less an
overlap, within which objects may become visible late or be stamped earlier than they are seen (another region's clock,
the begin of an upload in parts). No time found in a listing moves it. What is found a second time is found unchanged.
So that a pass without change is one request and tells nothing, the position also holds a digest of what was seen since
then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.model.items import empty_items
from mixsync_dagster.ports.provider import ChangePage, Cursor, Probe
from mixsync_dagster.providers.s3.page_parser import ListedPage
from mixsync_dagster.providers.s3.pages import ItemBuilder

_DIGEST_BYTES = 8
_TIMES = ("since", "at", "began")
_MOST_PAGES = 10_000_000
_NEVER = datetime.max.replace(tzinfo=UTC)


def position_of(cursor: Cursor, named: str) -> Position:
    """Return the position of a cursor. Raises CursorExpired for one of another scope, or none at all."""
    try:
        told = json.loads(cursor)
        if told["of"] == named:
            since, at, began = (
                None if told.get(name) is None else datetime.fromisoformat(told[name]).astimezone(UTC)
                for name in _TIMES
            )
            return Position(since, told["seen"], at, began, int(told.get("page", 0)), single=told["single"] is True)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise CursorExpired("The stored position is none of this bucket's queries; everything is listed again.")


@dataclass(frozen=True, slots=True)
class QueriedPage:
    """A page of a filtered listing, and the service's clock when it answered."""

    listed: ListedPage
    answered_at: datetime


class QueryRefused(Exception):
    """The service, or this bucket, does not serve filtered listings."""


Ask = Callable[[datetime | None, str | None], QueriedPage]
"""(objects modified at or after, continuation token) -> one page; None: one row of a plain listing, for the clock."""


@dataclass(frozen=True, slots=True)
class Position:
    """What the next pass has to look at."""

    since: datetime | None
    """None: the service refused to filter, and only a listing tells what changed."""
    seen: str | None = None
    """Digest of what was there, modified at or after `since`; None where it was not read to its end."""
    at: datetime | None = None
    """Inside a pass: everything modified before this was told."""
    began: datetime | None = None
    """Inside a pass: the service's clock when it began."""
    page: int = 0
    """Inside a pass: how many pages were told; tells positions apart that are otherwise the same."""
    single: bool = False
    """The source path names one object, not a folder; kept so that no later pass has to ask."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a filtered listing with the time of each of its objects."""

    listed: ListedPage
    times: Sequence[datetime]
    answered_at: datetime

    def seen_since(self, since: datetime) -> str:
        """Return the digest of what the page holds from a time on."""
        window = Window(since)
        window.add(self)
        return window.text


@dataclass(slots=True)
class Window:
    """A digest of the objects of pages from some time on, whatever their order."""

    since: datetime
    count: int = 0
    total: int = 0

    def add(self, page: Page) -> None:
        """Take in a page."""
        listed = page.listed
        for key, etag, modified, time in zip(listed.keys, listed.etags, listed.modified, page.times, strict=True):
            if time >= self.since:
                digest = blake2b(b"\0".join((key, etag, modified)), digest_size=_DIGEST_BYTES).digest()
                self.total = (self.total + int.from_bytes(digest, "big")) % 256**_DIGEST_BYTES
                self.count += 1

    @property
    def text(self) -> str:
        """The digest."""
        return f"{self.count}-{self.total:x}"


@dataclass(frozen=True, slots=True)
class QueryFeed:
    """Tells objects of one scope that were put since a position; keeps nothing."""

    ask: Ask
    builder: ItemBuilder
    inside: Callable[[bytes], bool]
    """Whether a key belongs to the scope: what a service answers is not taken at its word."""
    named: str
    """Names the scope that positions belong to."""
    overlap: timedelta
    single: bool

    def head(self) -> Cursor:
        """Return the present end, by two requests."""
        try:
            since = _seconds(self.ask(None, None).answered_at - self.overlap)
            page = self._asked(since, None)
        except QueryRefused:
            return self._cursor(Position(None))
        return self._cursor(Position(since, None if page.listed.truncated else page.seen_since(since)))

    def probe(self, after: Cursor) -> Probe:
        """Return whether anything was put, by one request; UNKNOWN when one page cannot tell."""
        position = position_of(after, self.named)
        if position.since is None:
            return Probe.UNKNOWN
        if position.at is not None:
            return Probe.CHANGED
        try:
            page = self._asked(position.since, None)
        except QueryRefused:
            return Probe.UNKNOWN
        if page.listed.truncated:
            return Probe.UNKNOWN
        return Probe.NOTHING_NEW if page.seen_since(position.since) == position.seen else Probe.CHANGED

    def changes(self, after: Cursor) -> Iterator[ChangePage]:
        """Yield what was put, earliest first; one empty page when a single page shows what was seen before.

        Raises CursorExpired where the service does not filter.
        """
        position = position_of(after, self.named)
        try:
            if position.since is None:
                raise QueryRefused  # noqa: TRY301 - told below, in one place
            yield from self._changes(position, position.at or position.since)
        except QueryRefused:
            raise CursorExpired("The service does not filter its listing; everything is listed again.") from None

    def _changes(self, position: Position, since: datetime) -> Iterator[ChangePage]:
        page = self._asked(since, None)
        began = position.began or page.answered_at
        window = Window(max(position.since or since, _seconds(began - self.overlap)))
        window.add(page)
        resumed = position.at is not None
        if not resumed and not page.listed.truncated and page.seen_since(since) == position.seen:
            yield ChangePage(empty_items(), (), self._cursor(Position(window.since, window.text)), caught_up=True)
            return
        latest = since
        for told in range(1, _MOST_PAGES):
            items, rejected = self.builder.build(page.listed)
            if not page.listed.truncated:
                # Of a pass that another run began, a part is not in the digest: that only makes it be told once more.
                end = self._cursor(Position(window.since, window.text))
                yield ChangePage(items, (), end, caught_up=True, rejected=rejected)
                return
            latest = _latest(latest, page.times)
            # Out of order, the pass can only be begun again.
            at = since if latest is _NEVER else _seconds(latest)
            here = replace(position, at=at, began=began, page=position.page + told)
            yield ChangePage(items, (), self._cursor(here), caught_up=False, rejected=rejected)
            page = self._asked(since, page.listed.token)
            window.add(page)
        raise ProviderUnavailable("The listing does not advance: it has more pages than any bucket.")

    def _asked(self, since: datetime, token: str | None) -> Page:
        """Return a page without what lies outside of the scope.

        Raises QueryRefused also for an object that was not asked for: then the service has not filtered.
        """
        answer = self.ask(since, token)
        listed = answer.listed
        if listed.truncated and listed.token in (None, token):
            raise ProviderUnavailable("The listing does not advance: a continuation token is missing or came twice.")
        if not all(map(self.inside, listed.keys)):
            listed = listed.picked([row for row, key in enumerate(listed.keys) if self.inside(key)])
        times = [_time(text) for text in listed.modified]
        if times and min(times) < since:
            raise QueryRefused
        return Page(listed, times, answer.answered_at)

    def _cursor(self, position: Position) -> Cursor:
        told: dict[str, Any] = {
            "of": self.named,
            "single": self.single,
            "since": _text(position.since),
            "seen": position.seen,
        }
        if position.at is not None:
            told |= {"at": _text(position.at), "began": _text(position.began), "page": position.page}
        return Cursor(json.dumps(told, separators=(",", ":")))


def _latest(latest: datetime, times: Sequence[datetime]) -> datetime:
    """Return the last of the times when they ascend from `latest` on; _NEVER, which nothing comes behind, else."""
    if any(later < earlier for earlier, later in zip((latest, *times), times, strict=False)):
        return _NEVER
    return times[-1] if times else latest


def _seconds(moment: datetime) -> datetime:
    """Return the beginning of the second: the documentation shows conditions on whole seconds only."""
    return moment.replace(microsecond=0)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: bytes) -> datetime:
    try:
        moment = datetime.fromisoformat(text.decode("ascii"))
    except ValueError:
        raise ProviderUnavailable("A listing answer holds a time that is none.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
