"""The embedded bucket: objects in the catalog beside the state, bytes in a blob store, batches as Parquet manifests.

Objects become rows of the catalog in the transaction that records the run's progress (`RunStore.commit`), never here:
so there is no moment at which an object exists and the inventory does not know it, or the other way round.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from mixsync_dagster.buckets.blobs import open_blob_store
from mixsync_dagster.buckets.deciding import Deciding
from mixsync_dagster.buckets.handlers import ManifestHandler
from mixsync_dagster.buckets.manifest import manifest_tables, open_manifests
from mixsync_dagster.model.objects import PutResult, PutStatus, StoredBlob, StoredObject, SubmittedBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mixsync_dagster.buckets.blobs import BlobStore
    from mixsync_dagster.buckets.manifest import Manifests
    from mixsync_dagster.model.objects import BatchMember, Draft
    from mixsync_dagster.ports.bucket import BatchHandler
    from mixsync_dagster.ports.state import Catalog


_UNITS_AT_ONCE = 100


class EmbeddedBucket:
    """A Bucket and BlobReader over a catalog and a blob store; it owns `blobs` and closes it."""

    def __init__(
        self,
        bucket_id: str,
        catalog: Catalog,
        blobs: BlobStore,
        manifests: Manifests,
        handler: BatchHandler | None = None,
    ) -> None:
        self._bucket_id = bucket_id
        self._catalog = catalog
        self._blobs = blobs
        self._manifests = manifests
        self._handler: BatchHandler = handler if handler is not None else ManifestHandler()
        self._deciding = Deciding(bucket_id, catalog)
        self._answered: set[str] = set()
        """Contents that answered drafts count on and that may not be durable yet."""
        self._lock = threading.Lock()

    @property
    def units_at_once(self) -> int:
        """Many: a put is a look into the catalog, and costs the same for a few drafts as for hundreds."""
        return _UNITS_AT_ONCE

    @property
    def full(self) -> bool:
        """Never: bytes are where they stay."""
        return False

    @property
    def elsewhere(self) -> bool:
        """No: a commit makes and removes objects."""
        return False

    def settle(self, object_ids: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - the port's names
        """Do nothing and return nothing: objects are made by the commit that records them."""
        return ()

    def store_blob(self, chunks: Iterable[bytes]) -> StoredBlob:
        """Take the bytes into the blob store."""
        return self._blobs.store(chunks)

    def put_objects(self, drafts: Sequence[Draft], *, skip_duplicates: bool) -> Sequence[PutResult]:
        """Decide what becomes of each draft; any number of drafts, none is refused.

        The first draft with some bytes owns them, within a call as well as between calls not committed yet.
        """
        with self._lock:
            results = self._deciding.decide(drafts, skip_duplicates=skip_duplicates)
            self._answered.update(blob.sha256 for draft in drafts for blob in draft.blobs)
        return results

    def update_objects(self, drafts: Sequence[Draft]) -> Sequence[PutResult]:
        """Answer that they are: the commit writes fields and path."""
        return [PutResult(draft, PutStatus.REPLACED, draft.object_id) for draft in drafts]

    def make_durable(self) -> None:
        """Flush the bytes of all drafts answered since the last time, as one group.

        Raises StoreUnavailable when they cannot be flushed or are not held; they are asked for again then.
        """
        with self._lock:
            answered = set(self._answered)
        self._blobs.make_durable(answered)
        with self._lock:
            self._answered -= answered

    def find_objects(self, object_ids: Sequence[str]) -> Sequence[StoredObject]:
        """Return those of the objects that the catalog has as active."""
        return self._catalog.objects_by_id(object_ids)

    def delete_objects(self, object_ids: Sequence[str]) -> None:
        """Do nothing: the commit of the removals tombstones the rows, and the bytes wait for the grace period.

        Another object may have the same bytes, so they only ever go by what the catalog still refers to.
        """

    def submit_batch(self, batch_id: str, members: Iterable[BatchMember], *, idempotency_key: str) -> SubmittedBatch:
        """Write the batch's manifest, then call the handler with its location.

        A repeat finds the manifest and calls the handler with it again: what a job was started on never changes.
        """
        manifest = self._manifests.find(batch_id)
        if manifest is None:
            manifest = self._manifests.write(
                batch_id, manifest_tables(members, self._catalog.objects_by_id, self._blobs.location)
            )
        task_id = self._handler.handle(batch_id, manifest, idempotency_key=idempotency_key)
        return SubmittedBatch(batch_id=batch_id, task_id=task_id)

    def open_blob(self, sha256: str) -> Iterator[bytes]:
        """Yield the blob's bytes. Raises NotFound."""
        return self._blobs.open(sha256)

    def close(self) -> None:
        """Close the blob store."""
        self._blobs.close()


def open_embedded_bucket(
    bucket_id: str,
    catalog: Catalog,
    *,
    blobs: str | Path,
    manifests: str | Path,
    options: Mapping[str, Any] | None = None,
    handler: BatchHandler | None = None,
) -> EmbeddedBucket:
    """Open the bucket whose bytes and manifests are at these folders or object store URLs.

    `options` are the object stores' settings. Raises InvalidInput for an unknown URL, StoreUnavailable.
    """
    kept = open_manifests(manifests, options=options)
    return EmbeddedBucket(bucket_id, catalog, open_blob_store(blobs, options=options), kept, handler)
