"""The Bucket over the service: what is placed is known by the catalog, what a crash left open by asking the service.

A put looks its objects up first (one call for a thousand), so that what is there already, after a crash or a loss of
the state store, is taken over and never made twice. Bytes are sent only when their object needs them; a replaced
object is deleted only when the new one is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mixsync_dagster.buckets.deciding import Deciding
from mixsync_dagster.buckets.mixpeek.batches import Batches
from mixsync_dagster.buckets.mixpeek.client import MixpeekClient
from mixsync_dagster.buckets.mixpeek.errors import Refusal, item_error
from mixsync_dagster.buckets.mixpeek.objects import Objects
from mixsync_dagster.buckets.mixpeek.placing import Placing
from mixsync_dagster.buckets.mixpeek.schema import RemoteSchema
from mixsync_dagster.buckets.mixpeek.settings import MixpeekSettings
from mixsync_dagster.buckets.mixpeek.spool import Spool
from mixsync_dagster.errors import ItemError, ItemVanished, NotFound, StoreUnavailable, Throttled
from mixsync_dagster.model.objects import (
    BatchMember,
    Draft,
    PutResult,
    PutStatus,
    StoredBlob,
    StoredObject,
    SubmittedBatch,
)
from mixsync_dagster.ports.bucket import PutFailure
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.hosted import BatchProgress, RemoteIds, UnfinishedBatch
from mixsync_dagster.ports.pacing import Pacer

SchemaCheck = Callable[[RemoteSchema], None]

_UNITS_AT_ONCE = 20
_ABSENT = object()
"""No field's value."""


