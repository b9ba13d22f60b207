"""The state store as lists see it: parts of long lists, filtered, ordered and counted where they are stored.

The rules of `ports.state` hold here too: a method is one transaction, times are aware UTC, any may raise
StoreUnavailable. A part is found by its place (`offset`) or by the entry before it (`after`), whose key says where it
was, so that a list goes on though that entry is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnection
from mixsync_dagster.model.objects import Batch, StoredObject
from mixsync_dagster.model.progress import DeadLetter, RunRecord
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.model.tenants import Namespace

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a list, newest first, is wanted."""

    limit: int
    offset: int = 0
    """Entries before the part, counted from `after` where it is given."""
    after: tuple[datetime, str] | None = None
    """When the entry before the part was created, and its id. None: the part is counted from the list's start."""


@dataclass(frozen=True, slots=True)
class Listed(Generic[Entry]):
    """A part of a list."""

    entries: Sequence[Entry]
    more: bool
    """Whether the list goes on behind the part."""
    total: int
    """How many entries the whole list has."""


@dataclass(frozen=True, slots=True)
class ConnectionFilter:
    """Which connections are meant; None: any."""

    provider_type: str | None = None
    status: str | None = None
    is_active: bool | None = None


@dataclass(frozen=True, slots=True)
class SyncFilter:
    """Which syncs are meant; None: any."""

    connection_id: str | None = None
    status: str | None = None
    is_active: bool | None = None


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """Which batches are meant; None: any."""

    state: str | None = None
    sync_config_id: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectFilter:
    """Which active objects are meant; None: any."""

    sync_config_id: str | None = None
    """Only those that this sync wrote last."""
    batch_id: str | None = None
    path_prefix: str | None = None
    """Only those whose source path begins so."""
    updated_after: datetime | None = None
    updated_before: datetime | None = None


class ListingStore(Protocol):
    """Parts of lists."""

    def list_connections_part(
        self, internal_id: str, wanted: ConnectionFilter, part: Part
    ) -> Listed[StorageConnection]:
        """Return connections of an organisation that are not archived, newest first."""
        ...

    def list_syncs_part(self, bucket_id: str, wanted: SyncFilter, part: Part) -> Listed[SyncConfiguration]:
        """Return syncs of a bucket, newest first, with their newest batches."""
        ...

    def list_buckets_part(
        self, within: Namespace, *, after: str | None, offset: int, limit: int
    ) -> Listed[BucketDefinition]:
        """Return a namespace's buckets, in the order of their ids."""
        ...

    def count_objects_of(self, bucket_ids: Sequence[str]) -> Mapping[str, int]:
        """Return how many active objects each of these buckets has."""
        ...

    def list_runs_part(self, sync_config_id: str, statuses: Sequence[str] | None, part: Part) -> Listed[RunRecord]:
        """Return runs in one of these statuses (None: any), newest first, told as by `ControlStore.list_runs`."""
        ...

    def list_batches_part(self, bucket_id: str, wanted: BatchFilter, part: Part) -> Listed[Batch]:
        """Return batches of a bucket, newest first."""
        ...

    def get_batch(self, batch_id: str) -> Batch:
        """Return one batch. Raises NotFound."""
        ...

    def list_objects_part(
        self, bucket_id: str, wanted: ObjectFilter, *, after: str | None, offset: int, limit: int
    ) -> tuple[Sequence[StoredObject], bool]:
        """Return active objects in the order of their ids, and whether there are more."""
        ...

    def count_objects_where(self, bucket_id: str, wanted: ObjectFilter) -> int:
        """Return how many active objects the filter takes."""
        ...

    def list_letters(
        self,
        sync_config_id: str,
        *,
        states: Sequence[str],
        error_types: Sequence[str] | None,
        limit: int,
        after: str | None = None,
    ) -> Listed[DeadLetter]:
        """Return dead letters in these states and of these reason classes (None: any), by id, after an id."""
        ...

    def count_letters(self, sync_config_id: str, *, states: Sequence[str]) -> Mapping[str, int]:
        """Return how many dead letters in these states there are of each reason class."""
        ...
