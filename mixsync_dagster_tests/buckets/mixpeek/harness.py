"""The harness of the bucket contract for a bucket at the simulated service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixsync_dagster.buckets.mixpeek.bucket import MixpeekBucket
from mixsync_dagster.buckets.mixpeek.settings import MixpeekSettings
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.memory_hosted import MemoryRemoteIds
from mixsync_dagster.testing.mixpeek_simulator import API_KEY, NAMESPACE, MixpeekSimulator
from mixsync_dagster.transport.retry import Retrier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from mixsync_dagster.model.objects import PutResult
    from mixsync_dagster.ports.bucket import PutFailure

PROPERTIES = {
    **{f"content_{number}": {"type": "text"} for number in range(4)},
    "picture": {"type": "image"},
    "title": {"type": "string"},
}


class MixpeekHarness:
    """A bucket at a simulated service, with a catalog in memory."""

    bucket_id = "bkt_contract"

    def __init__(self, service: MixpeekSimulator, folder: Path, **settings: Any) -> None:
        self.service = service
        self.there = service.add_bucket(self.bucket_id, PROPERTIES, unique_key=settings.pop("unique_key", None))
        self.catalog = MemoryRemoteIds()
        self.clock = SimulatedClock()
        self.settings = MixpeekSettings(
            base_url=service.url,
            namespace=NAMESPACE,
            bucket=self.bucket_id,
            api_key=API_KEY,
            spool_folder=folder,
            **settings,
        )
        self._given_up: list[MixpeekBucket] = []
        self.bucket = self._open()

    def _open(self) -> MixpeekBucket:
        pacer = Retrier(self.clock, seed=0)
        return MixpeekBucket(self.bucket_id, self.catalog, self.settings, clock=self.clock, pacer=pacer)

    def commit(self, results: Sequence[PutResult | PutFailure]) -> None:
        """Record the objects in the catalog."""
        self.catalog.record(results)

    def remove(self, object_ids: Sequence[str]) -> None:
        """Delete, then tombstone."""
        self.bucket.delete_objects(object_ids)
        self.catalog.remove(object_ids)

    def reopen(self) -> None:
        """Open the same bucket again, as another process does."""
        self._given_up.append(self.bucket)
        self.bucket = self._open()

    def read(self, sha256: str) -> bytes:
        """Return the bytes that the service has in an object."""
        found = self.service.content(sha256)
        assert found is not None, "no object has these bytes"
        return found

    def object_count(self) -> int:
        """Return how many objects the service has."""
        return len(self.there.objects)

    def submissions(self) -> list[str]:
        """Return our ids of the batches that were submitted."""
        ours = {remote: batch_id for batch_id, remote in self.catalog.batches.items()}
        return [ours.get(one, one) for one, batch in self.there.batches.items() if batch.submitted_at is not None]

    def close(self) -> None:
        """Close every bucket that was opened."""
        for bucket in (*self._given_up, self.bucket):
            bucket.close()
