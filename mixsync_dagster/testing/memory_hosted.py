"""A catalog in memory that knows what a hosted service calls things, for tests of such buckets without a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixsync_dagster.model.objects import PutResult
from mixsync_dagster.ports.hosted import RemoteBatch, RemoteObject
from mixsync_dagster.testing.memory import MemoryCatalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime


class MemoryRemoteIds(MemoryCatalog):
    """A RemoteIds that keeps everything in dictionaries; for one thread."""

    def __init__(self) -> None:
        super().__init__()
        self.remote: dict[str, str] = {}
        """The service's ids of objects, by ours."""
        self.batches: dict[str, str] = {}
        """The service's ids of batches, by ours."""
        self.attempts: dict[str, int] = {}
        """Submissions begun, by batch; a batch that is not named may have been submitted before."""

    def record(self, results: Iterable[object], *, sync_config_id: str = "sync", at: datetime | None = None) -> None:
        """Write objects as MemoryCatalog does, and what the service calls them."""
        found = list(results)
        if at is None:
            super().record(found, sync_config_id=sync_config_id)
        else:
            super().record(found, sync_config_id=sync_config_id, at=at)
        for result in found:
            if isinstance(result, PutResult) and result.remote_object_id is not None:
                self.remote[result.object_id] = result.remote_object_id

    def remote_objects(self, object_ids: Sequence[str]) -> Mapping[str, RemoteObject]:
        """Return those that are active and that the service has an id for."""
        return {
            stored.object_id: RemoteObject(stored.version, self.remote[stored.object_id])
            for stored in self.objects_by_id(object_ids)
            if stored.object_id in self.remote
        }

    def remote_batch(self, batch_id: str) -> RemoteBatch:
        """Return what is known of any batch."""
        return RemoteBatch(self.batches.get(batch_id), self.attempts.get(batch_id, 2))

    def record_remote_batch(self, batch_id: str, remote_batch_id: str, *, instead_of: str | None) -> bool:
        """Note what the service calls a batch, unless another id stands."""
        if self.batches.get(batch_id) != instead_of:
            return False
        self.batches[batch_id] = remote_batch_id
        return True
