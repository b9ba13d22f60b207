"""Stage 3: evaluate the file filters on whole columns and count the verdicts."""

from __future__ import annotations

from dataclasses import replace

from mixsync_dagster.engine.context import SyncView
from mixsync_dagster.engine.stages import stage
from mixsync_dagster.model.items import Shard

VERDICT = "verdict"
"""Column added here: null for a row that passes, else the reason it was filtered out."""


@stage("filter_items")
def filter_items(view: SyncView, shard: Shard) -> Shard:
    """Return the shard with a verdict for every row and the verdicts counted.

    Rows stay, since an item that no longer passes is told from one that is gone only by being listed.
    """
    verdicts = view.filters.verdicts(shard.table)
    counts = {
        entry["values"]: entry["counts"] for entry in verdicts.value_counts().to_pylist() if entry["values"] is not None
    }
    return replace(shard, table=shard.table.append_column(VERDICT, verdicts), verdicts=counts)
