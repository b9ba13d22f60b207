"""The forms of answers as the OpenAPI document tells them; further keys may come to any of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mixsync_dagster.model.syncs import SyncConfiguration


class OpenAnswer(BaseModel):
    """An answer to which keys may be added."""

    model_config = ConfigDict(extra="allow")


class Pagination(BaseModel):
    """Where a page lies."""

    total: int | None = Field(description="How many there are in all; only with include_total.")
    page: int | None = Field(description="Number of the page; null after a cursor into a list without numbers.")
    page_size: int
    total_pages: int | None = Field(description="Only with include_total.")
    next_page: str | None
    previous_page: str | None
    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.")


class Connection(OpenAnswer):
    """A connection. Its credentials are told by their type alone."""

    connection_id: str
    internal_id: str
    name: str
    provider_type: str
    provider_config: dict[str, Any] = Field(description="Settings; `credentials` holds nothing but `type`.")
    description: str | None
    status: str
    is_active: bool
    last_used_at: str | None
    last_error: str | None
    consecutive_failures: int
    created_at: str
    updated_at: str
    created_by_user_id: str
    metadata: dict[str, Any]
    write_enabled: bool


class ConnectionList(BaseModel):
    """A page of connections, newest first."""

    results: list[Connection]
    pagination: Pagination
    total: int


class ConnectionTest(BaseModel):
    """What testing a connection led to."""

    success: bool
    message: str
    details: dict[str, Any] | None


class ConnectionDeleted(BaseModel):
    """A connection was archived."""

    message: str
    connection_id: str


class Folder(BaseModel):
    """A folder of a Drive."""

    id: str
    name: str
    path: str = Field(description="What a sync gives as source_path: the path, or the id where no path leads to it.")
    mime_type: str


class FolderList(BaseModel):
    """The folders in a folder, by name, the first thousand at most."""

    results: list[Folder]
    parent_path: str


class DriveFile(OpenAnswer):
    """A file of a Drive."""

    id: str
    name: str
    mime_type: str
    size_bytes: int | None = Field(description="Null for documents of Google's editors.")
    modified_at: str | None


class FileList(OpenAnswer):
    """Some files in a folder."""

    results: list[DriveFile]
    parent_path: str
    has_more: bool


class SyncList(BaseModel):
    """A page of syncs, newest first."""

    results: list[SyncConfiguration]
    pagination: Pagination
    total: int


class Deleted(BaseModel):
    """Something was deleted."""

    message: str
    success: Literal[True]


class Triggered(BaseModel):
    """A run was asked for."""

    sync_job_id: str | None = Field(description="Id to get the job by; it is told as queued until it begins.")
    sync_config_id: str
    status: Literal["dispatched", "skipped_already_running"]
    full_sync: bool


class Unlocked(BaseModel):
    """A lock was taken away."""

    success: Literal[True]
    was_locked: bool
    previous_worker_id: str | None


class Job(OpenAnswer):
    """One run of a sync."""

    sync_job_id: str
    sync_config_id: str
    internal_id: str
    namespace_id: str
    sync_run_id: str | None
    status: Literal["running", "completed", "failed", "interrupted", "skipped"]
    trigger: str | None
    phase: str | None
    total_files: int
    files_synced: int
    files_failed: int
    files_verified: int
    started_at: str | None
    completed_at: str | None
    updated_at: str | None
    error: str | None
    progress_percent: float | None


class JobList(BaseModel):
    """A page of jobs, newest first."""

    results: list[Job]
    pagination: Pagination
    total: int


class SyncMetrics(OpenAnswer):
    """The numbers of a sync."""

    sync_config_id: str
    status: str
    is_active: bool
    paused: bool
    total_files_discovered: int
    total_files_synced: int
    total_files_failed: int
    batches_created: int
    sync_run_counter: int
    consecutive_failures: int
    last_error: str | None
    last_sync_at: str | None
    next_sync_at: str | None
    seconds_since_last_sync: int | None
    intervals_since_last_sync: float | None
    stale_after_seconds: int
    is_stale: bool
    failure_rate: float
    healthy: bool
    dlq_total: int
    dlq_by_error: dict[str, int]
    running_job: bool
    stalled: bool
    stalled_reason: str | None
    last_job: Job | None


class DeadLetterEntry(OpenAnswer):
    """An item that is kept aside."""

    dlq_id: str
    sync_config_id: str
    source_object_id: str
    source_path: str
    error_type: str
    error_message: str
    retry_count: int
    max_retries_reached: bool


class DeadLetterList(BaseModel):
    """Dead letters, by id: a thousand of them at most."""

    results: list[DeadLetterEntry]
    pagination: Pagination
    total: int


class Requeued(BaseModel):
    """How many dead letters wait again."""

    requeued: int


class MarkedFailed(BaseModel):
    """How many dead letters were given up."""

    updated: int


class Bucket(OpenAnswer):
    """A bucket."""

    bucket_id: str
    bucket_name: str
    description: str | None
    bucket_schema: dict[str, Any] | None
    metadata: dict[str, Any]
    object_count: int


class BucketList(BaseModel):
    """A page of buckets, by id."""

    results: list[Bucket]
    pagination: Pagination
    total: int
    total_count: int = Field(description="The same as total.")


class BucketObject(OpenAnswer):
    """An object; its fields stand at the root and under `fields`."""

    object_id: str
    bucket_id: str
    source_provider: str
    source_object_id: str
    source_path: str
    version: str
    fields: dict[str, Any]
    blobs: list[dict[str, Any]]
    batch_id: str | None


class ObjectList(BaseModel):
    """A page of objects, by id."""

    results: list[BucketObject]
    pagination: Pagination


class BatchAnswer(OpenAnswer):
    """A batch."""

    batch_id: str
    bucket_id: str
    sync_config_id: str
    status: str
    size: int
    object_ids: list[str] = Field(description="The first ten thousand at most; empty in lists.")


class BatchList(BaseModel):
    """A page of batches, newest first."""

    results: list[BatchAnswer]
    pagination: Pagination
    total_count: int


class Task(OpenAnswer):
    """What became of handing a batch over."""

    task_id: str = Field(description="The destination's task; the batch's own id as long as there is none.")
    task_type: Literal["api_buckets_batches_process"]
    status: Literal["PENDING", "COMPLETED", "FAILED"]
    batch_id: str


class Alive(BaseModel):
    """The server answers."""

    status: Literal["ok"]
