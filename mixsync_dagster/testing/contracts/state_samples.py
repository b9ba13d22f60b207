"""What the state store's contract is told with: a connection, a bucket, two syncs, and results of puts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnection
from mixsync_dagster.model.identifiers import object_id_for
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.model.objects import Blob, Draft, PutResult, PutStatus
from mixsync_dagster.model.progress import Counters, Failure, Outcome, RunRecord
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE
from mixsync_dagster.ports.control import ConfigStore, ControlStore, DispatchStore
from mixsync_dagster.ports.state import Catalog, RunEnd, RunStore, SyncLock

BUCKET = "bkt_media"
SYNC = "sync_videos"
OTHER_SYNC = "sync_archive"
CONNECTION = "conn_media"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
CREDENTIALS: Mapping[str, str] = {
    "type": "access_key",
    "access_key_id": "AKIDCONTRACT00000001",
    "secret_access_key": "never-in-plain-text-on-disk-0000000000001",
}


class StateStore(RunStore, Catalog, ConfigStore, ControlStore, DispatchStore, Protocol):
    """Everything that a state store does."""


def connection(connection_id: str = CONNECTION, name: str = "media") -> StorageConnection:
    """Return a connection's definition."""
    return StorageConnection.model_validate(
        {
            "connection_id": connection_id,
            "internal_id": LOCAL_NAMESPACE.internal_id,
            "name": name,
            "provider_type": "s3",
            "provider_config": {"provider_type": "s3"},
            "credentials_type": "access_key",
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "created_by_user_id": "usr_contract",
        }
    )


def sync(sync_config_id: str = SYNC, name: str = "videos", **changes: Any) -> SyncConfiguration:
    """Return a sync that is due since MOMENT."""
    return SyncConfiguration.model_validate(
        {
            "sync_config_id": sync_config_id,
            "name": name,
            "bucket_id": BUCKET,
            "connection_id": CONNECTION,
            "internal_id": LOCAL_NAMESPACE.internal_id,
            "namespace_id": LOCAL_NAMESPACE.namespace_id,
            "created_by_user_id": "usr_contract",
            "source_path": "media-bucket/videos",
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "next_sync_at": MOMENT,
            **changes,
        }
    )


def seed(store: StateStore) -> None:
    """Store the connection, the bucket and two syncs that fill it."""
    store.save_connection(connection(), credentials=CREDENTIALS)
    store.save_bucket(BucketDefinition(bucket_id=BUCKET))
    store.create_sync(sync())
    store.create_sync(sync(OTHER_SYNC, "archive"))


def begin(store: StateStore, sync_config_id: str = SYNC, run: str = "run-1", worker: str = "worker-1") -> SyncLock:
    """Take the lock of a sync and start a run."""
    lock = store.acquire(sync_config_id, worker, run, ttl_seconds=60)
    record = RunRecord(run, sync_config_id, "running", "manual", MOMENT, None, Counters(), None, worker_id=worker)
    store.start_run(lock, record)
    return lock


def item(key: str, version: str = "v1") -> SourceItem:
    """Return an item of three bytes."""
    return SourceItem(source_object_id=key, path=f"videos/{key}", version=version, size_bytes=3, modified_at=MOMENT)


def object_id(key: str) -> str:
    """Return the id of the item's own object."""
    return object_id_for(BUCKET, "s3", key)


def sha256(content: str) -> str:
    """Return the hash of a blob's content."""
    return hashlib.sha256(content.encode()).hexdigest()


def placed(
    key: str,
    version: str = "v1",
    status: PutStatus = PutStatus.CREATED,
    *,
    content: str | None = None,
    owner: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> PutResult:
    """Return the result of a put: of its own object, or of the one of `owner` for a duplicate."""
    blob = Blob("content", "video", "clip.mp4", "video/mp4", 3, sha256(content or f"{key} {version}"))
    draft = Draft(object_id(key), BUCKET, "s3", item(key, version), fields or {"title": key}, (blob,))
    return PutResult(draft, status, object_id(owner or key))


def failure(key: str, version: str = "v1", *, permanent: bool = False) -> Failure:
    """Return a failed attempt."""
    return Failure(item(key, version), "download_failed", "the connection was reset", permanent)


def end(outcome: Outcome = Outcome.COMPLETED, **changes: Any) -> RunEnd:
    """Return the end of a run, successful unless told otherwise, after which the sync goes on."""
    values: dict[str, Any] = {
        "outcome": outcome,
        "error": None,
        "error_class": None,
        "status": "ACTIVE",
        "is_active": True,
        "next_sync_at": MOMENT,
        "successful": outcome is Outcome.COMPLETED,
    }
    return RunEnd(**(values | changes))
