"""Syncs: what keeps which bucket in step with which path, as asked for, as changed and as stored."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mixsync_dagster.model.base import (
    Count,
    Description,
    Flag,
    JsonMapping,
    Metadata,
    Model,
    Text,
    UtcDatetime,
    WholeNumber,
    field_not_accepted,
    not_accepted,
)
from mixsync_dagster.model.connections import LastError
from mixsync_dagster.model.filters import FileFilters
from mixsync_dagster.model.mapping import SchemaMapping
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.provider_kinds import filters_in_words, paths_in_words
from mixsync_dagster.model.status import SYNC_MOVES, TaskStatus

INTERVAL_SECONDS = (30, 900)
"""Shortest and longest polling interval."""

_NEW_SYNC = "it cannot be changed; create a new sync and delete this one (its objects stay)."
_NOT_OFFERED = "it is not offered; choose items by file_filters and leave it out."
_ALWAYS = "it cannot be chosen and is always true, for an object exists as soon as its bytes do; leave it out."
_NOT_CHOSEN = {"ingest_filter": _NOT_OFFERED, "create_object_on_confirm": _ALWAYS}

PollingInterval = Annotated[int, WholeNumber(*INTERVAL_SECONDS, unit="seconds")]
BatchSize = Annotated[int, WholeNumber(1, 100, unit="files")]
RunCap = Annotated[int, WholeNumber(1, unit="objects")]
Concurrency = Annotated[int, WholeNumber(1, 100)]
ChunkSize = Annotated[int, WholeNumber(1, 1000, unit="objects")]
Identifier = Annotated[str, Text()]
SyncName = Annotated[
    str, Text(1, 100, pattern=r"^[A-Za-z0-9._-]+$", accepted="1 to 100 letters, digits, dots, underscores or hyphens")
]


def _only_true(flag: bool) -> bool:
    if not flag:
        raise not_accepted("true: an object exists as soon as its bytes do")
    return flag


class SyncMode(StrEnum):
    """How a sync lives; `sync_mode` keeps the word that the client used for it."""

    CONTINUOUS = "continuous"
    """Runs at once, then polls for ever."""
    ONE_TIME = "one_time"
    """Runs once and ends COMPLETED; the API also calls it initial_only."""
    SCHEDULED = "scheduled"
    """Waits for its first tick and then runs at a fixed rhythm."""

    @classmethod
    def of(cls, word: str) -> SyncMode:
        """Return the mode that a `sync_mode` word stands for. Raises ValueError for any other word."""
        return cls.ONE_TIME if word == "initial_only" else cls(word)


SyncModeWord = Literal["continuous", "one_time", "initial_only", "scheduled"]


class Reconcile(Model):
    """What a run does to objects whose items changed or went away."""

    on_delete: Flag = Field(
        default=True,
        description="Whether objects of items that are gone are removed; only ever after a complete listing "
        "without errors.",
    )
    on_update: Flag = Field(
        default=True,
        description="Whether objects follow changes of their item's metadata; changed content always replaces.",
    )
    on_filter_drift: Flag = Field(
        default=True, description="Whether objects whose items no longer pass the filters are removed."
    )
    re_extract_on_update: Flag = Field(
        default=True,
        description="Whether objects that were replaced go into a batch again: they always do, so only true.",
    )
    re_extract_fields: tuple[Annotated[str, Text(1, 100)], ...] | None = Field(
        default=None,
        description="Fields whose change alone calls for a batch again; a choice is not offered, so only None: any.",
    )


class _SyncSettings(Model):
    """What is asked for and stored alike."""

    connection_id: Annotated[str, Text(accepted="the id or name of a connection")] = Field(
        description="Connection to read with, by id or name; it must exist.", examples=["conn_abc123", "media-s3"]
    )
    source_path: Annotated[
        str, Text(accepted="a path at the provider, such as bucket/prefix, a folder id, /sites/Site or DB.SCHEMA.TABLE")
    ] = Field(
        description=f"What to sync. {paths_in_words()}",
        examples=["my-bucket/videos", "0AH-Xabc123", "PROD.PUBLIC.CUSTOMERS"],
    )
    sync_mode: SyncModeWord = Field(
        default="continuous",
        description="continuous (at once, then polling), one_time or its other name initial_only (once), or scheduled "
        "(from the first tick on, at a fixed rhythm).",
    )
    file_filters: FileFilters | None = Field(
        default=None, description="Which files are taken. None: all files under the source path."
    )
    schema_mapping: SchemaMapping | None = Field(
        default=None,
        description="How values become fields and blobs. None: the provider's default, the file as blob content "
        "(snowflake: every column as a field).",
    )
    polling_interval_seconds: PollingInterval = Field(
        default=300, description="Seconds between looks for changes, 30 to 900; not used by one_time."
    )
    batch_size: BatchSize = Field(default=50, description="Files that are fetched and committed as one unit, 1 to 100.")
    skip_batch_submission: Flag = Field(
        default=False, description="Whether objects are created without handing them over for processing in batches."
    )
    skip_duplicates: Flag = Field(
        default=True, description="Whether files whose bytes the bucket already has under another identity are skipped."
    )
    reconcile: Reconcile = Field(
        default_factory=Reconcile, description="What a run does to objects whose items changed or went away."
    )
    sync_from: UtcDatetime | None = Field(
        default=None,
        description="Items last modified before this moment are left alone, ISO 8601; without an offset it is UTC. "
        "None: everything is synced.",
    )
    provider_filters: JsonMapping | None = Field(
        default=None,
        description=f"Narrows the provider's listing itself, before file_filters. {filters_in_words()}. "
        "None: nothing is narrowed.",
        examples=[{"prefix": "videos/"}],
    )
    batch_collection_ids: tuple[Identifier, ...] | None = Field(
        default=None,
        description="Collections that batches are for; an embedded bucket has none and takes only None. None: the "
        "destination decides.",
    )
    description: Description | None = Field(
        default=None, description="What the sync is for, up to 500 characters. None: no description."
    )
    max_objects_per_run: RunCap = Field(
        default=100_000, description="Objects after which a run stops, keeps its place and is due again, 1 or more."
    )
    sync_concurrency: Concurrency | None = Field(
        default=None,
        description="Files that are transferred at the same time at most, 1 to 100. None: as many as make it faster, "
        "found by trying.",
    )

    @property
    def mode(self) -> SyncMode:
        """The mode that the client's word stands for."""
        return SyncMode.of(self.sync_mode)


