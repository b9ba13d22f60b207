"""Meeting a shard with the sync's dead letters: what is retried, what is left alone, what is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from mixsync_dagster.engine.context import SyncView
from mixsync_dagster.model.columns import column
from mixsync_dagster.model.items import Shard
from mixsync_dagster.model.progress import DeadLetter

RETRY = "retry"
"""Column of planned rows: whether the item is a waiting dead letter, whose attempt is counted before it is made."""


def settle_dead_letters(view: SyncView, planned: Shard) -> Shard:
    """Return the planned shard without items that are quarantined in this very version, and with retries marked.

    Dead letters inside the shard's span whose items need no work any more are named as settled. Costs one query when
    the sync has no open dead letter.
    """
    store, sync_config_id = view.tools.store, view.sync.sync_config_id
    if not store.has_open_dead_letters(sync_config_id):
        return planned
    tried = planned.table.column("source_object_id").to_pylist()
    tried += [one.source_object_id for one in planned.rejected]
    letters = store.dead_letters_of(sync_config_id, tried) if tried else {}
    rejected = tuple(one for one in planned.rejected if not _quarantined(letters, one.source_object_id, ""))
    table = _marked(planned.table, letters)
    left_alone = planned.table.num_rows - table.num_rows + len(planned.rejected) - len(rejected)
    settled = _settled(view, planned, tried)
    return replace(planned, table=table, rejected=rejected, quarantined=left_alone, settled=settled)


def _marked(planned: pa.Table, letters: Mapping[str, DeadLetter]) -> pa.Table:
    """Return the rows that are to be tried, each with its mark."""
    identities = zip(planned.column("source_object_id").to_pylist(), planned.column("version").to_pylist(), strict=True)
    retry: list[bool] = []
    wanted: list[bool] = []
    for source_object_id, version in identities:
        letter = letters.get(source_object_id)
        retry.append(letter is not None and letter.version == version)
        wanted.append(not _quarantined(letters, source_object_id, version))
    marked = planned.set_column(planned.schema.get_field_index(RETRY), RETRY, column(retry, pa.bool_()))
    return marked.filter(column(wanted, pa.bool_()))


def _quarantined(letters: Mapping[str, DeadLetter], source_object_id: str, version: str) -> bool:
    letter = letters.get(source_object_id)
    return letter is not None and letter.version == version and letter.state == "quarantined"


def _settled(view: SyncView, planned: Shard, tried: Sequence[str]) -> tuple[str, ...]:
    """Return dead letters in the span whose items need nothing: gone, filtered out, or as the inventory has them."""
    # Only a span that was listed whole says that something is not there.
    if planned.span is None:
        return ()
    known = view.tools.store.open_dead_letter_ids(view.sync.sync_config_id, planned.span.after, planned.span.upto)
    return tuple(sorted(set(known).difference(tried)))
