"""Stage 4: merge a shard with the inventory and keep only what needs work."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mixsync_dagster.engine.context import SyncView
from mixsync_dagster.engine.filtering import VERDICT
from mixsync_dagster.model.items import Shard

ACTION = "action"
"""Column added here: what has to be done with the item."""

RETRY = "retry"
"""Column added here: whether the item is a waiting dead letter, so that this attempt is counted before it is made."""


class Action(StrEnum):
    """What has to be done with a listed item. Items that need nothing have no action and leave the shard."""

    CREATE = "create"
    REPLACE = "replace"
    MOVE = "move"
    """The content is the same, the mapped metadata may not be: fields are read again, bytes are not."""


def plan_changes(view: SyncView, shard: Shard) -> Shard:
    """Return the shard with only the rows that need work, and the inventory rows that the source no longer has.

    Without change this costs one inventory read and one comparison for the whole shard.
    """
    kept = shard.table.filter(pc.is_null(shard.table.column(VERDICT))).drop_columns([VERDICT])
    inventory = _inventory(view, shard)
    removed = _removed(view, shard, kept, inventory)
    if shard.span is None:
        shard = replace(shard, listed=shard.table.select(["source_object_id"]))
    if _same(kept, inventory):
        return replace(shard, table=_with_actions(kept.slice(0, 0), []), unchanged=kept.num_rows, removed=removed)
    actions = _actions(view, kept, inventory)
    needing = pc.is_valid(actions)
    work = kept.filter(needing)
    planned = _with_actions(work, pc.drop_null(actions))
    planned, quarantined = _settle_dead_letters(view, planned)
    return replace(
        shard,
        table=planned,
        unchanged=kept.num_rows - work.num_rows,
        quarantined=quarantined,
        removed=removed,
    )


def _inventory(view: SyncView, shard: Shard) -> pa.Table:
    store, sync_config_id = view.tools.store, view.sync.sync_config_id
    if shard.span is not None:
        return store.inventory_span(sync_config_id, shard.span.after, shard.span.upto)
    return store.inventory_of(sync_config_id, shard.table.column("source_object_id").to_pylist())


def _same(kept: pa.Table, inventory: pa.Table) -> bool:
    if kept.num_rows != inventory.num_rows:
        return False
    names = ("source_object_id", "version", "metadata_version")
    return all(kept.column(name).equals(inventory.column(name)) for name in names)


def _actions(view: SyncView, kept: pa.Table, inventory: pa.Table) -> Any:
    """Return each row's action, null where the inventory has its version already."""
    at = pc.index_in(kept.column("source_object_id"), value_set=inventory.column("source_object_id"))
    known = pc.is_valid(at)
    same_version = _equal(kept.column("version"), pc.take(inventory.column("version"), at))
    same_metadata = _equal(kept.column("metadata_version"), pc.take(inventory.column("metadata_version"), at))
    if not view.sync.reconcile.on_update:
        same_metadata = pa.scalar(value=True)
    return pc.case_when(
        pc.make_struct(pc.invert(known), pc.invert(same_version), pc.invert(same_metadata)),
        Action.CREATE.value,
        Action.REPLACE.value,
        Action.MOVE.value,
    )


def _equal(ours: Any, theirs: Any) -> Any:
    """Return where both values are equal or both are null."""
    both_null = pc.and_(pc.is_null(ours), pc.is_null(theirs))
    return pc.or_(both_null, pc.fill_null(pc.equal(ours, theirs), fill_value=False))


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
    wanted = pc.if_else(listed, rules.on_filter_drift, rules.on_delete)
    absent = absent.filter(wanted)
    return absent if absent.num_rows else None


def _with_actions(work: pa.Table, actions: Any) -> pa.Table:
    column = actions if isinstance(actions, pa.Array | pa.ChunkedArray) else pa.array(actions, pa.string())
    return work.append_column(ACTION, column.cast(pa.string())).append_column(
        RETRY, pa.array([False] * work.num_rows, pa.bool_())
    )


def _settle_dead_letters(view: SyncView, planned: pa.Table) -> tuple[pa.Table, int]:
    """Take out items that are quarantined in this very version, and mark those that are being retried."""
    store, sync_config_id = view.tools.store, view.sync.sync_config_id
    if planned.num_rows == 0 or not store.has_open_dead_letters(sync_config_id):
        return planned, 0
    ids = planned.column("source_object_id").to_pylist()
    letters = store.dead_letters_of(sync_config_id, ids)
    if not letters:
        return planned, 0
    retry: list[bool] = []
    wanted: list[bool] = []
    for source_object_id, version in zip(ids, planned.column("version").to_pylist(), strict=True):
        letter = letters.get(source_object_id)
        current = letter is not None and letter.version == version
        retry.append(current)
        wanted.append(letter is None or not current or letter.state != "quarantined")
    marked = planned.set_column(planned.schema.get_field_index(RETRY), RETRY, pa.array(retry, pa.bool_()))
    kept = marked.filter(pa.array(wanted, pa.bool_()))
    return kept, planned.num_rows - kept.num_rows
