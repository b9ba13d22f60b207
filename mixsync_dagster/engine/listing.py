"""Stage 2: page the provider and cut its listing into shards."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from mixsync_dagster.engine.context import SyncView
from mixsync_dagster.engine.filtering import filter_items
from mixsync_dagster.engine.planning import plan_changes
from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.model.columns import column
from mixsync_dagster.model.items import SHARD_ROWS, RejectedItem, Shard, Span
from mixsync_dagster.ports.provider import Cursor, Page

SHARD_SECONDS = 2.0
"""A shard also ends after this much listing, so that a slow listing does not keep transfers waiting."""

ROWS_PER_PART = 4_000
"""Inventory rows between two hints for listing parts at once: whole pages, few enough that every part stays busy."""


STARTS = 3
"""How often one run begins a listing whose positions the provider refuses."""


def list_items(view: SyncView, cursor: str | None, *, shard_rows: int = SHARD_ROWS) -> Iterator[Shard]:
    """Yield the listing after `cursor` (None: from the start) as shards of about `shard_rows`, in the provider's order.

    Stops early once `max_objects_per_run` items are known to need work; the run then ends with a resume position.
    Raises what `Provider.list_pages` raises.
    """
    yield from until_cap(view, _shards(view, _pages(view, cursor), shard_rows))


def until_cap(view: SyncView, shards: Iterator[Shard]) -> Iterator[Shard]:
    """Yield the shards until more items need work than the sync's cap allows in one run."""
    sync = view.sync
    listed = needing_work = 0
    for shard in shards:
        yield shard
        listed += shard.table.num_rows
        if listed > sync.max_objects_per_run:
            # Only a listing longer than the cap can exceed it, so only then is the plan made here as well.
            needing_work += plan_changes(view, filter_items(view, shard)).table.num_rows
            if needing_work > sync.max_objects_per_run:
                return


def _pages(view: SyncView, cursor: str | None) -> Iterator[Page]:
    """Yield the pages after `cursor`, or all of them when the provider refuses that position.

    What has been listed and done before a new start is found unchanged: a pass may list a part of its scope twice.
    """
    provider = view.tools.provider
    hints = view.tools.store.inventory_splits(view.sync.sync_config_id, ROWS_PER_PART)
    for starts_left in range(STARTS - 1, -1, -1):
        position = None if cursor is None else Cursor(cursor)
        try:
            yield from _advancing(provider.list_pages(position, hints=hints), cursor)
        except CursorExpired:
            if not starts_left:
                raise
            cursor = None
        else:
            return


def _advancing(pages: Iterator[Page], cursor: str | None) -> Iterator[Page]:
    # A provider that hands out the same position twice would be listed for ever.
    seen = cursor
    for page in pages:
        if page.cursor is not None and page.cursor == seen:
            raise ProviderUnavailable(
                "the provider's listing does not advance: it gave the same position twice; the pass will be repeated."
            )
        seen = page.cursor
        yield page


def _shards(view: SyncView, pages: Iterator[Page], shard_rows: int) -> Iterator[Shard]:
    clock = view.tools.clock
    number = 0
    gathered: list[Page] = []
    rows = 0
    began = clock.monotonic()
    for page in pages:
        if gathered and not _continues(gathered[-1], page):
            yield _join(number, gathered)
            number += 1
            gathered, rows, began = [], 0, clock.monotonic()
        gathered.append(page)
        rows += page.items.num_rows
        last = page.cursor is None
        if last or rows >= shard_rows or clock.monotonic() - began >= SHARD_SECONDS:
            yield _join(number, gathered)
            number += 1
            gathered, rows, began = [], 0, clock.monotonic()
        if last:
            return


def _continues(earlier: Page, later: Page) -> bool:
    """Return whether the later page's span begins where the earlier one's ends: only then are both one span."""
    if earlier.span is None or later.span is None:
        return earlier.span is later.span
    return earlier.span.upto is not None and earlier.span.upto == later.span.after


def _join(number: int, pages: list[Page]) -> Shard:
    table = pa.concat_tables([page.items for page in pages])
    spans = [page.span for page in pages]
    first, last = spans[0], spans[-1]
    rejected: tuple[RejectedItem, ...] = tuple(one for page in pages for one in page.rejected)
    if last is None:
        table = last_of_each(table)
    return Shard(
        number=number,
        table=table.combine_chunks(),
        span=None if first is None or last is None else Span(first.after, last.upto),
        cursor=pages[-1].cursor,
        discovered=table.num_rows + len(rejected),
        rejected=rejected,
    )


def last_of_each(table: pa.Table) -> pa.Table:
    """Return the table without earlier rows of ids that occur more than once, as unordered listings may have them."""
    ids = table.column("source_object_id")
    if pc.count_distinct(ids).as_py() == table.num_rows:
        return table
    last = {identifier: row for row, identifier in enumerate(ids.to_pylist())}
    return table.take(column(sorted(last.values()), pa.int64()))
