"""Writing to a destination bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mixsync_dagster.errors import ItemError
from mixsync_dagster.model.objects import (
    BatchMember,
    Draft,
    PutResult,
    StoredBlob,
    StoredObject,
    SubmittedBatch,
)


@dataclass(frozen=True, slots=True)
class PutFailure:
    """The destination refused one draft."""

    draft: Draft
    error: ItemError


class Bucket(Protocol):
    """One destination bucket.

    Every method may be repeated after a crash with the same arguments and the same effect.
    """

    @property
    def units_at_once(self) -> int:
        """Return how many units of the sync's `batch_size` one put may hold; 1 where a put is a request."""
        ...

    @property
    def full(self) -> bool:
        """Return whether what was stored should be put now, however little it is; False where there is always room."""
        ...

    @property
    def elsewhere(self) -> bool:
        """Return whether objects are made and deleted apart from the commits that record it: either may fail alone."""
        ...

    def settle(self, object_ids: Sequence[str]) -> Sequence[str]:
        """Make the destination agree with the catalog about objects whose last put or removal has no recorded outcome.

        Called before a run begins, after one that ended at any point. What a put made and no commit recorded is taken
        away again, unless it stands for what was recorded and is gone. Returns those that the catalog has and the
        destination has not: a removal was cut short. Raises Throttled, ConfigurationError.
        """
        ...

    def store_blob(self, chunks: Iterable[bytes]) -> StoredBlob:
        """Take the bytes, hashing on the way, and return what they are. Called from many threads at once.

        An error raised by `chunks` passes through and leaves nothing that has the content's name. The bytes need not be
        durable before `make_durable` returns. The same bytes twice are stored once. Raises StoreUnavailable when full.
        """
        ...

    def put_objects(self, drafts: Sequence[Draft], *, skip_duplicates: bool) -> Sequence[PutResult | PutFailure]:
        """Put at most `units_at_once` units of at most 100 drafts; the answer has their order.

        A draft whose object exists in its version is ALREADY_PRESENT; in another version, REPLACED with the same
        object_id. With `skip_duplicates`, a draft that is not there yet and whose every blob's bytes already belong to
        another active object of the bucket is DUPLICATE (empty blobs never are).
        """
        ...

    def update_objects(self, drafts: Sequence[Draft]) -> Sequence[PutResult | PutFailure]:
        """Give objects that exist other fields and another path, their blobs left as they are; as `put_objects`.

        The drafts have no blobs. Every answer is REPLACED or a failure.
        """
        ...

    def make_durable(self) -> None:
        """Return when the blobs of every result answered so far survive a power cut.

        Called once before each commit, since small files must not pay one flush each. Raises StoreUnavailable when a
        blob's bytes are not held.
        """
        ...

    def find_objects(self, object_ids: Sequence[str]) -> Sequence[StoredObject]:
        """Return those of the objects that exist, in any order; settles intents after a crash."""
        ...

    def delete_objects(self, object_ids: Sequence[str]) -> None:
        """Remove objects; absent already is success."""
        ...

    def submit_batch(self, batch_id: str, members: Iterable[BatchMember], *, idempotency_key: str) -> SubmittedBatch:
        """Hand a sealed batch over for processing, once per idempotency key however often it is called."""
        ...

    def close(self) -> None:
        """Free connections. Twice is harmless."""
        ...


class BlobReader(Protocol):
    """Reading stored bytes back."""

    def open_blob(self, sha256: str) -> Iterator[bytes]:
        """Yield the blob's bytes. Raises NotFound."""
        ...


class BatchHandler(Protocol):
    """What processes a submitted batch of an embedded bucket: a Dagster job, a queue, a test's list."""

    def handle(self, batch_id: str, manifest: str, *, idempotency_key: str) -> str | None:
        """Take the batch whose Parquet manifest stands at this location; return a task id if there is one.

        Called again with the same key after a crash, and must then not start the work twice.
        """
        ...