class SyncCreateRequest(_SyncSettings):
    """A sync to create."""

    refused_keys: ClassVar[Mapping[str, str]] = _NOT_CHOSEN

    name: SyncName | None = Field(
        default=None,
        description="Name of the sync, unique, 1 to 100 letters, digits, dots, underscores or hyphens. None: made from "
        "the source path.",
    )
    metadata: Metadata | None = Field(
        default=None, description="Tags of your own, at most 50 keys with JSON values. None: no tags."
    )


class SyncUpdateRequest(Model):
    """Changes of a sync; what is left out (or null) stays. They count from the next run on."""

    refused_keys: ClassVar[Mapping[str, str]] = {
        **_NOT_CHOSEN,
        **dict.fromkeys(("connection_id", "source_path", "sync_mode", "file_filters", "skip_duplicates"), _NEW_SYNC),
    }

    description: Description | None = Field(
        default=None, description="New description, up to 500 characters; an empty text clears it. None: kept."
    )
    metadata: Metadata | None = Field(
        default=None, description="New tags, which replace the old ones as a whole, at most 50 keys. None: kept."
    )
    status: TaskStatus | None = Field(
        default=None, description="New status; paused stands for SUSPENDED. Prefer pause and resume. None: kept."
    )
    is_active: Flag | None = Field(default=None, description="false pauses, true resumes, at once. None: kept.")
    polling_interval_seconds: PollingInterval | None = Field(
        default=None, description="New interval in seconds, 30 to 900. None: kept."
    )
    batch_size: BatchSize | None = Field(default=None, description="New unit size in files, 1 to 100. None: kept.")
    schema_mapping: SchemaMapping | None = Field(
        default=None, description="New mapping, which replaces the old one as a whole. None: kept."
    )
    skip_batch_submission: Flag | None = Field(default=None, description="Whether batches are left out. None: kept.")
    batch_collection_ids: tuple[Identifier, ...] | None = Field(
        default=None, description="New collections for batches; an empty list clears them. None: kept."
    )
    max_objects_per_run: RunCap | None = Field(default=None, description="New cap, 1 or more. None: kept.")
    sync_concurrency: Concurrency | None = Field(default=None, description="New width, 1 to 100. None: kept.")
    reconcile: Reconcile | None = Field(
        default=None, description="New rules, which replace the old ones as a whole. None: kept."
    )
    provider_filters: JsonMapping | None = Field(
        default=None, description="New narrowing, which replaces the old one; an empty mapping clears it. None: kept."
    )

    @model_validator(mode="after")
    def _check_change(self) -> Self:
        if not any(value is not None for _, value in self):
            raise not_accepted("at least one of the keys " + ", ".join(self.accepted_keys()))
        if self.status is not None and self.status not in SYNC_MOVES:
            raise field_not_accepted("status", self.status, "one of " + ", ".join(sorted(SYNC_MOVES)))
        if (self.is_active, self.status) in ((True, TaskStatus.SUSPENDED), (False, TaskStatus.ACTIVE)):
            accepted = "the value that fits the status, or only one of the two"
            raise field_not_accepted("is_active", self.is_active, accepted)
        return self

    @property
    def active(self) -> bool | None:
        """Whether the sync is to be resumed (true) or paused (false); None when it is to stay as it is."""
        if self.is_active is None and self.status in (TaskStatus.ACTIVE, TaskStatus.SUSPENDED):
            return self.status is TaskStatus.ACTIVE
        return self.is_active

    def changes(self) -> dict[str, Any]:
        """Return the new values of configuration fields as JSON values; `status` and `is_active` are not among them."""
        dumped = self.model_dump(mode="json", exclude={"status", "is_active"})
        given = {name: dumped[name] for name in dumped if getattr(self, name) is not None}
        for clearable in ("description", "batch_collection_ids", "provider_filters"):
            if clearable in given:
                given[clearable] = given[clearable] or None
        return given


