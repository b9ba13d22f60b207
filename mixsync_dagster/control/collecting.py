"""Garbage collection: forgetting removed objects after their grace period, then removing bytes that nothing has.

In this order, rows first and bytes after, a crash at any point leaves bytes that nobody has, never an object without
its bytes. A run that stores the same bytes meanwhile is safe, frozen or not: what it counts on is younger than
`idle_time`, and a run that stopped for longer than that has lost its lock before the catalog is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from mixsync_dagster.model.objects import StoredBlob
from mixsync_dagster.ports.upkeep import BlobKeeper, CollectStore

PAGE = 500
"""Objects forgotten in one transaction, and blobs asked for at once."""

_SHORTEST_IDLE = timedelta(hours=24)
_LEASES_OF_IDLE = 4


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did, or with `dry_run` would do."""

    dry_run: bool
    tombstones: int = 0
    """Removed objects forgotten."""
    blobs: int = 0
    """Blobs removed."""
    bytes: int = 0
    """Bytes of those blobs."""
    young: int = 0
    """Blobs that nothing refers to, kept since they were counted on a short while ago."""
    refused_by: Sequence[str] = ()
    """Syncs that run: where bytes are not removed beside runs, nothing (or nothing more) was done."""


def idle_time(lease_seconds: float) -> timedelta:
    """Return for how long nobody must have counted on bytes before they go: a day, or four leases."""
    return max(_SHORTEST_IDLE, timedelta(seconds=_LEASES_OF_IDLE * lease_seconds))


def collect(
    store: CollectStore, blobs: BlobKeeper, *, now: datetime, grace: timedelta, lease_seconds: float, dry_run: bool
) -> Collected:
    """Forget what has been removed for longer than `grace`, and remove bytes that nothing refers to.

    All bytes of the blob store must be known to this one state store. Safe to repeat and to interrupt, and, where the
    blob store says so, beside runs; else nothing is done while a sync runs. Raises StoreUnavailable.
    """
    done = Collected(dry_run)
    if running := _running(store, blobs):
        return replace(done, refused_by=running)
    idle = idle_time(lease_seconds)
    forgotten_before = now - grace
    if not dry_run:
        # Before the catalog is asked: whoever counted on bytes before `idle` must not be able to commit any more.
        store.end_expired_locks(idle_seconds=idle.total_seconds() / 2)
    done = replace(done, tombstones=_forget(store, forgotten_before, dry_run=dry_run))
    for page in pages(blobs.list_blobs(), PAGE):
        if running := _running(store, blobs):
            return replace(done, refused_by=running)
        used = store.contents_in_use(
            [blob.sha256 for blob in page], tombstoned_before=forgotten_before if dry_run else None
        )
        for blob in page:
            if blob.sha256 not in used:
                done = _with_removed(done, blobs, blob, before=now - idle)
    return done


def pages(blobs: Iterator[StoredBlob], size: int) -> Iterator[list[StoredBlob]]:
    """Yield the blobs in lists of at most `size`."""
    while page := list(islice(blobs, size)):
        yield page


def _running(store: CollectStore, blobs: BlobKeeper) -> Sequence[str]:
    return () if blobs.removes_beside_runs else store.locked_syncs()


def _forget(store: CollectStore, before: datetime, *, dry_run: bool) -> int:
    count = 0
    after: str | None = None
    while found := store.tombstones(before=before, after=after, limit=PAGE):
        count += len(found) if dry_run else store.forget_tombstones(found, before=before)
        after = found[-1]
    return count


def _with_removed(done: Collected, blobs: BlobKeeper, blob: StoredBlob, *, before: datetime) -> Collected:
    if done.dry_run:
        at = blobs.counted_on_at(blob.sha256)
        removed = at is not None and at < before
    else:
        removed = blobs.remove_unused(blob.sha256, before=before)
    if not removed:
        return replace(done, young=done.young + 1)
    return replace(done, blobs=done.blobs + 1, bytes=done.bytes + blob.size_bytes)
