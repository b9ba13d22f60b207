"""Bodies that only the API takes; those of connections and syncs are the model's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from mixsync_dagster.model.base import Description, Flag, Metadata, Model, Text, UtcDatetime, WholeNumber, not_accepted
from mixsync_dagster.model.buckets import BucketSchema
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.status import TaskStatus

Name = Annotated[str, Text(1, 100)]
PathPrefix = Annotated[str, Text(1, 1024)]
MAX_ERROR_TYPES = 100


def _some(types: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(types) <= MAX_ERROR_TYPES:
        raise not_accepted(f"a list of 1 to {MAX_ERROR_TYPES} reason classes")
    return types


ErrorTypes = Annotated[tuple[Name, ...], AfterValidator(_some)]


class ListConnectionsRequest(Model):
    """Which connections are listed; every filter that is given has to fit."""

    provider_type: ProviderType | None = Field(default=None, description="Only of this provider. None: any.")
    status: TaskStatus | None = Field(
        default=None, description="Only in this status; archived ones are never listed. None: any."
    )
    is_active: Flag | None = Field(default=None, description="Only those that may be used, or not. None: both.")


class ListSyncsRequest(Model):
    """Which syncs are listed; every filter that is given has to fit."""

    connection_id: Name | None = Field(default=None, description="Only of this connection, by id. None: any.")
    status: TaskStatus | None = Field(
        default=None, description="Only in this status; paused stands for SUSPENDED. None: any."
    )
    is_active: Flag | None = Field(default=None, description="Only those that start runs, or not. None: both.")


class ListJobsRequest(Model):
    """Which runs of a sync are listed."""

    status: Literal["running", "completed", "failed", "interrupted", "skipped"] | None = Field(
        default=None, description="Only in this status. None: any."
    )


class ListDeadLettersRequest(Model):
    """Which dead letters of a sync are listed."""

    only_max_retries: Flag = Field(default=False, description="Only those that are out of retries.")
    error_types: ErrorTypes | None = Field(default=None, description="Only of these reason classes. None: any.")


class RequeueRequest(Model):
    """Which dead letters are tried again; only those that are out of retries."""

    error_types: ErrorTypes | None = Field(default=None, description="Only of these reason classes. None: any.")


class BulkMarkFailedRequest(Model):
    """Which dead letters are given up."""

    error_types: ErrorTypes = Field(description="The reason classes, at least one.")


class BucketCreateRequest(Model):
    """A bucket to create; its id is made."""

    refused_keys: ClassVar[Mapping[str, str]] = {
        "unique_key": "it is not offered; an object's identity is that of its item at the provider. Leave it out.",
    }

    bucket_name: Name = Field(description="Name for people, 1 to 100 characters.", examples=["media"])
    bucket_schema: BucketSchema | None = Field(
        default=None, description="Fields and blobs of the objects. None: whatever the mappings of its syncs say."
    )
    description: Description | None = Field(default=None, description="What it is for. None: no description.")
    metadata: Metadata | None = Field(default=None, description="Tags of your own, at most 50 keys. None: no tags.")


class NoFilters(Model):
    """Lists that have no filters take an empty object, or an empty body."""


class ListObjectsRequest(Model):
    """Which objects are listed."""

    sync_config_id: Name | None = Field(
        default=None, description="Only those that this sync of the bucket wrote last, by id. None: all."
    )
    batch_id: Name | None = Field(default=None, description="Only those in this batch of the bucket. None: all.")
    source_path_prefix: PathPrefix | None = Field(
        default=None, description="Only those whose source path begins so. None: all.", examples=["films/"]
    )
    updated_after: UtcDatetime | None = Field(default=None, description="Only those changed later. None: all.")
    updated_before: UtcDatetime | None = Field(default=None, description="Only those changed earlier. None: all.")


class ListBatchesRequest(Model):
    """Which batches are listed; every filter that is given has to fit."""

    status: TaskStatus | None = Field(
        default=None, description="Only in this status: PENDING, COMPLETED or FAILED. None: any."
    )
    sync_config_id: Name | None = Field(default=None, description="Only of this sync of the bucket, by id. None: all.")
    offset: Annotated[int, WholeNumber(0, 10_000, unit="batches")] | None = Field(
        default=None, description="Batches before the page, where no cursor is given. None: the query says."
    )
    limit: Annotated[int, WholeNumber(1, 1000, unit="batches")] | None = Field(
        default=None, description="Most batches of the page. None: the query says."
    )


class SubmitBatchRequest(Model):
    """How a batch is handed over."""

    include_processing_history: Flag = Field(
        default=True, description="Accepted as the vendor's client sends it; an embedded bucket keeps no such history."
    )