class SyncConfiguration(_SyncSettings):
    """A stored sync with its live status and counters. Counters only grow; times are UTC."""

    sync_config_id: Identifier = Field(description="Id of the sync (sync_...).")
    name: SyncName = Field(description="Name of the sync, unique.")
    bucket_id: Identifier = Field(description="Bucket that the sync fills.")
    internal_id: Identifier = Field(description="Id of the organisation (int_...).")
    namespace_id: Identifier = Field(description="Namespace that owns the bucket (ns_...).")
    created_by_user_id: Identifier = Field(description="Who created it (usr_...).")
    source_type: ProviderType | None = Field(
        default=None, description="Provider of the connection. None: not looked up yet."
    )
    metadata: Metadata = Field(default_factory=dict, description="The user's tags, at most 50 keys.")
    create_object_on_confirm: Annotated[Flag, AfterValidator(_only_true)] = Field(
        default=True, description="Always true: an object exists as soon as its bytes do."
    )
    batch_chunk_size: ChunkSize = Field(default=100, description="Objects of a batch for processing, 1 to 1000.")
    max_batch_chunk_size: ChunkSize = Field(default=1000, description="Ceiling of batch_chunk_size, 1 to 1000.")
    resume_enabled: Flag = Field(default=True, description="Whether a run goes on where an interrupted one stopped.")
    resume_checkpoint_frequency: Annotated[int, WholeNumber(100, 10_000, unit="objects")] = Field(
        default=1000, description="Objects after which progress is committed at the latest, 100 to 10000."
    )
    status: TaskStatus = Field(
        default=TaskStatus.PENDING,
        description="PENDING before the first run, ACTIVE, SUSPENDED while paused, COMPLETED or COMPLETED_WITH_ERRORS "
        "after a one-time run, FAILED after a failed one.",
    )
    is_active: Flag = Field(default=True, description="Whether the sync starts runs by itself.")
    total_files_discovered: Count = Field(default=0, description="Items found, over all runs.")
    total_files_synced: Count = Field(default=0, description="Items synced, over all runs.")
    total_files_failed: Count = Field(default=0, description="Items out of retries, over all runs.")
    total_bytes_synced: Count = Field(default=0, description="Bytes transferred, over all runs.")
    created_at: UtcDatetime = Field(description="When it was created.")
    updated_at: UtcDatetime = Field(description="When its configuration was changed last.")
    last_sync_at: UtcDatetime | None = Field(
        default=None, description="Start of the last successful run. None: none was successful yet."
    )
    next_sync_at: UtcDatetime | None = Field(
        default=None, description="When it is due. None: never (paused, or a finished one-time sync)."
    )
    last_error: LastError | None = Field(
        default=None, description="Why the last run failed, cut to 1000 characters. None: it did not."
    )
    consecutive_failures: Count = Field(
        default=0, description="Failed runs since the last success; at 5 the sync is suspended."
    )
    locked: Flag = Field(default=False, description="Whether a run holds the lock.")
    locked_by_worker_id: Identifier | None = Field(default=None, description="Who holds the lock. None: nobody.")
    locked_at: UtcDatetime | None = Field(default=None, description="When the lock was taken. None: it is free.")
    lock_expires_at: UtcDatetime | None = Field(
        default=None, description="When the lock may be taken over. None: it is free."
    )
    paused: Flag = Field(default=False, description="Whether it is paused.")
    pause_reason: Annotated[str, Text(0)] | None = Field(default=None, description="Why it is paused. None: it is not.")
    paused_at: UtcDatetime | None = Field(default=None, description="When it was paused. None: it is not.")
    paused_by_user_id: Identifier | None = Field(default=None, description="Who paused it. None: nobody did.")
    pending_full_sync: Flag = Field(
        default=False, description="Whether a full run was asked for while a run held the lock."
    )
    current_sync_run_id: Identifier | None = Field(default=None, description="Current or last run. None: it never ran.")
    sync_run_counter: Count = Field(default=0, description="Runs started.")
    batch_ids: tuple[Identifier, ...] = Field(default=(), description="Batches made by this sync.")
    task_ids: tuple[Identifier, ...] = Field(default=(), description="Tasks that process those batches.")
    batches_created: Count = Field(default=0, description="How many batches were made.")
    resume_cursor: Identifier | None = Field(
        default=None, description="Where an unfinished listing goes on. None: none is unfinished."
    )
    resume_last_primary_key: Identifier | None = Field(
        default=None, description="Last key of an unfinished table scan. None: none is unfinished."
    )
    resume_objects_processed: Count = Field(default=0, description="Objects processed by the current or last run.")

    @property
    def effective_batch_chunk_size(self) -> int:
        """Objects of a batch: batch_chunk_size, capped by max_batch_chunk_size."""
        return min(self.batch_chunk_size, self.max_batch_chunk_size)


