"""How far a run came: counters, checkpoints, outcomes, and what one commit carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa

from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.model.objects import PutResult

INVENTORY_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("source_object_id", pa.string(), nullable=False),
        pa.field("object_id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("metadata_version", pa.string(), nullable=True),
        pa.field("size_bytes", pa.int64(), nullable=True),
    ]
)
"""Columns of an inventory read, in the order of source_object_id by code point."""

REFUSAL_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("source_object_id", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("metadata_version", pa.string(), nullable=True),
        pa.field("rules", pa.string(), nullable=False),
    ]
)
"""Columns of refusals, in the order of source_object_id by code point where they are read; see `Refusal`."""


class Outcome(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    INTERRUPTED = "interrupted"
    """Stopped before its end by a signal, an outage or a lost lock; the next run resumes."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Another worker held the sync."""


class Trigger(StrEnum):
    """Why a run was started."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Counters:
    """What a run, or a part of it, did.

    All are counts of items but `bytes`, `batches_created` and `rate_limit_hits`.
    """

    discovered: int = 0
    """Entries listed under the source path, before file filters."""
    filtered: Mapping[str, int] = field(default_factory=dict)
    """Entries taken out by file filters, by reason."""
    created: int = 0
    replaced: int = 0
    moved: int = 0
    unchanged: int = 0
    removed: int = 0
    duplicates: int = 0
    """Items whose bytes the bucket already had under another identity."""
    quarantined: int = 0
    """Items left alone because they are out of retries, or discarded, and did not change."""
    failed: int = 0
    """Items whose attempt failed in this run."""
    bytes: int = 0
    """Content bytes transferred."""
    batches_created: int = 0
    rate_limit_hits: int = 0

    def __add__(self, other: Counters) -> Counters:
        """Return the sum, reason by reason."""
        filtered = dict(self.filtered)
        for reason, count in other.filtered.items():
            filtered[reason] = filtered.get(reason, 0) + count
        numbers = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "filtered"}
        return replace(self, filtered=filtered, **numbers)

    def as_dict(self) -> dict[str, Any]:
        """Return the counters as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Counters:
        """Return the counters whose `as_dict()` this is; unknown keys are ignored, absent ones are zero."""
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in known})


class PassKind(StrEnum):
    """How a run finds what changed."""

    FULL_LISTING = "full_listing"
    CHANGE_FEED = "change_feed"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Durable progress of a sync; written only together with the effects that it covers.

    `pass_number` counts passes over the source; a resumed run continues the pass of the interrupted one. `cursor` is
    the position after the last shard whose work is committed, None at the start. `complete_so_far` is False as soon
    as any part of the scope could not be listed: such a pass may not remove anything.
    """

    pass_number: int
    kind: PassKind
    cursor: str | None = None
    feed_head: str | None = None
    """Feed position taken before this pass's listing began; becomes the feed's cursor when the pass is complete."""
    shards_done: int = 0
    objects_processed: int = 0
    """Items worked on by the current run, for its cap; not the pass's."""
    complete_so_far: bool = True
    listed_to_end: bool = False
    """The listing reached its end and every shard of it is committed."""


REMOVAL = ""
"""Version of an intent that announces a removal; no provider says an empty one."""


@dataclass(frozen=True, slots=True)
class Intent:
    """Announces a put, or a removal, whose outcome is not recorded yet."""

    object_id: str
    source_object_id: str
    version: str


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt at an item; becomes or updates its dead letter."""

    item: SourceItem
    error_type: str
    message: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """An item that the sync's metadata filters took out, and in which state of both it was asked."""

    source_object_id: str
    version: str
    metadata_version: str | None
    rules: str
    """Digest of the filters; another one says that the answer is no longer known."""


MAX_RETRIES = 3
"""Retries after the first try; a failure after the last one quarantines the item."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What is known of an item kept aside. `state`: waiting, quarantined, resolved or discarded."""

    dead_letter_id: str
    sync_config_id: str
    source_object_id: str
    source_path: str
    version: str
    state: str
    retry_count: int
    """Retries made after the first try; at 3 a further failure quarantines the item."""
    error_type: str
    error_message: str
    first_seen_at: datetime
    last_seen_at: datetime
    last_reattempt_at: datetime | None = None
    requeued_at: datetime | None = None
    resolved_at: datetime | None = None
    sync_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything one transaction records: the effects, and how far they reach. Empty parts write nothing."""

    placed: Sequence[PutResult] = ()
    moved: Sequence[PutResult] = ()
    """Metadata-only changes: fields and path are updated, blobs stay."""
    failed: Sequence[Failure] = ()
    vanished: Sequence[str] = ()
    """Source object ids that are gone or need nothing: intents and open dead letters close, the inventory stays."""
    missing: Sequence[str] = ()
    """Source object ids of the inventory that this pass did not find; candidates for removal at its end."""
    listed: Sequence[str] = ()
    """Source object ids that an unordered listing found in the checkpoint's pass; what no commit names is gone."""
    refused: Sequence[Refusal] = ()
    """What the metadata filters took out: remembered until the item is placed or moved; intents and open dead letters
    close, the inventory stays."""
    forgotten: Sequence[str] = ()
    """Source object ids whose refusal, if there is one, says nothing any more."""
    for_batches: bool = True
    """Whether placed objects become members of a batch later."""
    checkpoint: Checkpoint | None = None
    counters: Counters = field(default_factory=Counters)
    """What this commit adds to the run's counters."""


WORKER_GONE = "the run's worker is gone"
"""How the error of a run begins that did not end by itself."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One execution of a sync, as it is listed."""

    sync_run_id: str
    sync_config_id: str
    status: str
    """`running` or an Outcome."""
    trigger: str
    started_at: datetime
    completed_at: datetime | None
    counters: Counters
    error: str | None
    dagster_run_id: str | None = None
    worker_id: str | None = None
