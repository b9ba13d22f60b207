"""A cheap look whether a sync's source has changed, without a lock and without writing anything."""

from __future__ import annotations

from typing import cast

from mixsync_dagster.engine.context import SyncView, Toolbox
from mixsync_dagster.engine.filtering import filter_items
from mixsync_dagster.engine.listing import list_items
from mixsync_dagster.engine.planning import plan_changes
from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.provider import ChangeFeed, Cursor, Probe


def probe_sync(tools: Toolbox, sync: SyncConfiguration, *, deadline_seconds: float) -> Probe:
    """Return whether a run would find work, as far as can be told within the deadline.

    A provider with a change feed is asked by one call. Else CHANGED at the first item that needs work or is gone,
    NOTHING_NEW when the whole listing has none, UNKNOWN when time ran out before; the deadline is looked at between
    shards of a listing, which last two seconds at most. Raises what the provider raises.
    """
    if tools.provider.capabilities.change_feed:
        return _probe_feed(tools, sync)
    view = SyncView(tools, sync)
    ends = tools.clock.monotonic() + deadline_seconds
    for shard in list_items(view, None):
        planned = plan_changes(view, filter_items(view, shard))
        if planned.table.num_rows or planned.removed is not None:
            return Probe.CHANGED
        if shard.cursor is not None and tools.clock.monotonic() >= ends:
            return Probe.UNKNOWN
    return Probe.NOTHING_NEW


def _probe_feed(tools: Toolbox, sync: SyncConfiguration) -> Probe:
    feed = tools.store.load_feed(sync.sync_config_id)
    if feed is None:
        return Probe.CHANGED
    try:
        return cast("ChangeFeed", tools.provider).probe(Cursor(feed.cursor))
    except CursorExpired:
        # The run lists everything instead.
        return Probe.CHANGED