def sync_name_for(source_path: str, taken: Collection[str] = ()) -> str:
    """Return a name made from the source path: its letters and digits with hyphens between, numbered when taken."""
    stem = re.sub(r"[^A-Za-z0-9._]+", "-", source_path).strip("-._")[:90].rstrip("-._") or "sync"
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


def new_sync(
    request: SyncCreateRequest,
    *,
    sync_config_id: str,
    bucket_id: str,
    connection_id: str,
    internal_id: str,
    namespace_id: str,
    created_by_user_id: str,
    source_type: ProviderType,
    now: datetime,
    taken_names: Collection[str] = (),
) -> SyncConfiguration:
    """Return the sync to store, PENDING and due now (`scheduled`: one interval later).

    `connection_id` is the id, where the request may hold a name. Whether ids exist is the caller's to check.
    """
    settings = request.model_dump(exclude={"name", "metadata", "connection_id"})
    wait = timedelta(seconds=request.polling_interval_seconds if request.mode is SyncMode.SCHEDULED else 0)
    return SyncConfiguration.model_validate(
        {
            **settings,
            "sync_config_id": sync_config_id,
            "name": request.name or sync_name_for(request.source_path, taken_names),
            "metadata": request.metadata or {},
            "bucket_id": bucket_id,
            "connection_id": connection_id,
            "internal_id": internal_id,
            "namespace_id": namespace_id,
            "created_by_user_id": created_by_user_id,
            "source_type": source_type,
            "created_at": now,
            "updated_at": now,
            "next_sync_at": now + wait,
        }
    )


def updated_sync(sync: SyncConfiguration, update: SyncUpdateRequest, *, now: datetime) -> SyncConfiguration:
    """Return the sync with the update's configuration changes; status and activity are the caller's to move."""
    return SyncConfiguration.model_validate({**sync.model_dump(), **update.changes(), "updated_at": now})
