"""The forms of answers about what syncs did and will do: plans, explanations, reports and sums."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from mixsync_dagster.api.answers import OpenAnswer, Pagination


class Plan(OpenAnswer):
    """What a run would do now."""

    complete: bool = Field(description="False: the source was not listed to its end, and the numbers are of a part.")
    discovered: int
    create: int
    replace: int
    move: int
    remove: int
    unchanged: int
    quarantined: int
    rejected: dict[str, int] = Field(description="Entries that filters take out, or that cannot be read, by reason.")
    size_bytes: int = Field(description="Bytes to transfer, as far as the listing tells sizes.")
    requests: int = Field(description="Requests to the provider, about.")
    examples: dict[str, list[str]]


class FilterOutcome(BaseModel):
    """What one rule says of an item."""

    rule: str
    passed: bool | None = Field(description="Null: it cannot be told from what is known.")


class MappedTarget(BaseModel):
    """One entry of the schema mapping."""

    target: str
    target_type: str
    source: dict[str, Any]
    value: Any = Field(description="What it has given the object; null without an object.")


class Listed(BaseModel):
    """What the source says."""

    found: bool
    complete: bool
    size_bytes: int | None
    modified_at: str | None
    mime_type: str | None
    version: str | None
    unreadable: str | None


class Explanation(OpenAnswer):
    """Why an item is or is not in the bucket."""

    sync_config_id: str
    path: str
    source_object_id: str | None
    standing: Literal["in_bucket", "duplicate", "filtered", "failed", "unreadable", "waiting", "not_listed", "unknown"]
    reason: str = Field(description="One sentence.")
    in_bucket: bool
    object_id: str | None
    version: str | None
    filtered_by: str | None
    filters: list[FilterOutcome]
    mapping: list[MappedTarget]
    listed: Listed | None = Field(description="Null: the source was not asked.")
    dead_letter: dict[str, Any] | None


class ItemOutcome(BaseModel):
    """What a run did with one item."""

    source_object_id: str
    source_path: str
    outcome: Literal["created", "updated", "duplicate", "removed", "failed"]
    object_id: str | None
    size_bytes: int | None
    error_type: str | None
    error_message: str | None
    at: str


class RunReport(OpenAnswer):
    """What a run did, item by item; items that a later run worked on again are told by that run's report."""

    sync_run_id: str
    sync_config_id: str
    status: str
    counters: dict[str, Any] = Field(description="What the run counted, whatever came later.")
    results: list[ItemOutcome]
    pagination: Pagination


class TimeRange(BaseModel):
    """The time that numbers are of."""

    start: str
    end: str


class RunPerformance(OpenAnswer):
    """The numbers of one run."""

    sync_run_id: str
    sync_config_id: str
    started_at: str
    duration_seconds: float = Field(description="Up to now, while it is at work.")
    files_discovered: int
    files_synced: int
    files_failed: int
    bytes_synced: int
    throughput_mbps: float = Field(description="Megabytes (10^6 bytes) a second.")
    status: str
    provider_type: str


class SyncPerformance(BaseModel):
    """The newest runs of a bucket's syncs."""

    bucket_id: str
    sync_config_id: str | None
    time_range: TimeRange
    runs: list[RunPerformance]
    summary: dict[str, Any] = Field(description="Sums over all runs of the time, also over those that are not told.")


class SyncAverages(BaseModel):
    """The numbers of one sync."""

    sync_config_id: str
    provider_type: str
    avg_duration_seconds: float
    avg_throughput_mbps: float
    success_rate: float = Field(description="0 to 1, of the runs that ended; 0 without any.")
    total_files_synced: int
    total_bytes_synced: int


class SyncComparison(BaseModel):
    """The syncs of a bucket beside each other."""

    bucket_id: str
    time_range: TimeRange
    configs: list[SyncAverages]


class ErrorShare(BaseModel):
    """How often one kind of error was met."""

    error_type: str
    count: int
    percentage: float
    first_seen: str
    last_seen: str


class SyncHealthNumbers(BaseModel):
    """How one sync is."""

    sync_config_id: str
    consecutive_failures: int
    last_success_at: str | None
    last_failure_at: str | None
    failure_rate: float = Field(description="0 to 1, of the runs that ended.")


class BucketHealth(BaseModel):
    """How the syncs of a bucket are."""

    bucket_id: str
    time_range: TimeRange
    overall_health: Literal["healthy", "degraded", "unhealthy"]
    total_errors: int = Field(description="Items and whole runs that failed.")
    error_breakdown: list[ErrorShare]
    sync_health: list[SyncHealthNumbers]
    stuck_syncs: list[str]
