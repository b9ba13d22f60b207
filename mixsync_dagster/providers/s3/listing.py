"""Listing a scope: page by page, or several parts of it at once, always yielded in key order."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise

from mixsync_dagster.errors import ConfigurationError, ProviderUnavailable
from mixsync_dagster.model.items import Span
from mixsync_dagster.ports.provider import Cursor, Page
from mixsync_dagster.providers.s3.page_parser import ListedPage
from mixsync_dagster.providers.s3.pages import ItemBuilder, cursor_of, key_of

PARTS_AT_ONCE = 8
PAGES_BUFFERED = 4
"""Pages a part may be ahead of the consumer; with eight parts at most 32 pages wait, about 8 MB."""
HINT_ROWS = 4_000
"""Distance between hints that keeps all parts busy: a part that the consumer has not reached stops at its buffer."""
MOST_PROPOSED = 32
"""Parts made of the folders of a scope whose distribution is not known yet."""
TOKENS_KEPT = 16
_EMPTY_PAGES = 1_000

ListRequest = Callable[[bytes, bytes | None, str | None, bool], ListedPage]
"""(prefix, start after, continuation token, by folder) -> one answer."""


@dataclass(frozen=True, slots=True)
class Part:
    """A range of keys: after < key <= upto; None is an open end."""

    after: bytes | None
    upto: bytes | None


@dataclass(frozen=True, slots=True)
class Scope:
    """What to list: every key that starts with `prefix`, or the one object `only`."""

    root: bytes
    """The folder of the source path; every key of the scope starts with it."""
    prefix: bytes
    only: bytes | None = None


class Tokens:
    """The services' own continuation tokens of the last pages that were listed: for going on where no order helps.

    They are kept in memory only. A service answers a token for minutes, and what it makes of an old one is not known:
    one that took it for the end of the listing would make everything behind it look removed.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Cursor, str] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, cursor: Cursor, token: str) -> None:
        """Remember what continues behind a page; the oldest is forgotten."""
        with self._lock:
            self._kept[cursor] = token
            self._kept.move_to_end(cursor)
            if len(self._kept) > TOKENS_KEPT:
                self._kept.popitem(last=False)

    def behind(self, cursor: Cursor) -> str | None:
        """Return what continues behind the page of this cursor; None when it is not known here."""
        with self._lock:
            return self._kept.get(cursor)


class Listing:
    """Lists one scope of one bucket. `ordered` is the dialect's promise, checked on every page.

    Without it, the service's tokens are kept in `tokens`, so that a listing that broke off can go on.
    """

    def __init__(
        self, request: ListRequest, builder: ItemBuilder, scope: Scope, *, ordered: bool, tokens: Tokens | None = None
    ) -> None:
        self._request = request
        self._builder = builder
        self._scope = scope
        self._ordered = ordered
        self._tokens = tokens

    def pages(self, after: bytes | None, hints: Sequence[bytes], token: str | None = None) -> Iterator[Page]:
        """Yield the scope behind `after` to its end, in order; `hints` are ascending keys that cut it into parts.

        Where no order is promised, `token` says where to go on instead.
        """
        if not self._ordered or self._scope.only is not None:
            yield from self._part_pages(Part(after, None), token)
            return
        cuts = self._cuts(after, hints)
        if not cuts:
            # Most scopes end within a page, and then nothing more is asked.
            first = next(self._part_pages(Part(after, None)))
            yield first
            if first.cursor is None:
                return
            after = key_of(first.cursor, self._scope.prefix)
            cuts = _thinned(self._cuts(after, self._request(self._scope.prefix, after, None, True).prefixes))
        edges = [after, *cuts, None]
        parts = [Part(low, high) for low, high in pairwise(edges)]
        if len(parts) == 1:
            yield from self._part_pages(parts[0])
        else:
            yield from in_order([partial(self._part_pages, part) for part in parts])

    def _cuts(self, after: bytes | None, keys: Sequence[bytes]) -> list[bytes]:
        inside = {key for key in keys if key.startswith(self._scope.prefix) and key != self._scope.prefix}
        return sorted(key for key in inside if after is None or key > after)

    def _part_pages(self, part: Part, token: str | None = None) -> Iterator[Page]:
        position, empty = part.after, 0
        while True:
            prefix = self._scope.only or self._scope.prefix
            listed = self._request(prefix, None if token else position, token, False)
            if self._scope.only is not None:
                listed = _first_rows(listed, int(listed.keys[:1] == [self._scope.only]), truncated=False)
            elif self._ordered:
                self._check_order(listed.keys, position)
            if listed.truncated and listed.token is not None and listed.token == token:
                raise ProviderUnavailable("The listing does not advance: a continuation token came twice.")
            done = not listed.truncated
            if part.upto is not None and listed.keys and listed.keys[-1] >= part.upto:
                listed = _first_rows(listed, _count_upto(listed.keys, part.upto), truncated=False)
                done = True
            last = part.upto if done else listed.keys[-1] if listed.keys else None
            if done or last is not None:
                yield self._page(listed, position, last, scope_done=done and part.upto is None)
            if done:
                return
            if last is None:
                empty += 1
                if empty > _EMPTY_PAGES or listed.token is None:
                    raise ProviderUnavailable("The listing does not advance: its answers are empty and never the last.")
            else:
                position, empty = last, 0
            token = listed.token

    def _page(self, listed: ListedPage, after: bytes | None, last: bytes | None, *, scope_done: bool) -> Page:
        items, rejected = self._builder.build(listed)
        cursor = None if scope_done or last is None else cursor_of(last)
        if self._tokens is not None and not self._ordered and cursor is not None and listed.token is not None:
            self._tokens.keep(cursor, listed.token)
        return Page(items, cursor, self._span(after, last), rejected)

    def _span(self, after: bytes | None, upto: bytes | None) -> Span | None:
        if not self._ordered:
            return None
        name = self._builder.source_object_id
        return Span(None if after is None else name(after), None if upto is None else name(upto))

    def _check_order(self, keys: list[bytes], position: bytes | None) -> None:
        """Refuse a listing that would make spans lie: what a span covers and does not hold is taken for removed."""
        if not keys:
            return
        if position is not None and keys[0] <= position:
            raise ProviderUnavailable("The listing does not advance: an answer starts before the position asked for.")
        if sorted(keys) != keys:
            raise ConfigurationError(
                "dialect: the service lists keys out of order, which this dialect says it does not; give generic."
            )


