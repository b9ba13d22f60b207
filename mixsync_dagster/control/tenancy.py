"""What one tenant can see: its organisation's connections, its namespace's buckets and what is in them.

Whatever belongs to others is told as absent, in the same words as what does not exist at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mixsync_dagster.control.owners import Owner
from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnection
from mixsync_dagster.model.objects import Batch, StoredObject
from mixsync_dagster.model.progress import RunRecord
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.model.tenants import Namespace
from mixsync_dagster.model.validation import shown
from mixsync_dagster.ports.control import ConfigStore, ControlStore
from mixsync_dagster.ports.listing import Listed, ListingStore
from mixsync_dagster.ports.state import Catalog

Found = TypeVar("Found")


class TenantStore(ConfigStore, ControlStore, Catalog, ListingStore, Protocol):
    """What a tenant's look needs."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """The store as one owner sees it. Every method raises NotFound for what is absent or somebody else's."""

    store: TenantStore
    owner: Owner

    def connection(self, id_or_name: str) -> StorageConnection:
        """Return a connection of the organisation, by id or name."""
        with _told("connection", id_or_name):
            return self.store.get_connection(id_or_name, within=self._own)

    def usable_connection(self, id_or_name: str) -> StorageConnection:
        """Return a connection that is not archived."""
        found = self.connection(id_or_name)
        with _told("connection", id_or_name):
            return _kept(found, found.status is not TaskStatus.ARCHIVED)

    def connections(self) -> list[StorageConnection]:
        """Return the organisation's connections that are not archived."""
        return list(self.store.list_connections(within=self._own))

    def bucket(self, id_or_name: str) -> BucketDefinition:
        """Return a bucket of the namespace, by id or name."""
        with _told("bucket", id_or_name):
            return self.store.get_bucket(id_or_name, within=self._own)

    def buckets(self) -> list[BucketDefinition]:
        """Return the namespace's buckets, by id."""
        return list(self.store.list_buckets(within=self._own))

    def buckets_part(self, *, after: str | None, offset: int, limit: int) -> Listed[BucketDefinition]:
        """Return a part of `buckets`."""
        return self.store.list_buckets_part(self._own, after=after, offset=offset, limit=limit)

    def save_new_bucket(self, bucket: BucketDefinition) -> BucketDefinition:
        """Store a bucket as one of the namespace and return it. Raises Conflict."""
        self.store.save_bucket(bucket, within=self._own)
        return bucket

    def sync(self, bucket: BucketDefinition, id_or_name: str) -> SyncConfiguration:
        """Return a sync of the bucket, by id or name."""
        with _told("sync", id_or_name):
            found = self.store.get_sync(id_or_name, within=self._own)
            return _kept(found, found.bucket_id == bucket.bucket_id)

    def syncs(self) -> Iterator[SyncConfiguration]:
        """Yield the syncs of the namespace."""
        return iter(self.store.list_syncs(within=self._own))

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

    def batch(self, bucket: BucketDefinition, batch_id: str) -> Batch:
        """Return a batch of the bucket."""
        with _told("batch", batch_id):
            found = self.store.get_batch(batch_id)
            return _kept(found, found.bucket_id == bucket.bucket_id)

    @property
    def _own(self) -> Namespace:
        return self.owner.namespace


def _absent(kind: str, asked: str) -> str:
    return f"there is no {kind} {shown(asked)} here."


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
