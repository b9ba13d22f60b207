"""Stage 4: merge a shard with the inventory and keep only what needs work."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mixsync_dagster.engine.context import SyncView
from mixsync_dagster.engine.dead_letters import RETRY, settle_dead_letters
from mixsync_dagster.engine.filtering import VERDICT
from mixsync_dagster.engine.refusals import recall_refusals, with_refused
from mixsync_dagster.engine.stages import stage
from mixsync_dagster.model.columns import TRUE, column, constant, equal_or_both_null, flag
from mixsync_dagster.model.items import Shard

ACTION = "action"
"""Column added here: what has to be done with the item."""


class Action(StrEnum):
    """What has to be done with a listed item. Items that need nothing have no action and leave the shard."""

    CREATE = "create"
    REPLACE = "replace"
    MOVE = "move"
    """The content is the same, the mapped metadata may not be: fields are read again, bytes are not."""


_ACTIONS = [constant(action.value, pa.string()) for action in (Action.CREATE, Action.REPLACE, Action.MOVE)]


@stage("plan_changes")
def plan_changes(view: SyncView, shard: Shard) -> Shard:
    """Return the shard with only the rows that need work, and the inventory rows that the source no longer has.

    Rows that the metadata filters refused before, in the same version and under the same filters, leave the shard with
    the verdict that they had then. Without change this costs one inventory read and one comparison for the whole shard,
    and one read of refusals where the sync has metadata filters.
    """
    kept = shard.table.filter(pc.is_null(shard.table.column(VERDICT))).drop_columns([VERDICT])
    inventory = _inventory(view, shard)
    work = _work(view, kept, inventory)
    recalled = recall_refusals(view, shard, work)
    planned = replace(
        shard,
        table=recalled.asked,
        verdicts=with_refused(shard.verdicts, recalled.refused.num_rows),
        unchanged=kept.num_rows - work.num_rows,
        removed=_removed(view, shard, _without(kept, recalled.refused), inventory),
        listed=shard.table.select(["source_object_id"]) if shard.span is None and shard.gone is None else None,
        forgotten=recalled.forgotten,
    )
    return settle_dead_letters(view, shard, planned)


def _work(view: SyncView, kept: pa.Table, inventory: pa.Table) -> pa.Table:
    """Return the rows that need work, each with its action."""
    if _same(kept, inventory):
        return _with_actions(kept.slice(0, 0), [])
    actions = _actions(view, kept, inventory)
    return _with_actions(kept.filter(pc.is_valid(actions)), pc.drop_null(actions))


def _without(kept: pa.Table, refused: pa.Table) -> pa.Table:
    if refused.num_rows == 0:
        return kept
    taken = pc.is_in(kept.column("source_object_id"), value_set=refused.column("source_object_id"))
    return kept.filter(pc.invert(taken))


def _inventory(view: SyncView, shard: Shard) -> pa.Table:
    store, sync_config_id = view.tools.store, view.sync.sync_config_id
    if shard.span is not None:
        return store.inventory_span(sync_config_id, shard.span.after, shard.span.upto)
    named = [*shard.table.column("source_object_id").to_pylist(), *(shard.gone or ())]
    return store.inventory_of(sync_config_id, named)


def _same(kept: pa.Table, inventory: pa.Table) -> bool:
    if kept.num_rows != inventory.num_rows:
        return False
    names = ("source_object_id", "version", "metadata_version")
    return all(kept.column(name).equals(inventory.column(name)) for name in names)


def _actions(view: SyncView, kept: pa.Table, inventory: pa.Table) -> Any:
    """Return each row's action, null where the inventory has its version already."""
    at = pc.index_in(kept.column("source_object_id"), value_set=inventory.column("source_object_id"))
    known = pc.is_valid(at)
    same_version = equal_or_both_null(kept.column("version"), pc.take(inventory.column("version"), at))
    known_metadata = pc.take(inventory.column("metadata_version"), at)
    same_metadata = equal_or_both_null(kept.column("metadata_version"), known_metadata)
    if not view.sync.reconcile.on_update:
        same_metadata = TRUE
    return pc.case_when(
        pc.make_struct(pc.invert(known), pc.invert(same_version), pc.invert(same_metadata)),
        *_ACTIONS,
    )


def _removed(view: SyncView, shard: Shard, kept: pa.Table, inventory: pa.Table) -> pa.Table | None:
    """Return the inventory rows read for the shard that should go, as the sync's reconcile rules say."""
    if inventory.num_rows == 0:
        return None
    ids = inventory.column("source_object_id")
    absent = inventory.filter(pc.invert(pc.is_in(ids, value_set=kept.column("source_object_id"))))
    if absent.num_rows == 0:
        return None
    # Absent rows are gone at the source, or still there and no longer accepted by the filters.
    listed = pc.is_in(absent.column("source_object_id"), value_set=shard.table.column("source_object_id"))
    rules = view.sync.reconcile
    wanted = pc.if_else(listed, flag(rules.on_filter_drift), flag(rules.on_delete))
    absent = absent.filter(wanted)
    return absent if absent.num_rows else None


def _with_actions(work: pa.Table, actions: Any) -> pa.Table:
    told = actions if isinstance(actions, pa.Array | pa.ChunkedArray) else column(actions, pa.string())
    retry = column([False] * work.num_rows, pa.bool_())
    return work.append_column(ACTION, told.cast(pa.string())).append_column(RETRY, retry)
