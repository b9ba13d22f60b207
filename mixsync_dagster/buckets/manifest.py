"""Parquet manifests: what a submitted batch holds, readable by any tool, written once and whole."""

from __future__ import annotations

import json
import os
import re
import tempfile
from contextlib import suppress
from itertools import accumulate, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

import pyarrow as pa
import pyarrow.parquet as pq

from mixsync_dagster.buckets.blobs import local_folder
from mixsync_dagster.buckets.files import flush_folder, make_folders
from mixsync_dagster.errors import InvalidInput, StoreUnavailable
from mixsync_dagster.model.columns import column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mixsync_dagster.model.objects import BatchMember, StoredObject

_BLOB_TYPE = pa.struct(
    [
        pa.field("property", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("filename", pa.string(), nullable=False),
        pa.field("mime_type", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("location", pa.string(), nullable=False),
    ]
)

MANIFEST_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("object_id", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("source_provider", pa.string(), nullable=False),
        pa.field("source_object_id", pa.string(), nullable=False),
        pa.field("source_path", pa.string(), nullable=False),
        # JSON object: the fields of a bucket are the user's, and differ from object to object.
        pa.field("fields", pa.string(), nullable=False),
        pa.field("blobs", pa.list_(_BLOB_TYPE), nullable=False),
    ]
)
"""Columns of a manifest; `location` is the path or URL of the bytes."""

_ROW_GROUP = 1_000
"""Objects read and written at a time."""

_BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Manifests(Protocol):
    """Where manifests are kept. A manifest exists whole or not at all, and is durable once it exists."""

    def find(self, batch_id: str) -> str | None:
        """Return the location of a batch's manifest, None when there is none. Raises StoreUnavailable."""
        ...

    def write(self, batch_id: str, tables: Iterable[pa.Table]) -> str:
        """Write a batch's manifest, replacing one that is there, and return its location.

        Every table becomes a row group. Raises StoreUnavailable, and what `tables` raises; nothing is left then.
        """
        ...


def manifest_tables(
    members: Iterable[BatchMember],
    read_objects: Callable[[Sequence[str]], Sequence[StoredObject]],
    location: Callable[[str], str],
) -> Iterator[pa.Table]:
    """Yield the members' objects as tables of MANIFEST_SCHEMA, in the order of the members.

    An object that is gone is left out, and so is one that has another version by now: that one is a member of a later
    batch, and a version is processed once.
    """
    iterator = iter(members)
    while group := list(islice(iterator, _ROW_GROUP)):
        found = {stored.object_id: stored for stored in read_objects([member.object_id for member in group])}
        yield _table(
            [
                found[member.object_id]
                for member in group
                if member.object_id in found and found[member.object_id].version == member.version
            ],
            location,
        )


def open_manifests(location: str | Path, *, options: Mapping[str, Any] | None = None) -> Manifests:
    """Open the manifests at a folder (path or `file://`) or an object store's URL; a missing folder is made.

    Raises InvalidInput for a URL that names no known store, StoreUnavailable when the folder cannot be made.
    """
    folder = local_folder(location)
    return ManifestFolder(folder) if folder is not None else ManifestRemote(str(location), options=options)


class ManifestFolder:
    """Manifests as `<batch_id>.parquet` in a local folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        try:
            make_folders(self._folder)
        except OSError as error:
            raise self._unavailable(error) from error

    def find(self, batch_id: str) -> str | None:
        """Return the absolute path of the manifest."""
        path = self._folder / _name(batch_id)
        return str(path) if path.exists() else None

    def write(self, batch_id: str, tables: Iterable[pa.Table]) -> str:
        """Write under a temporary name, flush, rename, flush the folder."""
        path = self._folder / _name(batch_id)
        temporary = self._folder / f".{path.name}.{os.urandom(8).hex()}"
        try:
            with temporary.open("xb") as file:
                _write_tables(file, tables)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            flush_folder(self._folder)
        except OSError as error:
            raise self._unavailable(error) from error
        finally:
            with suppress(OSError):
                temporary.unlink()
        return str(path)

    def _unavailable(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"manifest folder {self._folder} cannot be written: {error.strerror or error}.")


class ManifestRemote:
    """Manifests as `<batch_id>.parquet` below an object store's URL."""

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None) -> None:
        # Loaded here, so that a local installation does not pay for the client of the remote stores.
        from mixsync_dagster.buckets.remote import RemoteFolder

        self._folder = RemoteFolder(url, options=options)

    def find(self, batch_id: str) -> str | None:
        """Return the URL of the manifest."""
        name = _name(batch_id)
        return self._folder.location(name) if self._folder.size_of(name) is not None else None

    def write(self, batch_id: str, tables: Iterable[pa.Table]) -> str:
        """Write to the local disk first, then put it in one piece."""
        name = _name(batch_id)
        with tempfile.TemporaryFile() as file:
            try:
                _write_tables(file, tables)
                size_bytes = file.tell()
                file.seek(0)
            except OSError as error:
                raise StoreUnavailable(
                    f"the folder for temporary files cannot take a manifest ({error.strerror or error})."
                ) from error
            self._folder.put(name, file, size_bytes)
        return self._folder.location(name)


def _name(batch_id: str) -> str:
    if _BATCH_ID.fullmatch(batch_id) is None:
        raise InvalidInput.of("batch_id", batch_id, "1 to 128 letters, digits, dashes and underscores")
    return f"{batch_id}.parquet"


def _write_tables(file: IO[bytes], tables: Iterable[pa.Table]) -> None:
    with pq.ParquetWriter(cast("Any", file), MANIFEST_SCHEMA, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def _table(objects: Sequence[StoredObject], location: Callable[[str], str]) -> pa.Table:
    blobs = [blob for stored in objects for blob in stored.blobs]
    payloads = pa.StructArray.from_arrays(
        [
            column([blob.property for blob in blobs], pa.string()),
            column([blob.type for blob in blobs], pa.string()),
            column([blob.filename for blob in blobs], pa.string()),
            column([blob.mime_type for blob in blobs], pa.string()),
            column([blob.size_bytes for blob in blobs], pa.int64()),
            column([blob.sha256 for blob in blobs], pa.string()),
            column([location(blob.sha256) for blob in blobs], pa.string()),
        ],
        fields=list(_BLOB_TYPE),
    )
    ends = column(list(accumulate((len(stored.blobs) for stored in objects), initial=0)), pa.int32())
    fields = [json.dumps(dict(stored.fields), ensure_ascii=False, sort_keys=True) for stored in objects]
    arrays = [
        column([stored.object_id for stored in objects], pa.string()),
        column([stored.version for stored in objects], pa.string()),
        column([stored.source_provider for stored in objects], pa.string()),
        column([stored.source_object_id for stored in objects], pa.string()),
        column([stored.source_path for stored in objects], pa.string()),
        column(fields, pa.string()),
        pa.ListArray.from_arrays(ends, payloads, type=pa.list_(_BLOB_TYPE)),
    ]
    return pa.Table.from_arrays(arrays, schema=MANIFEST_SCHEMA)
