"""Items that the metadata filters refused: remembered, so that a pass without change reads no attributes again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mixsync_dagster.engine.context import SyncView
from mixsync_dagster.model.columns import column, equal_or_both_null
from mixsync_dagster.model.items import Shard
from mixsync_dagster.model.progress import REFUSAL_SCHEMA, Refusal


@dataclass(frozen=True, slots=True)
class Recalled:
    """Rows that need work, parted by what is known of them."""

    asked: pa.Table
    """Rows whose attributes, if there are filters on them, are not known to be refused."""
    refused: pa.Table
    """Rows that were refused before in this very version and under these very rules."""
    forgotten: pa.Table | None
    """As in Shard.forgotten."""


def recall_refusals(view: SyncView, shard: Shard, work: pa.Table) -> Recalled:
    """Part the shard's rows that need work. Costs one query, and none when the sync has no metadata filters."""
    if not view.metadata_filters:
        return Recalled(work, work.slice(0, 0), None)
    store, sync_config_id = view.tools.store, view.sync.sync_config_id
    ids = work.column("source_object_id")
    forgotten = None
    if shard.span is None:
        known = store.refusals_of(sync_config_id, ids.to_pylist())
    else:
        known = store.refusals_span(sync_config_id, shard.span.after, shard.span.upto)
        idle = pc.invert(pc.is_in(known.column("source_object_id"), value_set=ids))
        forgotten = known.filter(idle).select(["source_object_id"])
    if known.num_rows == 0:
        return Recalled(work, work.slice(0, 0), None)
    same = _same(refusals_from(view, work), known)
    return Recalled(work.filter(pc.invert(same)), work.filter(same), forgotten or None)


def refusals_from(view: SyncView, items: pa.Table) -> pa.Table:
    """Return listed items as rows of REFUSAL_SCHEMA, under the rules of now."""
    # What cannot be read is refused without being asked, and is asked once it can be read, in the same version.
    rules = [
        view.metadata_rules if reason is None else f"{view.metadata_rules} {reason}"
        for reason in items.column("unreadable").to_pylist()
    ]
    named = items.select(REFUSAL_SCHEMA.names[:-1])
    return named.append_column(REFUSAL_SCHEMA.field("rules"), column(rules, pa.string()))


def refusals_in(table: pa.Table | None) -> Sequence[Refusal]:
    """Return the rows of a table of REFUSAL_SCHEMA; None has none."""
    if table is None:
        return ()
    columns = [table.column(name).to_pylist() for name in REFUSAL_SCHEMA.names]
    return [Refusal(*row) for row in zip(*columns, strict=True)]


def with_refused(verdicts: Mapping[str, int], count: int) -> Mapping[str, int]:
    """Return the verdicts with this many more refusals."""
    if not count:
        return verdicts
    return {**verdicts, "metadata_filters": verdicts.get("metadata_filters", 0) + count}


def _same(ours: pa.Table, known: pa.Table) -> Any:
    at = pc.index_in(ours.column("source_object_id"), value_set=known.column("source_object_id"))
    same = pc.is_valid(at)
    for name in ("version", "metadata_version", "rules"):
        same = pc.and_(same, equal_or_both_null(ours.column(name), pc.take(known.column(name), at)))
    return same
