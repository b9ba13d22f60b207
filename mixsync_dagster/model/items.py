"""Source items: the columns of a listing, a shard of it, and one item as an object for the per-item stages.

A listing is kept as Arrow tables (one row an item) from the provider to the mapping stage; only items that need work
ever become Python objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from mixsync_dagster.model.columns import EPOCH, TIME, empty

ITEM_SCHEMA: pa.Schema = pa.schema(
    [
        # Identity that survives rename where the provider has one; names the container (S3: endpoint-id/bucket/key).
        pa.field("source_object_id", pa.string(), nullable=False),
        # Path inside the container (S3 key without bucket, library path, drive path); "/" separates folders.
        pa.field("path", pa.string(), nullable=False),
        # Changes if and only if the content changed (etag, hash, row hash).
        pa.field("version", pa.string(), nullable=False),
        # Changes if metadata that users can map (name, folder, properties) changed; null where the provider has no
        # such token.
        pa.field("metadata_version", pa.string(), nullable=True),
        pa.field("size_bytes", pa.int64(), nullable=True),
        pa.field("modified_at", TIME, nullable=True),
        # As told by the provider; null when the listing does not carry it (S3).
        pa.field("mime_type", pa.string(), nullable=True),
        # Reason class when the listing already tells that the bytes cannot be read ("archived"); null otherwise.
        pa.field("unreadable", pa.string(), nullable=True),
        # JSON object private to the provider, handed back to it with the item; null when it needs none.
        pa.field("native", pa.string(), nullable=True),
    ]
)
"""Columns of every page and shard. Times are UTC microseconds, sizes are bytes, null means unknown."""

SHARD_ROWS = 50_000
"""Rows of a full shard: about 10 MB, large enough that per-shard costs vanish, small enough to hold a few."""


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One file or row found at the provider, as the per-item stages see it."""

    source_object_id: str
    path: str
    version: str
    metadata_version: str | None = None
    size_bytes: int | None = None
    modified_at: datetime | None = None
    mime_type: str | None = None
    unreadable: str | None = None
    native: str | None = None

    @property
    def name(self) -> str:
        """The file name: what follows the last slash of the path."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """Something that was listed but cannot be a row (a key that is not valid Unicode); it becomes a dead letter."""

    source_object_id: str
    """A printable stand-in for the identity, stable from listing to listing."""
    path: str
    error_type: str
    message: str


@dataclass(frozen=True, slots=True)
class Span:
    """A range of source object ids that a listing has covered to its end: after < id <= upto.

    None as `after` means from the scope's first id, None as `upto` means to its last. Compared by code point, which
    is the byte order of UTF-8. Providers without an ordered listing report no spans.
    """

    after: str | None
    upto: str | None


@dataclass(frozen=True, slots=True)
class Shard:
    """A slice of a listing on its way through the stages.

    `table` starts with the columns of ITEM_SCHEMA; stages append their own. `verdicts` counts what the stages took
    out, by reason. `cursor` is the provider's position after the slice; None means that the listing is complete.
    """

    number: int
    table: pa.Table
    span: Span | None = None
    cursor: str | None = None
    discovered: int = 0
    verdicts: Mapping[str, int] = field(default_factory=dict)
    unchanged: int = 0
    """Items whose version the inventory already has; set by plan_changes."""
    quarantined: int = 0
    """Items left alone because they are out of retries and did not change; set by plan_changes."""
    rejected: tuple[RejectedItem, ...] = ()
    settled: tuple[str, ...] = ()
    """Source object ids of dead letters inside `span` whose items need no work any more; set by plan_changes."""
    removed: pa.Table | None = None
    """Inventory rows whose objects should go, as far as this shard alone tells; set by plan_changes.

    Columns of INVENTORY_SCHEMA. In an ordered listing: rows inside `span` that are not listed, or that the filters no
    longer accept. In an unordered one: the latter only.
    """
    listed: pa.Table | None = None
    """Every source object id of the shard, as one column, where the listing is unordered; set by plan_changes.

    What no shard of a complete pass has listed is gone.
    """
    gone: tuple[str, ...] | None = None
    """Source object ids that a change feed tells to be gone; None where the shard is a slice of a listing.

    A slice of a feed has no span, and its `cursor` is always given: the feed has no end.
    """
    caught_up: bool = False
    """Of a slice of a feed: nothing had happened after it."""
    feed_head: str | None = None
    """Of a listing that takes the place of a feed whose position was refused: where the feed goes on after it."""
    refused: pa.Table | None = None
    """Items that the metadata filters took out, to be remembered; columns of REFUSAL_SCHEMA. Set by map_schema."""
    forgotten: pa.Table | None = None
    """Source object ids inside `span`, as one column, whose remembered refusal is of no use any more.

    Set by plan_changes; None where the listing is unordered, which cannot tell.
    """

    def header(self) -> str:
        """Return everything but the tables as JSON, for a store that keeps tables as files."""
        return json.dumps(
            {
                "number": self.number,
                "span": None if self.span is None else [self.span.after, self.span.upto],
                "cursor": self.cursor,
                "discovered": self.discovered,
                "verdicts": dict(self.verdicts),
                "unchanged": self.unchanged,
                "quarantined": self.quarantined,
                "settled": self.settled,
                "gone": self.gone,
                "caught_up": self.caught_up,
                "feed_head": self.feed_head,
                "rejected": [[r.source_object_id, r.path, r.error_type, r.message] for r in self.rejected],
            }
        )

    @classmethod
    def from_header(cls, header: str, table: pa.Table, **beside: pa.Table) -> Shard:
        """Return the shard whose `header()` this is, with its tables; `beside` are those named in `TABLES_BESIDE`."""
        data: dict[str, Any] = json.loads(header)
        span = data["span"]
        return cls(
            number=data["number"],
            table=table,
            span=None if span is None else Span(span[0], span[1]),
            cursor=data["cursor"],
            discovered=data["discovered"],
            verdicts=data["verdicts"],
            unchanged=data["unchanged"],
            quarantined=data["quarantined"],
            settled=tuple(data["settled"]),
            gone=None if data["gone"] is None else tuple(data["gone"]),
            caught_up=data["caught_up"],
            feed_head=data["feed_head"],
            rejected=tuple(RejectedItem(*row) for row in data["rejected"]),
            **beside,
        )


TABLES_BESIDE = ("removed", "listed", "refused", "forgotten")
"""The fields of a shard that are tables of their own, each None when there is nothing to tell."""


def items_of(table: pa.Table) -> Iterator[SourceItem]:
    """Yield the rows of a table that holds the columns of ITEM_SCHEMA, in order."""
    columns = [_values(table.column(name)) for name in ITEM_SCHEMA.names]
    for row in zip(*columns, strict=True):
        yield SourceItem(*row)


def _values(column: pa.ChunkedArray) -> list[Any]:
    if column.type != TIME:
        values: list[Any] = column.to_pylist()
        return values
    # A fifth of the cost of pyarrow's own datetimes, for which it also imports pandas.
    return [
        None if micros is None else EPOCH + timedelta(microseconds=micros)
        for micros in column.cast(pa.int64()).to_pylist()
    ]


def empty_items() -> pa.Table:
    """Return a table of no items."""
    return empty(ITEM_SCHEMA)
