"""Stage 2 of a pass over the provider's change feed: only what changed since the last pass, cut into shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from mixsync_dagster.engine.context import SyncRun, SyncView
from mixsync_dagster.engine.listing import SHARD_SECONDS, last_of_each, list_items, until_cap
from mixsync_dagster.engine.stages import stage_span
from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.model.columns import column
from mixsync_dagster.model.items import SHARD_ROWS, RejectedItem, Shard
from mixsync_dagster.model.progress import PassKind
from mixsync_dagster.ports.provider import ChangeFeed, ChangePage, Cursor


def list_pass(run: SyncRun, *, shard_rows: int = SHARD_ROWS) -> Iterator[Shard]:
    """Yield what the run's pass has still to look at, as shards of about `shard_rows`: a listing, or a change feed."""
    with stage_span(run, "list_items", around=False):
        if run.ticket.kind == PassKind.CHANGE_FEED and run.ticket.cursor is not None:
            yield from list_changes(run, run.ticket.cursor, shard_rows=shard_rows)
        else:
            yield from list_items(run, run.ticket.cursor, shard_rows=shard_rows)


def list_changes(view: SyncView, cursor: str, *, shard_rows: int = SHARD_ROWS) -> Iterator[Shard]:
    """Yield what changed after a position of the feed, oldest first; the whole listing where the position is refused.

    What was yielded before a refusal stays true, and is found unchanged by the listing. Stops early as `list_items`
    does. Raises what `ChangeFeed.changes` raises, but CursorExpired.
    """
    feed = cast("ChangeFeed", view.tools.provider)
    number = 0
    try:
        for shard in until_cap(view, _shards(view, _advancing(feed.changes(Cursor(cursor)), cursor), shard_rows)):
            number = shard.number + 1
            yield shard
    except CursorExpired:
        # Taken before the listing, so that what changes meanwhile is in the feed that follows.
        head = feed.head()
        for shard in list_items(view, None, shard_rows=shard_rows):
            yield replace(shard, number=number + shard.number, feed_head=head)


def _advancing(pages: Iterator[ChangePage], cursor: str) -> Iterator[ChangePage]:
    ended = False
    for page in pages:
        if page.cursor == cursor and not page.caught_up:
            raise ProviderUnavailable(
                "the provider's change feed does not advance: it gave the same position twice; the pass is repeated."
            )
        cursor, ended = page.cursor, page.caught_up
        yield page
        if ended:
            return
    if not ended:
        raise ProviderUnavailable("the provider's change feed ended before it had caught up; the pass goes on later.")


def _shards(view: SyncView, pages: Iterator[ChangePage], shard_rows: int) -> Iterator[Shard]:
    clock = view.tools.clock
    number = 0
    gathered: list[ChangePage] = []
    began = clock.monotonic()
    for page in pages:
        gathered.append(page)
        changes = sum(one.items.num_rows + len(one.removed) + len(one.rejected) for one in gathered)
        if page.caught_up or changes >= shard_rows or clock.monotonic() - began >= SHARD_SECONDS:
            yield _join(number, gathered)
            number += 1
            gathered, began = [], clock.monotonic()


def _join(number: int, pages: list[ChangePage]) -> Shard:
    """Return the pages as one shard: of several changes of an item, the last one counts."""
    gone: set[str] = set()
    rejected: dict[str, RejectedItem] = {}
    for page in pages:
        there = page.items.column("source_object_id").to_pylist()
        refused = {one.source_object_id: one for one in page.rejected}
        for identity in (*there, *page.removed):
            rejected.pop(identity, None)
        gone.difference_update(there, refused)
        gone.update(page.removed)
        rejected.update(refused)
    table = last_of_each(pa.concat_tables([page.items for page in pages]))
    # Told before it was gone, or before it became what cannot be a row.
    former = gone.union(rejected)
    if former:
        ids = table.column("source_object_id")
        table = table.filter(pc.invert(pc.is_in(ids, value_set=column(sorted(former), pa.string()))))
    return Shard(
        number=number,
        table=table.combine_chunks(),
        cursor=pages[-1].cursor,
        discovered=table.num_rows + len(rejected),
        rejected=tuple(rejected.values()),
        gone=tuple(sorted(gone)),
        caught_up=pages[-1].caught_up,
    )
