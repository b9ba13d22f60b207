"""A catalog in memory, for tests of buckets and readers without a database."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mixsync_dagster.model.objects import Batch, PutResult, PutStatus, StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_START = datetime(2026, 1, 1, tzinfo=UTC)

_TABLE_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("object_id", pa.string()),
        pa.field("source_object_id", pa.string()),
        pa.field("source_path", pa.string()),
        pa.field("version", pa.string()),
        pa.field("fields", pa.string()),
        pa.field("blobs", pa.string()),
        pa.field("batch_id", pa.string()),
        pa.field("created_at", pa.timestamp("us", tz="UTC")),
        pa.field("updated_at", pa.timestamp("us", tz="UTC")),
    ]
)


class MemoryCatalog:
    """A Catalog that keeps everything in dictionaries; for one thread.

    `record`, `remove` and `add_batch` stand for what commits of a run store write.
    """

    def __init__(self) -> None:
        self._objects: dict[str, StoredObject] = {}
        self._syncs: dict[str, str] = {}
        self._batches: list[Batch] = []

    def record(self, results: Iterable[object], *, sync_config_id: str = "sync", at: datetime = _START) -> None:
        """Write the objects of put results, as the commit after a put does; failures and duplicates write nothing."""
        for result in results:
            if isinstance(result, PutResult) and result.status is not PutStatus.DUPLICATE:
                self._record(result, at)
                self._syncs[result.object_id] = sync_config_id

    def remove(self, object_ids: Iterable[str]) -> None:
        """Tombstone objects."""
        for object_id in object_ids:
            self._objects[object_id] = replace(self._objects[object_id], state="tombstoned")

    def add_batch(self, batch: Batch, object_ids: Iterable[str] = ()) -> None:
        """Add a batch as the newest one, with these objects in it."""
        self._batches.insert(0, batch)
        for object_id in object_ids:
            self._objects[object_id] = replace(self._objects[object_id], batch_id=batch.batch_id)

    def objects_by_id(self, object_ids: Sequence[str]) -> Sequence[StoredObject]:
        """Return those objects that exist and are active."""
        return [self._objects[object_id] for object_id in object_ids if self._is_active(object_id)]

    def versions_by_id(self, object_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the versions of the active ones."""
        return {stored.object_id: stored.version for stored in self.objects_by_id(object_ids)}

    def owners_of_content(self, bucket_id: str, sha256s: Sequence[str]) -> Mapping[str, str]:
        """Return the smallest id of an active object for every content that has one."""
        wanted = set(sha256s)
        owners: dict[str, str] = {}
        for stored in self._active(bucket_id):
            for blob in stored.blobs:
                if blob.sha256 in wanted:
                    owners.setdefault(blob.sha256, stored.object_id)
        return owners

    def list_objects(
        self, bucket_id: str, *, after: str | None = None, limit: int = 100, sync_config_id: str | None = None
    ) -> Sequence[StoredObject]:
        """Return active objects in id order after an id."""
        found = self._active(bucket_id, sync_config_id)
        return [stored for stored in found if after is None or stored.object_id > after][:limit]

    def count_objects(self, bucket_id: str, *, sync_config_id: str | None = None) -> int:
        """Return how many active objects the bucket has, of one sync when asked."""
        return len(self._active(bucket_id, sync_config_id))

    def objects_table(self, bucket_id: str, *, sync_config_id: str | None = None) -> pa.Table:
        """Return the active objects as an Arrow table in id order."""
        rows: list[dict[str, Any]] = [
            {name: getattr(stored, name) for name in _TABLE_SCHEMA.names}
            | {
                "fields": json.dumps(dict(stored.fields), ensure_ascii=False),
                "blobs": json.dumps([asdict(blob) for blob in stored.blobs], ensure_ascii=False),
            }
            for stored in self._active(bucket_id, sync_config_id)
        ]
        return pa.Table.from_pylist(rows, schema=_TABLE_SCHEMA)

    def list_batches(self, bucket_id: str, *, after: str | None = None, limit: int = 100) -> Sequence[Batch]:
        """Return batches, newest first, after a batch id."""
        found = [batch for batch in self._batches if batch.bucket_id == bucket_id]
        ids = [batch.batch_id for batch in found]
        start = 0 if after is None else ids.index(after) + 1
        return found[start : start + limit]

    def _record(self, result: PutResult, at: datetime) -> None:
        draft = result.draft
        known = self._objects.get(result.object_id)
        self._objects[result.object_id] = StoredObject(
            object_id=result.object_id,
            bucket_id=draft.bucket_id,
            source_provider=draft.source_provider,
            source_object_id=draft.item.source_object_id,
            source_path=draft.item.path,
            version=draft.item.version,
            state="active",
            fields=dict(draft.fields),
            blobs=tuple(draft.blobs),
            batch_id=None if known is None else known.batch_id,
            created_at=at if known is None else known.created_at,
            updated_at=at,
        )

    def _is_active(self, object_id: str) -> bool:
        return object_id in self._objects and self._objects[object_id].state == "active"

    def _active(self, bucket_id: str, sync_config_id: str | None = None) -> list[StoredObject]:
        return [
            stored
            for object_id, stored in sorted(self._objects.items())
            if stored.bucket_id == bucket_id
            and stored.state == "active"
            and sync_config_id in (None, self._syncs[object_id])
        ]
