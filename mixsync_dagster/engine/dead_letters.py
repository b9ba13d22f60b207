"""Meeting a shard with the sync's dead letters: what is retried, what is left alone, what is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from mixsync_dagster.engine.context import SyncView
from mixsync_dagster.model.columns import column
from mixsync_dagster.model.items import Shard
from mixsync_dagster.model.progress import DeadLetter

RETRY = "retry"
"""Column of planned rows: whether the item is a waiting dead letter, whose attempt is counted before it is made."""

_PUT_ASIDE = ("quarantined", "discarded")


def settle_dead_letters(view: SyncView, shard: Shard, planned: Shard) -> Shard:
    """Return the planned shard without items that are put aside in this very version, and with retries marked.

    Dead letters of items of `shard`, which is what was listed, that need no work any more are named as settled. Costs
    one query when the sync has no standing dead letter.
    """
    store, sync_config_id = view.tools.store, view.sync.sync_config_id
    if not store.has_standing_dead_letters(sync_config_id):
        return planned
    tried = planned.table.column("source_object_id").to_pylist()
    tried += [one.source_object_id for one in planned.rejected]
    letters = store.dead_letters_of(sync_config_id, tried) if tried else {}
    rejected = tuple(one for one in planned.rejected if not _put_aside(letters, one.source_object_id, ""))
    table = _marked(planned.table, letters)
    left_alone = planned.table.num_rows - table.num_rows + len(planned.rejected) - len(rejected)
    settled = _settled(view, shard, tried)
    return replace(planned, table=table, rejected=rejected, quarantined=left_alone, settled=settled)


def _marked(planned: pa.Table, letters: Mapping[str, DeadLetter]) -> pa.Table:
    """Return the rows that are to be tried, each with its mark."""
    identities = zip(planned.column("source_object_id").to_pylist(), planned.column("version").to_pylist(), strict=True)
    retry: list[bool] = []
    wanted: list[bool] = []
    for source_object_id, version in identities:
        letter = letters.get(source_object_id)
        retry.append(letter is not None and letter.version == version)
        wanted.append(not _put_aside(letters, source_object_id, version))
    marked = planned.set_column(planned.schema.get_field_index(RETRY), RETRY, column(retry, pa.bool_()))
    return marked.filter(column(wanted, pa.bool_()))


def _put_aside(letters: Mapping[str, DeadLetter], source_object_id: str, version: str) -> bool:
    letter = letters.get(source_object_id)
    return letter is not None and letter.version == version and letter.state in _PUT_ASIDE


def _settled(view: SyncView, shard: Shard, tried: Sequence[str]) -> tuple[str, ...]:
    """Return dead letters whose items need nothing: gone, filtered out, or as the inventory has them."""
    store, sync_config_id = view.tools.store, view.sync.sync_config_id
    known: Iterable[str] = ()
    if shard.span is not None:
        # Only a span that was listed whole says that something is not there.
        known = store.standing_dead_letter_ids(sync_config_id, shard.span.after, shard.span.upto)
    elif shard.gone is not None:
        told = [*shard.table.column("source_object_id").to_pylist(), *shard.gone]
        known = store.dead_letters_of(sync_config_id, told) if told else ()
    return tuple(sorted(set(known).difference(tried)))
