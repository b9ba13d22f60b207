"""A provider over a dictionary that behaves like a storage with ordered listings: pages, versions, faults on demand."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa

from mixsync_dagster.errors import CursorExpired, ItemChanged, ItemVanished, PathNotFound
from mixsync_dagster.model.items import ITEM_SCHEMA, RejectedItem, SourceItem, Span
from mixsync_dagster.ports.provider import Capabilities, Cursor, Page


@dataclass
class MemoryFile:
    """One file of the storage. The version is its content's MD5, as with most object stores, unless one is given."""

    content: bytes
    modified_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    mime_type: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    unreadable: str | None = None
    rejected: str | None = None
    """Why the file cannot be a row, where it cannot; listings and feeds then tell it as rejected."""

    def __post_init__(self) -> None:
        if not self.version:
            self.version = hashlib.md5(self.content, usedforsecurity=False).hexdigest()


@dataclass
class MemoryStorage:
    """The files of one container by path, and everything that was asked of it."""

    files: dict[str, MemoryFile] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """(`list`, `read` or `attributes`, path) in the order of arrival."""
    before: Callable[[str, str], None] = lambda _verb, _path: None
    """Called before each request is answered: the place to raise a fault or to change the storage meanwhile."""

    def put(self, path: str, content: bytes, **settings: Any) -> None:
        """Write or overwrite a file."""
        self.files[path] = MemoryFile(content, **settings)

    def delete(self, path: str) -> None:
        """Remove a file."""
        del self.files[path]

    def count(self, verb: str) -> int:
        """Return how many requests of this kind were made."""
        return sum(1 for one, _ in self.requests if one == verb)


class MemoryProvider:
    """Provider and AttributeSource over a MemoryStorage."""

    def __init__(
        self, storage: MemoryStorage, prefix: str = "", *, container: str = "memory", page_rows: int = 3
    ) -> None:
        self._storage = storage
        self._prefix = prefix
        self._container = container
        self._page_rows = page_rows
        self._lock = threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        """Ordered listings, tags and metadata."""
        return Capabilities(ordered_listing=True, attribute_kinds=frozenset({"tag", "metadata"}))

    @property
    def root(self) -> str:
        """The prefix."""
        return self._prefix

    def check(self) -> None:
        """Raise PathNotFound when nothing lies under the prefix."""
        self._note("list", self._prefix)
        if not any(path.startswith(self._prefix) for path in self._storage.files):
            raise PathNotFound(f"{self._prefix or 'the container'} holds nothing.")

    def list_pages(self, after: Cursor | None = None, *, hints: Sequence[str] = ()) -> Iterator[Page]:
        """Yield pages in the order of code points; what is added behind the position while listing is seen."""
        del hints
        position = None if after is None else _path_of(after)
        while True:
            self._note("list", position or "")
            rest = sorted(
                path
                for path in self._storage.files
                if path.startswith(self._prefix) and (position is None or path > position)
            )
            chosen = rest[: self._page_rows]
            last = len(rest) <= self._page_rows
            yield Page(
                items=self._table(chosen),
                cursor=None if last else Cursor(quote(chosen[-1])),
                span=Span(
                    None if position is None else self._identity(position),
                    None if last else self._identity(chosen[-1]),
                ),
                rejected=self._rejected(chosen),
            )
            if last:
                return
            position = chosen[-1]

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the content in two chunks, or none when it is empty."""
        self._note("read", item.path)
        file = self._file(item)
        if file.version != item.version:
            raise ItemChanged(f"{item.path} changed since it was listed.")
        half = len(file.content) // 2
        for chunk in (file.content[:half], file.content[half:]):
            if chunk:
                yield chunk

    def read_attributes(self, item: SourceItem, kinds: frozenset[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return tags and metadata as far as they are wanted; names of metadata in lower case."""
        self._note("attributes", item.path)
        file = self._file(item)
        if file.version != item.version:
            raise ItemChanged(f"{item.path} changed since it was listed.")
        metadata = {name.lower(): value for name, value in file.metadata.items()}
        known: dict[str, Mapping[str, Any]] = {"tag": file.tags, "metadata": metadata}
        return {kind: values for kind, values in known.items() if kind in kinds}

    def close(self) -> None:
        """Do nothing."""

    def _note(self, verb: str, path: str) -> None:
        with self._lock:
            self._storage.requests.append((verb, path))
        self._storage.before(verb, path)

    def _file(self, item: SourceItem) -> MemoryFile:
        try:
            return self._storage.files[item.path]
        except KeyError:
            raise ItemVanished(f"{item.path} is gone since it was listed.") from None

    def _identity(self, path: str) -> str:
        return f"{self._container}/{path}"

    def _rejected(self, paths: Sequence[str]) -> tuple[RejectedItem, ...]:
        told = [(path, self._storage.files[path].rejected) for path in paths]
        return tuple(
            RejectedItem(self._identity(path), path, "unsupported_name", message)
            for path, message in told
            if message is not None
        )

    def _table(self, paths: Sequence[str]) -> pa.Table:
        paths = [path for path in paths if self._storage.files[path].rejected is None]
        files = [self._storage.files[path] for path in paths]
        columns: dict[str, list[Any]] = {
            "source_object_id": [self._identity(path) for path in paths],
            "path": list(paths),
            "version": [file.version for file in files],
            "metadata_version": [None] * len(paths),
            "size_bytes": [len(file.content) for file in files],
            "modified_at": [file.modified_at for file in files],
            "mime_type": [file.mime_type for file in files],
            "unreadable": [file.unreadable for file in files],
            "native": [None] * len(paths),
        }
        return pa.table(columns, schema=ITEM_SCHEMA)


def _path_of(cursor: Cursor) -> str:
    """Return the path that a position in a listing stands for. Raises CursorExpired for any other text."""
    path = unquote(cursor)
    if quote(path) != cursor:
        raise CursorExpired("The position is none of a listing.")
    return path
