"""Stage 5: read attributes of planned items where they are asked for, and extract the objects' fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mixsync_dagster.engine.attributes import metadata_test
from mixsync_dagster.engine.context import SyncView
from mixsync_dagster.engine.fields import Attributes
from mixsync_dagster.engine.refusals import refusals_from, with_refused
from mixsync_dagster.engine.stages import stage
from mixsync_dagster.errors import ItemError, ItemVanished, MappingFailed
from mixsync_dagster.model.columns import column
from mixsync_dagster.model.items import Shard, SourceItem, items_of
from mixsync_dagster.ports.provider import AttributeSource

FIELDS = "fields"
"""Column added here: the object's fields as a JSON object; null when the mapping failed."""

LINKS = "links"
"""Column added here: the URLs of the object's blobs as a JSON object by property; null without one."""

ERROR_TYPE = "error_type"
ERROR_MESSAGE = "error_message"
PERMANENT = "permanent"
"""Columns added here: the reason class, sentence and permanence of a failure; null without one."""

ATTRIBUTE_THREADS = 32
"""Attribute requests at once: they carry no content, so that latency is all there is to hide."""

_NO_ATTRIBUTES: Attributes = {}


@dataclass(frozen=True, slots=True)
class _Mapped:
    fields: str | None = None
    links: str | None = None
    error: ItemError | None = None
    filtered: bool = False


@stage("map_schema")
def map_schema(view: SyncView, shard: Shard) -> Shard:
    """Return the shard with each planned item's fields, or with the reason why they could not be made.

    Items that fail the sync's metadata filters leave the shard with the verdict `metadata_filters` and are noted as
    refused; those that have an object join what is to be removed where the sync says so. One request per kind of
    attribute and item is made, and only when the mapping or a filter names that kind.
    """
    table = shard.table
    if table.num_rows == 0 or not (view.mapping.asks or view.metadata_filters):
        return replace(shard, table=_with_results(table, [_Mapped("{}")] * table.num_rows))
    results = _map_items(view, list(items_of(table)))
    passed = column([not one.filtered for one in results], pa.bool_())
    refused = table.filter(pc.invert(passed))
    return replace(
        shard,
        table=_with_results(table, results).filter(passed),
        verdicts=with_refused(shard.verdicts, refused.num_rows),
        removed=_with_drifted(view, shard, refused),
        refused=refusals_from(view, refused) if refused.num_rows else None,
    )


def _with_drifted(view: SyncView, shard: Shard, refused: pa.Table) -> pa.Table | None:
    """Return what is to be removed, with the inventory rows of items that the metadata filters no longer accept."""
    if refused.num_rows == 0 or not view.sync.reconcile.on_filter_drift:
        return shard.removed
    ids = refused.column("source_object_id").to_pylist()
    drifted = view.tools.store.inventory_of(view.sync.sync_config_id, ids)
    if drifted.num_rows == 0:
        return shard.removed
    return drifted if shard.removed is None else pa.concat_tables([shard.removed, drifted])


def _map_items(view: SyncView, items: Sequence[SourceItem]) -> list[_Mapped]:
    if not view.attribute_kinds:
        return [_map_one(view, item, _NO_ATTRIBUTES) for item in items]
    cap = view.sync.sync_concurrency or ATTRIBUTE_THREADS
    with ThreadPoolExecutor(min(cap, ATTRIBUTE_THREADS, len(items)), thread_name_prefix="attributes") as pool:
        return list(pool.map(lambda item: _read_and_map(view, item), items))


def _read_and_map(view: SyncView, item: SourceItem) -> _Mapped:
    source = view.tools.provider
    if item.unreadable is not None or not isinstance(source, AttributeSource):
        return _map_one(view, item, _NO_ATTRIBUTES)
    try:
        attributes = view.tools.pacer.call(lambda: source.read_attributes(item, view.attribute_kinds))
    except ItemError as error:
        return _Mapped(error=error)
    return _map_one(view, item, attributes)


def _map_one(view: SyncView, item: SourceItem, attributes: Attributes) -> _Mapped:
    if not metadata_test(view.metadata_filters, attributes):
        return _Mapped(filtered=True)
    try:
        fields, links = view.mapping.fields_of(item, attributes), view.mapping.links_of(attributes)
        return _Mapped(fields=_as_json(fields), links=_as_json(links) if links else None)
    except ItemError as error:
        return _Mapped(error=error)


def _as_json(fields: Mapping[str, Any]) -> str:
    # Written with every character as it is, so that a value which no store can take is found here, at its item.
    try:
        text = json.dumps(fields, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        reason = f"its fields cannot be written as JSON ({error})."
        raise MappingFailed(reason, error_type="validation_error") from error
    return text


def _with_results(table: pa.Table, results: Sequence[_Mapped]) -> pa.Table:
    errors = [one.error for one in results]
    columns: dict[str, Any] = {
        FIELDS: column([one.fields for one in results], pa.string()),
        LINKS: column([one.links for one in results], pa.string()),
        ERROR_TYPE: column([None if e is None else e.error_type for e in errors], pa.string()),
        ERROR_MESSAGE: column([None if e is None else str(e) for e in errors], pa.string()),
        PERMANENT: column([None if e is None else e.permanent for e in errors], pa.bool_()),
    }
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table


def is_vanished(error_type: str | None) -> bool:
    """Return whether a failure means that the item is gone since it was listed."""
    return error_type == ItemVanished.error_type
