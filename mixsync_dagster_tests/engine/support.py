"""A world for the engine's tests: one sync, the real store and bucket, and a source that does as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from mixsync_dagster.buckets.blob_folder import BlobFolder
from mixsync_dagster.buckets.embedded import EmbeddedBucket
from mixsync_dagster.buckets.files import Files
from mixsync_dagster.buckets.manifest import open_manifests
from mixsync_dagster.engine.context import RunLimits, Toolbox
from mixsync_dagster.engine.run import run_sync
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnectionCreateRequest, new_connection
from mixsync_dagster.model.items import ITEM_SCHEMA, SourceItem
from mixsync_dagster.model.objects import StoredObject
from mixsync_dagster.model.progress import DeadLetter, RunRecord
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.provider import Capabilities, Provider
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.memory_provider import MemoryProvider, MemoryStorage
from mixsync_dagster.transport.retry import Retrier

START = datetime(2026, 1, 1, tzinfo=UTC)
SYNC = "sync_1"
BUCKET = "bkt_1"
KEY = b"k" * 32


class Crash(BaseException):
    """The process ends here: no handler of ordinary errors sees it."""


class QuickFiles(Files):
    """A disk that calls everything durable at once: no power is cut in these tests."""

    def flush(self, name: str, folder: int) -> None:
        """Do nothing."""

    def can_flush_all(self, folder: int) -> bool:
        """Return True."""
        return True

    def flush_all(self, folder: int) -> None:
        """Do nothing."""


class RecordingHandler:
    """A BatchHandler that remembers every call."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def handle(self, batch_id: str, manifest: str, *, idempotency_key: str) -> str | None:
        """Return a task id that depends on the key alone."""
        assert Path(manifest).exists()
        self.calls.append(batch_id)
        return f"task-{idempotency_key}"


class MortalStore:
    """The state store as seen by a process that can die: then nothing is read, written or released any more."""

    def __init__(self, store: SqlStateStore) -> None:
        self._store = store
        self.dead = threading.Event()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.dead.is_set():
                raise Crash
            return method(*args, **kwargs)

        return call


def sync_of(**settings: Any) -> SyncConfiguration:
    """Return a sync of the memory storage with these settings, as a client would give them."""
    data: dict[str, Any] = {
        "sync_config_id": SYNC,
        "name": "videos",
        "bucket_id": BUCKET,
        "connection_id": "conn_1",
        "internal_id": "int_1",
        "namespace_id": "ns_1",
        "created_by_user_id": "usr_1",
        "source_path": "memory",
        "source_type": "s3",
        "created_at": START,
        "updated_at": START,
        "next_sync_at": START,
    }
    return SyncConfiguration.model_validate(data | settings)


def items_table(*rows: Mapping[str, Any] | str) -> pa.Table:
    """Return a table of listed items; a row is a path or the columns that matter, others have plain defaults."""
    whole = []
    for row in rows:
        given = {"path": row} if isinstance(row, str) else dict(row)
        plain: dict[str, Any] = dict.fromkeys(ITEM_SCHEMA.names)
        plain |= {"version": "v1", "size_bytes": 1, "modified_at": START}
        whole.append(plain | {"source_object_id": f"memory/{given['path']}"} | given)
    return pa.Table.from_pylist(whole, schema=ITEM_SCHEMA)


def item_of(path: str, **columns: Any) -> SourceItem:
    """Return one item at a path."""
    return SourceItem(**{"source_object_id": f"memory/{path}", "path": path, "version": "v1", **columns})


