"""Checking that inventory, objects, blobs, batches and outbox agree: everything here reads, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from mixsync_dagster.control.collecting import PAGE as BLOB_PAGE
from mixsync_dagster.control.collecting import pages
from mixsync_dagster.control.findings import Finding, Kind
from mixsync_dagster.model.buckets import Destination
from mixsync_dagster.model.identifiers import object_id_for
from mixsync_dagster.model.objects import Blob
from mixsync_dagster.model.progress import MAX_RETRIES, DeadLetter
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.control import ConfigStore
from mixsync_dagster.ports.upkeep import BatchLink, BlobKeeper, InventoryLink, MemberLink, ObjectLink, VerifyStore

PAGE = 1_000
"""Rows in memory at a time."""

_FULL_PERCENT = 100.0
_SETTLED = frozenset({"completed", "completed_with_errors"})
_OPEN = frozenset({"waiting", "quarantined"})
_STATES = _OPEN | {"resolved", "discarded"}
_SOURCE_KINDS: Mapping[str, tuple[Kind, str]] = {
    "create": (Kind.SOURCE_CREATE, "at the source and not in the bucket"),
    "replace": (Kind.SOURCE_REPLACE, "in the bucket in another version than at the source"),
    "move": (Kind.SOURCE_MOVE, "in the bucket with other metadata than at the source"),
    "remove": (Kind.SOURCE_REMOVE, "in the bucket and gone at the source, or no longer accepted by the filters"),
}

Row = TypeVar("Row")
Key = TypeVar("Key")


class VerifiedStore(VerifyStore, ConfigStore, Protocol):
    """Definitions and what refers to what."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a verification works with."""

    store: VerifiedStore
    blobs: BlobKeeper
    manifest_of: Callable[[str], str | None]
    """Returns where a batch's manifest is, None when there is none."""
    data_percent: float = 0.0
    """Share of the blobs whose bytes are read, chosen by their names: the same ones each time."""

    def verify_sync(self, sync: SyncConfiguration) -> Iterator[Finding]:
        """Yield what is wrong with one sync and the objects that it wrote last. Raises StoreUnavailable.

        A run that is under way is no finding; what it commits meanwhile is seen or not.
        """
        yield from self._bookkeeping(sync)
        yield from self._objects(sync.bucket_id, sync.sync_config_id)

    def verify_all(self, *, now: datetime, grace_seconds: float) -> Iterator[Finding]:
        """Yield what is wrong with every sync, every bucket and the blob store. Raises StoreUnavailable.

        A blob that nothing refers to is information as long as it is younger than `grace_seconds`.
        """
        for sync in self.store.list_syncs():
            yield from self._bookkeeping(sync)
        for bucket in self.store.list_buckets():
            yield from self._objects(bucket.bucket_id, None)
        yield from self._unreferenced(now, grace_seconds)

    def verify_bucket(self, bucket_id: str) -> Iterator[Finding]:
        """Yield what is wrong with one bucket: its syncs and all its objects. Raises as `verify_sync`."""
        for sync in self.store.list_syncs():
            if sync.bucket_id == bucket_id:
                yield from self._bookkeeping(sync)
        yield from self._objects(bucket_id, None)

    def _bookkeeping(self, sync: SyncConfiguration) -> Iterator[Finding]:
        sync_id, store = sync.sync_config_id, self.store
        for row in _paged(
            lambda after: store.inventory_links(sync_id, after=after, limit=PAGE), lambda row: row.source_object_id
        ):
            yield from _inventory_findings(sync, row)
        for member in _paged(
            lambda after: store.member_links(sync_id, after=after, limit=PAGE), lambda row: (row.object_id, row.version)
        ):
            yield from _member_findings(sync, member)
        hosted = self._is_hosted(sync.bucket_id)
        for batch in _paged(lambda after: store.batch_links(sync_id, after=after, limit=PAGE), lambda b: b.batch_id):
            yield from self._batch_findings(sync, batch, hosted=hosted)
        yield from self._leftovers(sync)
        yield from self._dead_letters(sync)

    def _objects(self, bucket_id: str, sync_config_id: str | None) -> Iterator[Finding]:
        syncs = {sync.sync_config_id: sync for sync in self.store.list_syncs(bucket_id=bucket_id)}
        hosted = self._is_hosted(bucket_id)
        after: str | None = None
        while page := self.store.object_links(bucket_id, sync_config_id=sync_config_id, after=after, limit=PAGE):
            after = page[-1].object_id
            recorded = self.store.recorded_contents(sorted({blob.sha256 for link in page for blob in link.blobs}))
            for link in page:
                sync = syncs.get(link.sync_config_id)
                yield from _object_findings(sync, bucket_id, link)
                # What another service keeps, it answers for.
                for blob in () if hosted else link.blobs:
                    yield from self._blob_findings(sync, link, blob, recorded)

    def _blob_findings(
        self, sync: SyncConfiguration | None, link: ObjectLink, blob: Blob, recorded: frozenset[tuple[str, str]]
    ) -> Iterator[Finding]:
        name = None if sync is None else sync.name
        of = f"of object {link.object_id} ({link.source_object_id})"
        if (blob.sha256, link.object_id) not in recorded:
            yield Finding(Kind.CONTENT_UNRECORDED, name, blob.sha256, f"the catalog does not know the blob {of} as its")
        size = self.blobs.size_of(blob.sha256)
        if size is None:
            yield Finding(Kind.BLOB_MISSING, name, blob.sha256, f"the blob {of} is not in the blob store")
        elif size != blob.size_bytes:
            told = f"the blob {of} has {size} bytes instead of {blob.size_bytes}"
            yield Finding(Kind.BLOB_SIZE, name, blob.sha256, told)
        elif sampled(blob.sha256, self.data_percent) and not self.blobs.verify(blob.sha256):
            yield Finding(Kind.BLOB_DAMAGED, name, blob.sha256, f"the bytes of the blob {of} do not hash to its name")

    def _is_hosted(self, bucket_id: str) -> bool:
        return self.store.get_bucket(bucket_id).destination is not Destination.EMBEDDED

    def _batch_findings(self, sync: SyncConfiguration, batch: BatchLink, *, hosted: bool) -> Iterator[Finding]:
        name = f"batch {batch.batch_id}"
        submitted = batch.state == "submitted"
        if batch.members != batch.size:
            told = f"{name} has {batch.members} members instead of {batch.size}"
            yield Finding(Kind.BATCH_SIZE, sync.name, batch.batch_id, told)
        if not submitted and not batch.in_outbox:
            told = f"{name} is {batch.state} and nothing will submit it: it is not in the outbox"
            yield Finding(Kind.OUTBOX_MISSING, sync.name, batch.batch_id, told)
        if submitted and batch.in_outbox:
            told = f"{name} is submitted and still in the outbox"
            yield Finding(Kind.OUTBOX_LEFT, sync.name, batch.batch_id, told)
        if submitted and not hosted and self.manifest_of(batch.batch_id) is None:
            told = f"{name} is submitted and its manifest is gone"
            yield Finding(Kind.MANIFEST_MISSING, sync.name, batch.batch_id, told)

    def _leftovers(self, sync: SyncConfiguration) -> Iterator[Finding]:
        left = self.store.leftovers(sync.sync_config_id)
        if left.intents and left.run_status in _SETTLED and left.lock_holder is None:
            told = f"the latest run is {left.run_status} and left {left.intents} puts announced and not settled"
            yield Finding(Kind.INTENT_LEFT, sync.name, sync.sync_config_id, told)
        if left.lock_holder is not None and left.locked_run_status not in (None, "running"):
            told = f"worker {left.lock_holder} still holds the lock of a run that is {left.locked_run_status}"
            yield Finding(Kind.LOCK_LEFT, sync.name, sync.sync_config_id, told)
        for batch_id in left.stray_outbox:
            told = f"the outbox holds batch {batch_id}, which does not exist"
            yield Finding(Kind.BATCH_MISSING, sync.name, batch_id, told)

    def _dead_letters(self, sync: SyncConfiguration) -> Iterator[Finding]:
        after: str | None = None
        sync_id = sync.sync_config_id
        while letters := self.store.all_dead_letters(sync_id, after=after, limit=PAGE):
            after = letters[-1].dead_letter_id
            opened = [letter.source_object_id for letter in letters if letter.state in _OPEN]
            versions = self.store.versions_in_inventory(sync_id, opened) if opened else {}
            for letter in letters:
                reason = _wrong_with(letter)
                if reason is not None:
                    told = f"the dead letter of {letter.source_path} {reason}"
                    yield Finding(Kind.DEAD_LETTER_STATE, sync.name, letter.dead_letter_id, told)
                elif letter.state in _OPEN and versions.get(letter.source_object_id) == letter.version:
                    told = (
                        f"the dead letter of {letter.source_path} is {letter.state}, and its version is in the bucket"
                    )
                    yield Finding(Kind.DEAD_LETTER_OPEN, sync.name, letter.dead_letter_id, told)

    def _unreferenced(self, now: datetime, grace_seconds: float) -> Iterator[Finding]:
        for page in pages(self.blobs.list_blobs(), BLOB_PAGE):
            used = self.store.contents_in_use([blob.sha256 for blob in page])
            for blob in page:
                at = None if blob.sha256 in used else self.blobs.counted_on_at(blob.sha256)
                if at is not None:
                    young = (now - at).total_seconds() < grace_seconds
                    told = f"no object has this blob of {blob.size_bytes} bytes"
                    yield Finding(Kind.UNREFERENCED_BLOB, None, blob.sha256, told, information=young)