class MixpeekBucket:
    """A Bucket and BlobReader of one bucket at the service. `put_objects` is for one thread, `store_blob` for many."""

    def __init__(
        self,
        bucket_id: str,
        store: RemoteIds,
        settings: MixpeekSettings,
        *,
        clock: Clock,
        pacer: Pacer,
        check_schema: SchemaCheck = lambda _schema: None,
    ) -> None:
        self._bucket_id = bucket_id
        self._store = store
        self._clock = clock
        self._client = MixpeekClient(settings, clock, pacer)
        self._objects = Objects(self._client)
        self._batches = Batches(self._client, store)
        self._deciding = Deciding(bucket_id, store)
        self._spool = Spool(
            settings.spool_folder, most_bytes=settings.spool_bytes, most_file_bytes=settings.most_file_bytes
        )
        self._check_schema = check_schema
        self._schema: RemoteSchema | None = None
        self._opening = threading.Lock()
        self._placing: Placing | None = None
        self._opened_at = clock.monotonic()

    @property
    def units_at_once(self) -> int:
        """So many that calls of a hundred objects and look-ups of a thousand are full."""
        return _UNITS_AT_ONCE

    @property
    def full(self) -> bool:
        """Whether the contents that wait take much room."""
        return self._spool.full

    def check(self) -> RemoteSchema:
        """Return the bucket's schema, once the check that this bucket was made with has passed; one call in all.

        Raises NotFound, BucketDenied, InvalidInput, Throttled.
        """
        with self._opening:
            if self._schema is None:
                schema = RemoteSchema.of(self._client.bucket())
                self._check_schema(schema)
                self._schema = schema
            return self._schema

    @property
    def elsewhere(self) -> bool:
        """Yes."""
        return True

    def settle(self, object_ids: Sequence[str]) -> Sequence[str]:
        """Delete what the service has of these objects beyond what the catalog knows; return those that it lacks.

        Where the catalog's own is gone, the newest stays: its put was a replacement that was cut short, and is found
        again when the object is put.
        """
        self._wait_for_lists()
        known = self._store.remote_objects(object_ids)
        found = self._objects.find(object_ids)
        spare = []
        for object_id, remotes in found.items():
            ids = [remote.remote_object_id for remote in remotes]
            recorded = known.get(object_id)
            kept = ids[0] if recorded is not None else None
            if recorded is not None and recorded.remote_object_id in ids:
                kept = recorded.remote_object_id
            spare += [one for one in ids if one != kept]
        if spare:
            self._objects.delete(spare)
        # Not by the list alone: what it does not tell is asked for by its id.
        return [
            object_id
            for object_id, remote in known.items()
            if object_id not in found and not self._objects.exists(remote.remote_object_id)
        ]

    def store_blob(self, chunks: Iterable[bytes]) -> StoredBlob:
        """Hold the bytes until their object is put. Raises ItemRefused (too_large) and StoreUnavailable.

        The bucket's schema is read before the first byte: what the mapping fills has to be there.
        """
        try:
            self.check()
        except Throttled as error:
            # The caller takes outages for those of the source, and would repeat what was repeated already.
            raise StoreUnavailable(str(error)) from error
        return self._spool.take(chunks).stored

    def put_objects(self, drafts: Sequence[Draft], *, skip_duplicates: bool) -> Sequence[PutResult | PutFailure]:
        """Put any number of drafts. Raises Throttled, BucketDenied, ConfigurationError, StoreUnavailable."""
        answers: dict[str, PutResult | PutFailure] = {}
        waiting = list(drafts)
        while waiting:
            decided = self._deciding.decide(waiting, skip_duplicates=skip_duplicates)
            todo = self._missing(decided)
            placed = self._placer().place(todo) if todo else {}
            failed = {object_id for object_id, answer in placed.items() if isinstance(answer, PutFailure)}
            self._deciding.forget(failed)
            for one in decided:
                answers[one.draft.object_id] = placed.get(one.draft.object_id) or self._there(one)
            # What leaned on bytes of an object that failed has to be put itself.
            waiting = [one.draft for one in decided if one.status is PutStatus.DUPLICATE and one.object_id in failed]
        self._spool.release({blob.sha256 for draft in drafts for blob in draft.blobs})
        return [answers[draft.object_id] for draft in drafts]

    def update_objects(self, drafts: Sequence[Draft]) -> Sequence[PutResult | PutFailure]:
        """Change the fields that changed, one call an object; nothing is sent of an object whose fields are the same.

        Fields that are no longer there are set to null.
        """
        known = self._store.remote_objects([draft.object_id for draft in drafts])
        before = {stored.object_id: stored.fields for stored in self.find_objects(list(known))}
        return [self._updated(draft, known.get(draft.object_id), before.get(draft.object_id, {})) for draft in drafts]

    def make_durable(self) -> None:
        """Do nothing: what the service has answered is durable there."""

    def find_objects(self, object_ids: Sequence[str]) -> Sequence[StoredObject]:
        """Return those of the objects that the catalog has as active; the service is not asked."""
        return self._store.objects_by_id(object_ids)

    def delete_objects(self, object_ids: Sequence[str]) -> None:
        """Delete what the catalog knows of these objects, and whatever else carries their identities."""
        known = {remote.remote_object_id for remote in self._store.remote_objects(object_ids).values()}
        found = {one.remote_object_id for remotes in self._objects.find(object_ids).values() for one in remotes}
        gone = sorted(known | found)
        if gone:
            self._objects.delete(gone)

    def submit_batch(self, batch_id: str, members: Iterable[BatchMember], *, idempotency_key: str) -> SubmittedBatch:  # noqa: ARG002 - the batch's id says the same, and the API takes no key
        """Submit the batch; see `Batches.submit`. Raises StoreUnavailable when patience is exhausted."""
        try:
            return self._batches.submit(batch_id, members)
        except Throttled as error:
            # Repeated here already; the caller would repeat it by the source's patience.
            raise StoreUnavailable(str(error)) from error

    def batch_progress(self, batch: UnfinishedBatch) -> BatchProgress:
        """Return how a submitted batch's processing goes; see `Batches.progress`."""
        return self._batches.progress(batch)

    def open_blob(self, sha256: str) -> Iterator[bytes]:
        """Yield the bytes of the blob of an active object. Raises NotFound, Throttled."""
        owner = self._store.owners_of_content(self._bucket_id, [sha256]).get(sha256)
        remote = None if owner is None else self._store.remote_objects([owner]).get(owner)
        stored = [] if owner is None else self.find_objects([owner])
        if remote is None or not stored:
            raise NotFound(f"no object of the bucket has the bytes {sha256}.")
        wanted = next(blob.property for blob in stored[0].blobs if blob.sha256 == sha256)
        try:
            told = self._objects.get(remote.remote_object_id)
        except Refusal as refusal:
            raise NotFound(f"the service does not give object {remote.remote_object_id} ({refusal}).") from None
        for blob in told.get("blobs") or ():
            url = (blob.get("properties") or {}).get("presigned_url")
            if blob.get("property") == wanted and isinstance(url, str):
                return self._client.download(url)
        raise NotFound(f"the service gives no address for the bytes of object {remote.remote_object_id}.")

    def close(self) -> None:
        """Close connections and let go of contents that were not put. Twice is harmless."""
        self._spool.close()
        self._client.close()

    def _placer(self) -> Placing:
        if self._placing is None:
            self._placing = Placing(self._objects, self._spool, self._store, self.check())
        return self._placing

    def _missing(self, decided: Sequence[PutResult]) -> list[PutResult]:
        """Return those that have to be placed: also what the catalog has and the service is known to lack."""
        present = [one.object_id for one in decided if one.status is PutStatus.ALREADY_PRESENT]
        there = self._store.remote_objects(present) if present else {}
        settled = (PutStatus.ALREADY_PRESENT, PutStatus.DUPLICATE)
        lacking = {object_id for object_id in present if object_id not in there}
        return [one for one in decided if one.status not in settled or one.object_id in lacking]

    def _there(self, decided: PutResult) -> PutResult:
        if decided.status is not PutStatus.ALREADY_PRESENT:
            return decided
        remote = self._store.remote_objects([decided.object_id]).get(decided.object_id)
        return PutResult(
            decided.draft, decided.status, decided.object_id, None if remote is None else remote.remote_object_id
        )

    def _updated(self, draft: Draft, remote: Any, before: Mapping[str, Any]) -> PutResult | PutFailure:
        if remote is None:
            return PutFailure(draft, ItemVanished(f"the bucket has no object of {draft.item.path} any more."))
        changed = {name: value for name, value in draft.fields.items() if before.get(name, _ABSENT) != value}
        changed |= dict.fromkeys(before.keys() - draft.fields.keys())
        if changed:
            error = self._patched(remote.remote_object_id, changed, draft)
            if error is not None:
                return PutFailure(draft, error)
        return PutResult(draft, PutStatus.REPLACED, draft.object_id, remote.remote_object_id)

    def _patched(self, remote_object_id: str, fields: Mapping[str, Any], draft: Draft) -> ItemError | None:
        try:
            self._objects.patch(remote_object_id, fields)
        except Refusal as refusal:
            return item_error(refusal, path=draft.item.path, what="new fields of")
        return None

    def _wait_for_lists(self) -> None:
        """Wait until lists tell everything that happened before this bucket was opened."""
        left = self._opened_at + self._client.settings.list_lag_seconds - self._clock.monotonic()
        if left > 0:
            self._clock.sleep(left)
