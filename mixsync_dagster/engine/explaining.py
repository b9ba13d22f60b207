"""Why one item is or is not in the bucket: what is remembered of it, which filters it passes, what the source says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa

from mixsync_dagster.engine.context import SyncView, Toolbox
from mixsync_dagster.errors import MixsyncError
from mixsync_dagster.model.items import ITEM_SCHEMA
from mixsync_dagster.model.mapping import default_mapping
from mixsync_dagster.model.objects import StoredObject
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.tracing import Trace, TraceStore

METADATA_FILTERS = "metadata_filters"
"""The rule of filters on attribute values, which only a run asks for."""

_NEEDS = {
    "min_size_bytes": "size_bytes",
    "max_size_bytes": "size_bytes",
    "modified_after": "modified_at",
    "modified_before": "modified_at",
    "sync_from": "modified_at",
}
"""What of an item a rule is about; the other rules are about its path, and the type that follows from it."""


class Standing(StrEnum):
    """How an item stands."""

    IN_BUCKET = "in_bucket"
    DUPLICATE = "duplicate"
    """Another object with the same bytes stands for it."""
    FILTERED = "filtered"
    FAILED = "failed"
    UNREADABLE = "unreadable"
    WAITING = "waiting"
    """It passes what can be told, and the next run takes it."""
    NOT_LISTED = "not_listed"
    """The source does not have it."""
    UNKNOWN = "unknown"
    """Nothing is remembered of it, and the source was not asked or not to its end."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the source says."""

    found: bool
    complete: bool
    """Whether everything was listed, or the item was found before."""
    size_bytes: int | None = None
    modified_at: datetime | None = None
    mime_type: str | None = None
    version: str | None = None
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class FilterResult:
    """What one rule says of an item."""

    rule: str
    passed: bool | None
    """None: it cannot be told from here."""


@dataclass(frozen=True, slots=True)
class MappedValue:
    """One entry of the schema mapping, and what it has given the object."""

    target: str
    target_type: str
    source: dict[str, Any]
    value: Any
    """The field's value, or the blob's filename, type and size; None without an object of the item's own."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item is or is not in the bucket."""

    path: str
    source_object_id: str | None
    standing: Standing
    reason: str
    """One sentence."""
    in_bucket: bool
    object_id: str | None
    version: str | None
    """The version in the bucket."""
    filtered_by: str | None
    filters: tuple[FilterResult, ...]
    mapping: tuple[MappedValue, ...]
    listed: Look | None
    """None: the source was not asked."""
    dead_letter: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        if self.listed is not None:
            moment = self.listed.modified_at
            values["listed"]["modified_at"] = None if moment is None else moment.isoformat()
        return values


def explain_item(
    tools: Toolbox,
    store: TraceStore,
    sync: SyncConfiguration,
    path_or_id: str,
    *,
    look_seconds: float | None,
) -> Explanation:
    """Return why the item at a path, or with a source object id, is or is not in the bucket. Writes nothing.

    With `look_seconds` the source is listed as well, until the item is found or the time is over; raises then what the
    provider raises. What metadata filters say is known only of items that a run has asked about.
    """
    view = SyncView(tools, sync)
    trace = store.trace_item(sync.sync_config_id, path_or_id)
    row, look = None, None
    if look_seconds is not None:
        row, look = _listed(view, {path_or_id, trace.source_object_id}, look_seconds)
        if row is not None and trace.source_object_id is None:
            trace = store.trace_item(sync.sync_config_id, row.column("source_object_id")[0].as_py())
    path = trace.path or (path_or_id if row is None else row.column("path")[0].as_py())
    filters = _filters(view, path, row, trace)
    standing, reason = next(_judgements(trace, look, filters))
    own = trace.placed if trace.duplicate_of is None else None
    return Explanation(
        path=path,
        source_object_id=trace.source_object_id if row is None else row.column("source_object_id")[0].as_py(),
        standing=standing,
        reason=reason,
        in_bucket=trace.placed is not None,
        object_id=None if trace.placed is None else trace.placed.object_id,
        version=trace.version or None,
        filtered_by=next((one.rule for one in filters if one.passed is False), None),
        filters=filters,
        mapping=tuple(_mapped(view, own)),
        listed=look,
        dead_letter=_letter(trace),
    )


