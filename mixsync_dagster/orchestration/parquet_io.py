"""Where the steps of a run hand values on: tables as Parquet files, plain values as JSON; nothing is ever pickled."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from dagster import InputContext, IOManager, OutputContext

from mixsync_dagster.errors import ConfigurationError, MixsyncError
from mixsync_dagster.model.items import TABLES_BESIDE, Shard

_TICKET = b"mixsync.ticket"
_HEADER = b"mixsync.shard"
_PANDAS = b"pandas"
_ASSETS = "assets"

TICKET = "ticket"
"""Key of the ticket in the plain values that steps hand on."""


@dataclass(frozen=True, slots=True)
class RunShard:
    """A shard on its way through a run's steps, with the ticket by which a step finds back to the run."""

    ticket: Mapping[str, Any]
    shard: Shard


class Spool:
    """A folder, local or in object storage, of files that live as long as a run."""

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError for a URL of a kind that tables cannot be written to."""
        try:
            self._files, self._root = pafs.FileSystem.from_uri(url)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise ConfigurationError(
                f"MIXSYNC_SPOOL_URL: {url} cannot be opened; give a file://, s3:// or gs:// URL."
            ) from error

    def write_table(self, path: str, table: pa.Table) -> None:
        """Write a table; it may be read once the step that wrote it has succeeded."""
        with self._opened(path) as sink:
            pq.write_table(table, sink, compression="zstd")

    def read_table(self, path: str) -> pa.Table:
        """Return a table. Raises FileNotFoundError."""
        with self._files.open_input_file(self._at(path)) as source:
            # One file: `read_table` would import the machinery for folders of them, and pandas with it.
            return pq.ParquetFile(source).read()

    def write_json(self, path: str, value: Any) -> None:
        """Write JSON values. Raises TypeError for anything else."""
        data = json.dumps(value).encode()
        with self._opened(path) as sink:
            sink.write(data)

    def read_json(self, path: str) -> Any:
        """Return JSON values. Raises FileNotFoundError."""
        with self._files.open_input_stream(self._at(path)) as source:
            return json.loads(source.read())

    def has(self, path: str) -> bool:
        """Return whether the file exists."""
        return bool(self._files.get_file_info(self._at(path)).type == pafs.FileType.File)

    def folders(self) -> list[str]:
        """Return the names of the runs' folders."""
        selector = pafs.FileSelector(self._root, allow_not_found=True)
        found = self._files.get_file_info(selector)
        return [one.base_name for one in found if one.type == pafs.FileType.Directory and one.base_name != _ASSETS]

    def delete(self, folder: str) -> None:
        """Remove a run's folder; absent already is success."""
        try:
            self._files.delete_dir(self._at(folder))
        except FileNotFoundError:
            return

    def _at(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    def _opened(self, path: str) -> Any:
        whole = self._at(path)
        # Object storage has no folders to make, and the call would cost a request.
        if isinstance(self._files, pafs.LocalFileSystem):
            self._files.create_dir(whole.rsplit("/", 1)[0], recursive=True)
        return self._files.open_output_stream(whole, compression=None)


class ParquetIOManager(IOManager):
    """Keeps shards, tables and DataFrames as Parquet, and JSON values as JSON.

    What belongs to a run lies under `<run id>/` until the run ends; what a user's own asset returns stays under
    `assets/`. Anything else is refused by a sentence. `gave_up` is called with the ticket and the error when a value
    of a run cannot be kept, for the step's own code is over by then.
    """

    def __init__(
        self,
        spool: Callable[[], Spool],
        gave_up: Callable[[Mapping[str, Any], Exception], None] = lambda _ticket, _error: None,
    ) -> None:
        self._open_spool = spool
        self._gave_up = gave_up
        self._opened: Spool | None = None

    @property
    def spool(self) -> Spool:
        """The folder, opened at first use: definitions load without touching it."""
        if self._opened is None:
            self._opened = self._open_spool()
        return self._opened

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Keep a step's output."""
        path = _path_of(context)
        try:
            self._write(path, obj)
        except Exception as error:  # whatever it is, it is told to the run and passes on
            ticket = obj.ticket if isinstance(obj, RunShard) else obj.get(TICKET) if isinstance(obj, dict) else None
            if ticket is not None:
                self._gave_up(ticket, error)
            raise

    def _write(self, path: str, obj: Any) -> None:
        if isinstance(obj, RunShard):
            self._write_shard(path, obj)
        elif isinstance(obj, pa.Table):
            self.spool.write_table(f"{path}.parquet", obj)
        elif type(obj).__name__ == "DataFrame" and hasattr(obj, "columns"):
            self.spool.write_table(f"{path}.parquet", pa.Table.from_pandas(obj))
        else:
            self._write_json(path, obj)

    def load_input(self, context: InputContext) -> Any:
        """Return what the upstream step put out."""
        if context.upstream_output is None:
            raise MixsyncError(f"the input {context.name} comes from no step; connect it to one.")
        path = _path_of(context.upstream_output)
        if self.spool.has(f"{path}.json"):
            return self.spool.read_json(f"{path}.json")
        table = self.spool.read_table(f"{path}.parquet")
        kept = table.schema.metadata or {}
        if _HEADER in kept:
            return self._read_shard(path, table)
        return table.to_pandas() if _PANDAS in kept else table

    def _write_shard(self, path: str, value: RunShard) -> None:
        shard = value.shard
        for name in TABLES_BESIDE:
            if (table := getattr(shard, name)) is not None:
                self.spool.write_table(f"{path}.{name}.parquet", table)
        kept = shard.table.schema.metadata or {}
        ours = {_HEADER: shard.header().encode(), _TICKET: json.dumps(dict(value.ticket)).encode()}
        self.spool.write_table(f"{path}.parquet", shard.table.replace_schema_metadata({**kept, **ours}))

    def _read_shard(self, path: str, table: pa.Table) -> RunShard:
        kept = dict(table.schema.metadata)
        header, ticket = kept.pop(_HEADER).decode(), json.loads(kept.pop(_TICKET))
        beside = {
            name: self.spool.read_table(file)
            for name in TABLES_BESIDE
            if self.spool.has(file := f"{path}.{name}.parquet")
        }
        shard = Shard.from_header(header, table.replace_schema_metadata(kept or None), **beside)
        return RunShard(ticket, shard)

    def _write_json(self, path: str, obj: Any) -> None:
        try:
            self.spool.write_json(f"{path}.json", obj)
        except TypeError:
            raise MixsyncError(
                f"a step's output of type {type(obj).__name__} cannot be handed on; "
                "return a pandas DataFrame, an Arrow table or JSON values."
            ) from None


def _path_of(context: OutputContext) -> str:
    if context.has_asset_key:
        return _joined([_ASSETS, *context.asset_key.path])
    return _joined(context.get_identifier())


def _joined(parts: Sequence[str]) -> str:
    # Brackets of mapped steps ("plan_changes[shard_0]") are patterns to some object stores' tools.
    return "/".join(part.replace("[", "-").replace("]", "").replace("/", "_") for part in parts)