class OddProvider(MemoryProvider):
    """A MemoryProvider with more to tell: metadata versions by path, other powers, reads that break half way."""

    def __init__(self, storage: MemoryStorage, prefix: str = "", **settings: Any) -> None:
        super().__init__(storage, prefix, **settings)
        self.metadata_versions: dict[str, str] = {}
        self.changes: dict[str, Any] = {}
        self.half_read: Callable[[str], None] = lambda _path: None

    @property
    def capabilities(self) -> Capabilities:
        """The memory provider's, changed as told."""
        return replace(super().capabilities, **self.changes)

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the content, calling `half_read` after the first chunk."""
        for number, chunk in enumerate(super().read(item)):
            if number:
                self.half_read(item.path)
            yield chunk

    def _table(self, paths: Any) -> pa.Table:
        table = super()._table(paths)
        versions = pa.array([self.metadata_versions.get(path) for path in paths], pa.string())
        return table.set_column(table.schema.get_field_index("metadata_version"), "metadata_version", versions)


class World:
    """One sync over a MemoryStorage, with a SQLite state store and an embedded bucket in a folder."""

    def __init__(self, folder: Path, template: Path, **settings: Any) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "state.db").write_bytes(template.read_bytes())
        self.clock = SimulatedClock(START)
        self.store = self.open_store()
        self.storage = MemoryStorage()
        self.handler: Any = RecordingHandler()
        self.provider: Provider = MemoryProvider(self.storage)
        self.limits = RunLimits()
        self._runs = 0
        self._buckets: list[EmbeddedBucket] = []
        request = StorageConnectionCreateRequest.model_validate(
            {
                "name": "memory",
                "provider_type": "s3",
                "provider_config": {
                    "credentials": {"type": "access_key", "access_key_id": "a", "secret_access_key": "b"}
                },
            }
        )
        connection, credentials = new_connection(
            request, connection_id="conn_1", internal_id="int_1", created_by_user_id="usr_1", now=START
        )
        self.store.save_connection(connection, credentials=credentials)
        self.store.save_bucket(BucketDefinition(bucket_id=BUCKET))
        self.store.create_sync(sync_of(**settings))

    def open_store(self) -> SqlStateStore:
        """Return the store, as another process would open it."""
        return SqlStateStore.open(f"sqlite:///{self.folder}/state.db", clock=self.clock, key=KEY)

    def close(self) -> None:
        """Close what was opened."""
        for bucket in self._buckets:
            bucket.close()
        self.store.close()

    def open_bucket(self) -> EmbeddedBucket:
        """Return the bucket, as another process would open it."""
        bucket = EmbeddedBucket(
            BUCKET,
            self.store,
            BlobFolder(self.folder / "blobs", files=QuickFiles()),
            open_manifests(self.folder / "manifests"),
            self.handler,
        )
        self._buckets.append(bucket)
        return bucket

    def tools(self, **changes: Any) -> Toolbox:
        """Return the tools of a process that begins now, with some exchanged."""
        defaults: dict[str, Any] = {
            "store": self.store,
            "provider": self.provider,
            "provider_name": "s3",
            "bucket": self.open_bucket(),
            "clock": self.clock,
            "pacer": Retrier(self.clock, seed=1),
            "limits": self.limits,
        }
        return Toolbox(**{**defaults, **changes})

    def run(self, tools: Toolbox | None = None, *, worker_id: str = "worker", full_sync: bool = False) -> RunRecord:
        """Run the sync as a process of its own would, a minute after whatever was before."""
        self._runs += 1
        self.clock.advance(60)
        return run_sync(
            tools or self.tools(),
            SYNC,
            worker_id=worker_id,
            sync_run_id=f"run-{self._runs}",
            full_sync=full_sync,
        )

    def runs_until_settled(self, most: int = 20) -> int:
        """Run until a run finds nothing to do and return how many runs that took."""
        for number in range(1, most + 1):
            counters = self.run().counters
            work = counters.created + counters.replaced + counters.moved + counters.removed + counters.failed
            if not work + counters.duplicates and self.store.load_checkpoint(SYNC) is None:
                return number
        raise AssertionError(f"still at work after {most} runs: {counters}")

    def put(self, *paths: str) -> None:
        """Write files whose content is their own path."""
        for path in paths:
            self.storage.put(path, path.encode())

    @property
    def sync(self) -> SyncConfiguration:
        """The sync as it is stored now."""
        return self.store.load_sync(SYNC)

    def objects(self) -> dict[str, StoredObject]:
        """Return the bucket's active objects by source path; two of one path are an error."""
        found = self.store.list_objects(BUCKET, limit=10_000)
        assert len({stored.source_path for stored in found}) == len(found)
        return {stored.source_path: stored for stored in found}

    def contents(self) -> dict[str, bytes]:
        """Return the bytes of every object's blobs, read back from the bucket."""
        bucket = self.open_bucket()
        return {
            path: b"".join(chunk for blob in stored.blobs for chunk in bucket.open_blob(blob.sha256))
            for path, stored in self.objects().items()
        }

    def source(self) -> dict[str, bytes]:
        """Return the bytes of every file of the source."""
        return {path: file.content for path, file in self.storage.files.items()}

    def letters(self) -> dict[str, DeadLetter]:
        """Return the open dead letters by source path."""
        return {letter.source_path: letter for letter in self.store.list_dead_letters(SYNC)}

    def batched(self) -> list[tuple[str, str]]:
        """Return every (object_id, version) that was submitted, once per batch that holds it, sorted."""
        batches = self.store.list_batches(BUCKET, limit=1000)
        assert [batch.state for batch in batches] == ["submitted"] * len(batches)
        return sorted(
            (member.object_id, member.version)
            for batch in batches
            for member in self.store.batch_members(batch.batch_id)
        )

    def reads(self) -> list[str]:
        """Return the paths read so far, sorted."""
        return sorted(path for verb, path in self.storage.requests if verb == "read")

    def forget_requests(self) -> None:
        """Start counting requests anew."""
        self.storage.requests.clear()


def mapping_of(**entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema mapping of fields; `blob` as a value stands for the file itself."""
    mappings = {
        name: {"target_type": "blob", "source": {"type": "file"}}
        if entry == {"blob": True}
        else {"target_type": "field", **entry}
        for name, entry in entries.items()
    }
    return {"mappings": json.loads(json.dumps(mappings))}