def source_findings(
    sync: SyncConfiguration, counts: Mapping[str, int], examples: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    """Yield what a dry run's counts by kind of change (`create`, `replace`, `move`, `remove`) say of the bucket."""
    for change, (kind, told) in _SOURCE_KINDS.items():
        if count := counts.get(change, 0):
            shown = ", ".join(examples.get(change, ()))
            yield Finding(kind, sync.name, sync.source_path, f"{count} items are {told}, e.g. {shown}")


def sampled(sha256: str, percent: float) -> bool:
    """Return whether a blob is among this share of all; a larger share holds every smaller one."""
    return percent >= _FULL_PERCENT or int(sha256[:8], 16) * _FULL_PERCENT < percent * 16**8


def _inventory_findings(sync: SyncConfiguration, row: InventoryLink) -> Iterator[Finding]:
    item = row.source_object_id
    what = f"object {row.object_id}, which has the bytes of {item}," if row.duplicate_of else f"object {row.object_id}"
    if row.object_state is None:
        yield Finding(Kind.OBJECT_MISSING, sync.name, item, f"{what} is in the inventory and does not exist")
    elif row.object_state != "active":
        # A duplicate whose owner went is marked by an empty version, and placed by the next run.
        if row.version:
            told = f"{what} is in the inventory and {row.object_state}"
            yield Finding(Kind.OBJECT_NOT_ACTIVE, sync.name, item, told)
    elif row.duplicate_of is None and (row.object_bucket_id, row.object_source_object_id) != (sync.bucket_id, item):
        told = f"the inventory names {what}, which is that of {row.object_source_object_id}"
        yield Finding(Kind.OBJECT_OF_ANOTHER, sync.name, item, told)
    elif (
        row.duplicate_of is None
        and row.object_sync_config_id == sync.sync_config_id
        and row.version != row.object_version
    ):
        told = f"the inventory has version {row.version} of {what}, the object is version {row.object_version}"
        yield Finding(Kind.VERSION_DIFFERS, sync.name, item, told)


def _object_findings(sync: SyncConfiguration | None, bucket_id: str, link: ObjectLink) -> Iterator[Finding]:
    name = None if sync is None else sync.name
    what = f"object {link.object_id} ({link.source_object_id})"
    if link.object_id != object_id_for(bucket_id, link.source_provider, link.source_object_id):
        told = f"{what} stands for an identity whose object has another id"
        yield Finding(Kind.IDENTITY_TWICE, name, link.object_id, told)
    if link.sync_exists and not link.in_inventory:
        told = f"{what} is in no inventory, so that no run keeps it in step"
        yield Finding(Kind.INVENTORY_MISSING, name, link.object_id, told)
    if not link.member and sync is not None and not sync.skip_batch_submission:
        told = f"version {link.version} of {what} is in no batch and waits for none"
        yield Finding(Kind.UNBATCHED, name, link.object_id, told)
    if link.member and link.batch_id is not None and link.batch_id != link.member_batch_id:
        told = f"{what} names batch {link.batch_id}, its version is in {link.member_batch_id or 'none'}"
        yield Finding(Kind.BATCH_DIFFERS, name, link.object_id, told)


def _member_findings(sync: SyncConfiguration, member: MemberLink) -> Iterator[Finding]:
    what = f"version {member.version} of object {member.object_id}"
    where = "waits for a batch" if member.batch_id is None else f"is in batch {member.batch_id}"
    if member.batch_id is not None and member.batch_state is None:
        told = f"{what} {where}, which does not exist"
        yield Finding(Kind.BATCH_MISSING, sync.name, member.batch_id, told)
    if member.object_version is None or member.object_updated_at is None:
        # Once it was submitted, a removed object may be forgotten.
        if member.batch_state != "submitted":
            told = f"{what} {where}, and the object does not exist"
            yield Finding(Kind.MEMBER_MISSING, sync.name, member.object_id, told)
    elif member.object_version != member.version and member.object_updated_at < member.added_at:
        told = f"{what} {where}, and the object is the older version {member.object_version}"
        yield Finding(Kind.MEMBER_NEWER, sync.name, member.object_id, told)


def _wrong_with(letter: DeadLetter) -> str | None:
    if letter.state not in _STATES:
        return f"has the unknown state {letter.state}"
    if not 0 <= letter.retry_count <= MAX_RETRIES:
        return f"counts {letter.retry_count} retries of {MAX_RETRIES}"
    if (letter.state == "resolved") != (letter.resolved_at is not None) and letter.state != "discarded":
        return f"is {letter.state} and {'has no' if letter.resolved_at is None else 'has a'} time of resolution"
    if letter.last_seen_at < letter.first_seen_at:
        return "was last seen before it was first seen"
    return None


def _paged(read: Callable[[Key | None], Sequence[Row]], key_of: Callable[[Row], Key]) -> Iterator[Row]:
    after: Key | None = None
    while page := read(after):
        yield from page
        after = key_of(page[-1])
