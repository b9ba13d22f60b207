"""The harness of the bucket contract for the embedded bucket, over any blob store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixsync_dagster.buckets.embedded import EmbeddedBucket
from mixsync_dagster.testing.memory import MemoryCatalog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mixsync_dagster.buckets.blobs import BlobStore
    from mixsync_dagster.buckets.manifest import Manifests
    from mixsync_dagster.model.objects import PutResult
    from mixsync_dagster.ports.bucket import PutFailure


class RecordingHandler:
    """A BatchHandler that does what it is told once per idempotency key."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.taken: dict[str, str] = {}

    def handle(self, batch_id: str, manifest: str, *, idempotency_key: str) -> str | None:
        """Return a task id that depends on the key alone."""
        self.calls.append((batch_id, manifest, idempotency_key))
        self.taken.setdefault(idempotency_key, batch_id)
        return f"task-{idempotency_key}"


class EmbeddedHarness:
    """An embedded bucket with a catalog in memory; `open_stores` opens the same blobs and manifests every time."""

    bucket_id = "bkt_contract"

    def __init__(self, open_stores: Callable[[], tuple[BlobStore, Manifests]]) -> None:
        self.catalog = MemoryCatalog()
        self.handler = RecordingHandler()
        self._open_stores = open_stores
        self._given_up: list[EmbeddedBucket] = []
        self.bucket = self._open()

    def _open(self) -> EmbeddedBucket:
        blobs, manifests = self._open_stores()
        return EmbeddedBucket(self.bucket_id, self.catalog, blobs, manifests, self.handler)

    def commit(self, results: Sequence[PutResult | PutFailure]) -> None:
        """Record the objects in the catalog."""
        self.catalog.record(results)

    def remove(self, object_ids: Sequence[str]) -> None:
        """Delete, then tombstone."""
        self.bucket.delete_objects(object_ids)
        self.catalog.remove(object_ids)

    def reopen(self) -> None:
        """Open the same locations again; the bucket given up is closed only at the end."""
        self._given_up.append(self.bucket)
        self.bucket = self._open()

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a blob."""
        return b"".join(self.bucket.open_blob(sha256))

    def object_count(self) -> int:
        """Return how many objects the catalog has."""
        return self.catalog.count_objects(self.bucket_id)

    def submissions(self) -> list[str]:
        """Return what the handler took, once for each idempotency key."""
        return list(self.handler.taken.values())

    def close(self) -> None:
        """Close every bucket that was opened."""
        for bucket in (*self._given_up, self.bucket):
            bucket.close()
