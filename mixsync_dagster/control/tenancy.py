"""What one tenant can see: its organisation's connections, its namespace's buckets and what is in them.

Whatever belongs to others is told as absent, in the same words as what does not exist at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mixsync_dagster.control.owners import LOCAL_OWNER, Owner, new_bucket_id
from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnection
from mixsync_dagster.model.objects import Batch, StoredObject
from mixsync_dagster.model.progress import RunRecord
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.control import ConfigStore, ControlStore
from mixsync_dagster.ports.state import Catalog
from mixsync_dagster.ports.tenants import BucketOwner, OwnerStore

Found = TypeVar("Found")

_PAGE = 1000
_LOCAL = BucketOwner(LOCAL_OWNER.internal_id, LOCAL_OWNER.namespace_id)


class TenantStore(ConfigStore, ControlStore, Catalog, OwnerStore, Protocol):
    """What a tenant's look needs."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """The store as one owner sees it. Every method raises NotFound for what is absent or somebody else's."""

    store: TenantStore
    owner: Owner

    def connection(self, id_or_name: str) -> StorageConnection:
        """Return a connection of the organisation, by id or name."""
        with _told("connection", id_or_name):
            found = self.store.get_connection(id_or_name)
            return _kept(found, found.internal_id == self.owner.internal_id)

    def usable_connection(self, id_or_name: str) -> StorageConnection:
        """Return a connection that is not archived."""
        found = self.connection(id_or_name)
        with _told("connection", id_or_name):
            return _kept(found, found.status is not TaskStatus.ARCHIVED)

    def connections(self) -> list[StorageConnection]:
        """Return the organisation's connections that are not archived."""
        return [c for c in self.store.list_connections() if c.internal_id == self.owner.internal_id]

    def bucket(self, id_or_name: str) -> BucketDefinition:
        """Return a bucket of the namespace, by id or name; of several with one name, the first by id."""
        with suppress(NotFound):
            found = self.store.get_bucket(id_or_name)
            if self._owns(found.bucket_id):
                return found
        # A name is not unique: somebody else may have used it too.
        for bucket in self.buckets():
            if bucket.name == id_or_name:
                return bucket
        raise NotFound(_absent("bucket", id_or_name))

    def buckets(self) -> list[BucketDefinition]:
        """Return the namespace's buckets, by id."""
        owners, own = self.store.bucket_owners(), self._own
        return [b for b in self.store.list_buckets() if owners.get(b.bucket_id, _LOCAL) == own]

    def save_new_bucket(self, make: Callable[[str], BucketDefinition]) -> BucketDefinition:
        """Store the bucket that `make` returns for a new id, as one of the namespace."""
        bucket = make(new_bucket_id())
        # Whose it is comes first: for no moment is it anybody else's.
        self.store.own_bucket(bucket.bucket_id, self._own)
        self.store.save_bucket(bucket)
        return bucket

    def sync(self, bucket: BucketDefinition, id_or_name: str) -> SyncConfiguration:
        """Return a sync of the bucket, by id or name."""
        with _told("sync", id_or_name):
            found = self.store.get_sync(id_or_name)
            return _kept(found, found.bucket_id == bucket.bucket_id)

    def syncs(self) -> Iterator[SyncConfiguration]:
        """Yield the syncs of the namespace's buckets."""
        own = {bucket.bucket_id for bucket in self.buckets()}
        return (sync for sync in self.store.list_syncs() if sync.bucket_id in own)

    def run(self, sync: SyncConfiguration, sync_run_id: str) -> RunRecord:
        """Return a run of the sync."""
        with _told("job", sync_run_id):
            found = self.store.get_run(sync_run_id)
            return _kept(found, found.sync_config_id == sync.sync_config_id)

    def object(self, bucket: BucketDefinition, object_id: str) -> StoredObject:
        """Return an active object of the bucket."""
        # No id holds NUL, and PostgreSQL cannot be asked for one that does.
        for found in self.store.objects_by_id([object_id] if "\x00" not in object_id else []):
            if found.bucket_id == bucket.bucket_id:
                return found
        raise NotFound(_absent("object", object_id))

    def batches(self, bucket: BucketDefinition) -> list[Batch]:
        """Return the batches of the bucket, newest first."""
        found: list[Batch] = []
        while page := self.store.list_batches(
            bucket.bucket_id, after=found[-1].batch_id if found else None, limit=_PAGE
        ):
            found += page
        return found

    def batch(self, bucket: BucketDefinition, batch_id: str) -> Batch:
        """Return a batch of the bucket."""
        for found in self.batches(bucket):
            if found.batch_id == batch_id:
                return found
        raise NotFound(_absent("batch", batch_id))

    @property
    def _own(self) -> BucketOwner:
        return BucketOwner(self.owner.internal_id, self.owner.namespace_id)

    def _owns(self, bucket_id: str) -> bool:
        return (self.store.bucket_owner(bucket_id) or _LOCAL) == self._own


def _absent(kind: str, asked: str) -> str:
    return f"there is no {kind} {asked[:100]} here."


@contextmanager
def _told(kind: str, asked: str) -> Iterator[None]:
    """Say of whatever is not found inside that it is absent, and nothing more."""
    try:
        yield
    except NotFound:
        raise NotFound(_absent(kind, asked)) from None


def _kept(found: Found, own: bool) -> Found:
    if not own:
        raise NotFound("")
    return found
