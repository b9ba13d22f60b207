"""What a run would do, found without a lock, without reading content and without writing anything."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from mixsync_dagster.engine.context import SyncView, Toolbox
from mixsync_dagster.engine.filtering import filter_items
from mixsync_dagster.engine.listing import list_items
from mixsync_dagster.engine.planning import ACTION, Action, plan_changes
from mixsync_dagster.model.columns import constant
from mixsync_dagster.model.items import SHARD_ROWS, Shard
from mixsync_dagster.model.syncs import SyncConfiguration

EXAMPLES = 5
"""Paths shown for each kind of change."""

PAGE_ROWS = 1_000
"""Entries that one listing request brings, for the estimate of requests."""


@dataclass(slots=True)
class DryRun:
    """What a run would do now."""

    complete: bool = True
    """False: the time was over before everything was listed, and the numbers are of what was."""
    discovered: int = 0
    create: int = 0
    replace: int = 0
    move: int = 0
    remove: int = 0
    unchanged: int = 0
    quarantined: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    """Entries that filters take out, or that cannot be read, by reason."""
    size_bytes: int = 0
    """Content bytes to transfer, as far as the listing tells sizes."""
    requests: int = 0
    """Requests to the provider that the run would make, about."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """A few paths for each kind of change."""


def plan_sync(tools: Toolbox, sync: SyncConfiguration, *, seconds: float | None = None) -> DryRun:
    """List the whole source path and return what a run would do now. Raises what the provider raises.

    After so many `seconds` (None: however long it takes) nothing more is listed.
    Attributes are not read, so that items which only a metadata filter would take out are counted as work unless a run
    has asked for them before.
    """
    view = SyncView(tools, sync)
    told = DryRun()
    began = tools.clock.monotonic()
    seen = array("q")
    for shard in list_items(view, None):
        planned = plan_changes(view, filter_items(view, shard))
        _add(told, view, planned)
        if planned.listed is not None:
            seen.extend(map(hash, planned.listed.column("source_object_id").to_pylist()))
        if seconds is not None and shard.cursor is not None and tools.clock.monotonic() - began >= seconds:
            told.complete = False
            break
    if told.complete and sync.reconcile.on_delete and not tools.provider.capabilities.ordered_listing:
        _add_unlisted(told, view, seen)
    return told


def _add_unlisted(told: DryRun, view: SyncView, seen: array[int]) -> None:
    """Add the inventory rows that a whole unordered listing did not name, by hashes of 64 bits of what it did."""
    store, sync_config_id = view.tools.store, view.sync.sync_config_id
    named = pa.array(seen, pa.int64())
    bounds = [None, *store.inventory_splits(sync_config_id, SHARD_ROWS), None]
    for after, upto in pairwise(bounds):
        rows = store.inventory_span(sync_config_id, after, upto)
        hashes = pa.array(map(hash, rows.column("source_object_id").to_pylist()), pa.int64())
        gone = rows.filter(pc.invert(pc.is_in(hashes, value_set=named)))
        told.remove += gone.num_rows
        _exemplify(told, "remove", gone)


def _add(told: DryRun, view: SyncView, shard: Shard) -> None:
    told.discovered += shard.discovered
    told.unchanged += shard.unchanged
    told.quarantined += shard.quarantined
    for reason, count in shard.verdicts.items():
        told.rejected[reason] = told.rejected.get(reason, 0) + count
    for one in shard.rejected:
        told.rejected[one.error_type] = told.rejected.get(one.error_type, 0) + 1
    unreadable = shard.table.filter(pc.is_valid(shard.table.column("unreadable")))
    for reason in unreadable.column("unreadable").to_pylist():
        told.rejected[reason] = told.rejected.get(reason, 0) + 1
    work = shard.table.filter(pc.is_null(shard.table.column("unreadable")))
    told.create += _note(told, work, Action.CREATE)
    told.replace += _note(told, work, Action.REPLACE)
    told.move += _note(told, work, Action.MOVE)
    if shard.removed is not None:
        told.remove += shard.removed.num_rows
        _exemplify(told, "remove", shard.removed)
    transferred = work.filter(pc.not_equal(work.column(ACTION), constant(Action.MOVE.value, pa.string())))
    told.size_bytes += pc.sum(transferred.column("size_bytes")).as_py() or 0
    told.requests += 1 + shard.discovered // PAGE_ROWS + transferred.num_rows
    told.requests += work.num_rows * len(view.attribute_kinds)


def _note(told: DryRun, work: pa.Table, action: Action) -> int:
    rows = work.filter(pc.equal(work.column(ACTION), constant(action.value, pa.string())))
    _exemplify(told, action.value, rows)
    return int(rows.num_rows)


def _exemplify(told: DryRun, kind: str, rows: pa.Table) -> None:
    shown = told.examples.setdefault(kind, [])
    shown += rows.column("path").slice(0, EXAMPLES - len(shown)).to_pylist()