def _thinned(cuts: list[bytes]) -> list[bytes]:
    """Return at most MOST_PROPOSED of the cuts, evenly: every part costs a request, and folders may be tiny."""
    step = -(-len(cuts) // MOST_PROPOSED) or 1
    return cuts[::step]


def _first_rows(page: ListedPage, count: int, *, truncated: bool) -> ListedPage:
    return ListedPage(
        page.keys[:count],
        page.modified[:count],
        page.etags[:count],
        page.sizes[:count],
        page.classes[:count],
        page.prefixes,
        truncated=truncated,
        token=page.token,
    )


def _count_upto(keys: list[bytes], upto: bytes) -> int:
    return sum(1 for key in keys if key <= upto)


class _Channel:
    """Pages on their way from one part to the consumer: bounded, closable from both sides, and it carries errors."""

    def __init__(self, source: Callable[[], Iterator[Page]]) -> None:
        self._source = source
        self._ready: deque[Page] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._ended = False
        self._closed = False
        self._thread = threading.Thread(target=self._fill, name="s3-listing", daemon=True)
        self._thread.start()

    def _fill(self) -> None:
        error: BaseException | None = None
        try:
            for page in self._source():
                if not self._put(page):
                    return
        except BaseException as raised:  # noqa: BLE001 - a thread's edge: it is raised again where pages are taken
            error = raised
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify_all()

    def _put(self, page: Page) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._ready) < PAGES_BUFFERED)
            if self._closed:
                return False
            self._ready.append(page)
            self._changed.notify_all()
            return True

    def take(self) -> Page | None:
        """Return the next page, None at the end; raises what the part raised, after the pages before it."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended)
            if self._ready:
                page = self._ready.popleft()
                self._changed.notify_all()
                return page
            if self._error is not None:
                raise self._error
            return None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()


def in_order(sources: Sequence[Callable[[], Iterator[Page]]]) -> Iterator[Page]:
    """Yield the pages of every source in the order of the sources, PARTS_AT_ONCE of them being read at a time."""
    waiting = iter(sources)
    running = deque(_Channel(source) for source in islice(waiting, PARTS_AT_ONCE))
    try:
        while running:
            while (page := running[0].take()) is not None:
                yield page
            running.popleft()
            running.extend(_Channel(source) for source in islice(waiting, 1))
    finally:
        for channel in running:
            channel.close()
