"""What is remembered of buckets that another service keeps: its ids of our objects and batches, and how batches do.

The rules of `ports.state` hold here. Nothing of this takes a lock: what a stale worker writes is either what is true
of the service anyway, or refused because another one wrote first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mixsync_dagster.ports.state import Catalog


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """An active object of the catalog and what the service calls it."""

    version: str
    remote_object_id: str


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """What is known of a sealed batch at the service."""

    remote_batch_id: str | None
    """None: none was made, or its making was cut short."""
    attempts: int
    """Submissions that were begun, this one included."""


@dataclass(frozen=True, slots=True)
class UnfinishedBatch:
    """A submitted batch whose processing has not ended as far as we know."""

    batch_id: str
    bucket_id: str
    sync_config_id: str
    remote_batch_id: str
    task_id: str | None
    polls: int


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """What the service told of a batch's processing."""

    task_status: str | None
    """The service's word, e.g. IN_PROGRESS or COMPLETED; None: it could not be asked, and the last word stands."""
    error: str | None = None
    ask_again_at: datetime | None = None
    """None: it has ended."""


class RemoteIds(Catalog, Protocol):
    """The catalog of a bucket that another service keeps."""

    def remote_objects(self, object_ids: Sequence[str]) -> Mapping[str, RemoteObject]:
        """Return those of the objects that are active and that the service has an id for."""
        ...

    def remote_batch(self, batch_id: str) -> RemoteBatch:
        """Return what is known of a sealed batch. Raises NotFound."""
        ...

    def record_remote_batch(self, batch_id: str, remote_batch_id: str, *, instead_of: str | None) -> bool:
        """Note what the service calls a batch; False, and nothing written, when another id than `instead_of` stands."""
        ...


class BatchPolls(Protocol):
    """The batches whose processing somebody has to ask about."""

    def unfinished_batches(self, *, due_at: datetime, limit: int) -> Sequence[UnfinishedBatch]:
        """Return those that are to be asked about by now, the longest due first."""
        ...

    def record_progress(self, batch_id: str, progress: BatchProgress) -> None:
        """Note what the service told, and count a poll. A batch that has ended stays as it is."""
        ...

    def task_statuses(self, sync_config_id: str) -> Mapping[str, int]:
        """Return how many of the sync's submitted batches are in each status of their processing."""
        ...