def _listed(view: SyncView, wanted: set[str | None], seconds: float) -> tuple[pa.Table | None, Look]:
    """Return the item's row in the source's listing and what it says; no row when it is not found."""
    clock = view.tools.clock
    until = clock.monotonic() + seconds
    for page in view.tools.provider.list_pages(None):
        items = page.items
        paths, ids = items.column("path").to_pylist(), items.column("source_object_id").to_pylist()
        for number, (path, identifier) in enumerate(zip(paths, ids, strict=True)):
            if path in wanted or identifier in wanted:
                row = items.slice(number, 1)
                told = row.to_pylist()[0]
                names = ("size_bytes", "modified_at", "mime_type", "version", "unreadable")
                return row, Look(found=True, complete=True, **{name: told[name] for name in names})
        if page.cursor is not None and clock.monotonic() >= until:
            return None, Look(found=False, complete=False)
    return None, Look(found=False, complete=True)


def _filters(view: SyncView, path: str, row: pa.Table | None, trace: Trace) -> tuple[FilterResult, ...]:
    """Return what each rule says of the item, in the order in which a run asks."""
    known = row if row is not None else _row_of(path)
    try:
        tests = view.filters.tests
    except MixsyncError:
        # What patterns are relative to can be a question to the provider, which may be the very thing that fails.
        tests = ()
    results = []
    for rule, test in tests:
        needed = _NEEDS.get(rule)
        told = needed is None or row is not None
        results.append(FilterResult(rule, test(known).to_pylist()[0] is True if told else None))
    if view.metadata_filters:
        passed = False if trace.refused else True if trace.placed is not None else None
        results.append(FilterResult(METADATA_FILTERS, passed))
    return tuple(results)


def _row_of(path: str) -> pa.Table:
    values = dict.fromkeys(ITEM_SCHEMA.names) | {"source_object_id": "", "path": path, "version": ""}
    return pa.Table.from_pylist([values], schema=ITEM_SCHEMA)


def _judgements(trace: Trace, look: Look | None, filters: tuple[FilterResult, ...]) -> Iterator[tuple[Standing, str]]:
    """Yield everything that can be said of the item, what counts most first; never nothing."""
    refused = next((one.rule for one in filters if one.passed is False), None)
    present, letter = trace.placed is not None, trace.letter
    if look is not None and look.complete and not look.found:
        gone = "; its object is removed after the next complete pass, if the sync removes objects" if present else ""
        yield Standing.NOT_LISTED, f"The source does not list it{gone}."
    if letter is not None:
        yield Standing.FAILED, f"It failed with {letter.error_type} and is {letter.state}: {letter.error_message}"
    if look is not None and look.unreadable is not None:
        yield Standing.UNREADABLE, f"The source lists it as {look.unreadable}, and its bytes cannot be read."
    if refused is not None:
        kept = "; its object is from before, and the sync's reconcile rules decide about it" if present else ""
        yield Standing.FILTERED, f"The filter {refused} takes it out{kept}."
    if trace.duplicate_of is not None:
        told = f"Object {trace.duplicate_of} has the same bytes and stands for it, for the sync skips duplicates."
        yield Standing.DUPLICATE, told
    if present:
        newer = look is not None and look.version is not None and look.version != trace.version
        yield Standing.IN_BUCKET, "It is in the bucket" + ("; the next run replaces it." if newer else ".")
    if look is not None and look.found:
        yield Standing.WAITING, "The source lists it and no filter is known to take it out; the next run takes it."
    if look is not None:
        yield Standing.UNKNOWN, "It was not found in the time that was given to list the source."
    yield Standing.UNKNOWN, "Nothing is remembered of it; ask the source to know whether it is there."


def _mapped(view: SyncView, stored: StoredObject | None) -> Iterator[MappedValue]:
    mapping = view.sync.schema_mapping or default_mapping(ProviderType(view.tools.provider_name))
    blobs = {} if stored is None else {blob.property: blob for blob in stored.blobs}
    for target, entry in mapping.mappings.items():
        if entry.target_type == "blob":
            blob = blobs.get(entry.blob_property or target)
            value = None
            if blob is not None:
                value = {"filename": blob.filename, "mime_type": blob.mime_type, "size_bytes": blob.size_bytes}
        else:
            value = None if stored is None else stored.fields.get(target)
        source = entry.source.model_dump(mode="json", exclude_none=True)
        yield MappedValue(target, entry.target_type, source, value)


def _letter(trace: Trace) -> dict[str, Any] | None:
    letter = trace.letter
    if letter is None:
        return None
    return {
        "dead_letter_id": letter.dead_letter_id,
        "state": letter.state,
        "error_type": letter.error_type,
        "error_message": letter.error_message,
        "retry_count": letter.retry_count,
        "first_seen_at": letter.first_seen_at.isoformat(),
        "last_seen_at": letter.last_seen_at.isoformat(),
    }
