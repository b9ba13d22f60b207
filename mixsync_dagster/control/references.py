"""Finding syncs, buckets and connections by id or name, with a helpful sentence when there is none.

Names are those of the local namespace; ids are everybody's, for whoever runs commands operates the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnection
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE
from mixsync_dagster.ports.control import ConfigStore


def find_sync(store: ConfigStore, id_or_name: str) -> SyncConfiguration:
    """Return the sync. Raises NotFound with the nearest names."""
    try:
        return store.get_sync(id_or_name)
    except NotFound:
        names = [sync.name for sync in store.list_syncs(within=LOCAL_NAMESPACE)]
    raise NotFound(_sentence("sync", id_or_name, names, "mixsync syncs"))


def find_bucket(store: ConfigStore, id_or_name: str) -> BucketDefinition:
    """Return the bucket. Raises NotFound with the nearest names."""
    try:
        return store.get_bucket(id_or_name)
    except NotFound:
        own = store.list_buckets(within=LOCAL_NAMESPACE)
        names = [name for bucket in own for name in (bucket.bucket_id, bucket.name) if name]
    raise NotFound(_sentence("bucket", id_or_name, names, "mixsync export"))


def find_connection(store: ConfigStore, id_or_name: str) -> StorageConnection:
    """Return the connection. Raises NotFound with the nearest names."""
    try:
        return store.get_connection(id_or_name)
    except NotFound:
        names = [connection.name for connection in store.list_connections(within=LOCAL_NAMESPACE)]
    raise NotFound(_sentence("connection", id_or_name, names, "mixsync connections"))


def _sentence(kind: str, asked: str, names: Iterable[str], command: str) -> str:
    near = get_close_matches(asked, list(names), n=1)
    hint = f"did you mean {near[0]}" if near else f"`{command}` shows what there is"
    return f"there is no {kind} {asked}; {hint}{'?' if near else '.'}"
