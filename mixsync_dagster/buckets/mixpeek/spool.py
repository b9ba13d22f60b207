"""Contents between the source and their upload: hashed on the way, small ones together in a file, none in memory.

Where a content is put is known only when its object is, so bytes wait here. Files have no name: a process that ends in
any way leaves nothing. Small contents share segments, which are emptied when everything in them was used; a large one
has a file of its own, and as long as one is held the run is asked to put what it has.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mixsync_dagster.buckets.mixpeek.errors import too_large
from mixsync_dagster.errors import StoreUnavailable
from mixsync_dagster.model.objects import StoredBlob

LARGE_BYTES = 8 * 1024 * 1024
"""What the engine counts as most that one transfer holds in memory."""
LARGE_AT_ONCE = 2
_SEGMENTS = 2
_MOST_WAITS = 1800
"""Seconds; a put may itself wait for the service's patience."""


@dataclass
class Content:
    """Bytes that are held, and what they are."""

    sha256: str
    md5: str
    size_bytes: int
    open: Callable[[], bytes | BinaryIO]
    """Returns the bytes, or a file at their start; may be called again, not while another one reads the file."""
    file: BinaryIO | None = None
    """The file of a large content; None: it lies in a segment."""
    used: bool = False

    @property
    def stored(self) -> StoredBlob:
        """What the bucket answers for it."""
        return StoredBlob(self.sha256, self.size_bytes)


@dataclass
class _Segment:
    """Small contents, one behind the other."""

    file: BinaryIO
    end: int = 0
    contents: dict[str, Content] = field(default_factory=dict)


class Spool:
    """Holds contents by their sha256; for many threads."""

    def __init__(self, folder: Path | None, *, most_bytes: int, most_file_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = max(LARGE_BYTES, most_bytes // _SEGMENTS)
        self._most_file_bytes = most_file_bytes
        self._lock = threading.Lock()
        self._segments: list[_Segment] = []
        self._large: dict[str, Content] = {}
        self._slots = threading.BoundedSemaphore(LARGE_AT_ONCE)
        self._room = threading.Condition(self._lock)

    @property
    def full(self) -> bool:
        """Whether what is held should be put now."""
        with self._lock:
            # Not as soon as the second segment is begun: what is in the first one is mostly on its way already.
            crowded = len(self._segments) == _SEGMENTS and self._segments[-1].end * 2 > self._segment_bytes
            return crowded or bool(self._large)

    def take(self, chunks: Iterable[bytes]) -> Content:
        """Hold the bytes and return what they are; the same bytes are held once.

        What `chunks` raises passes, and nothing is held then. Raises ItemRefused (too_large), StoreUnavailable.
        """
        sha, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        size, file = 0, None
        parts: list[bytes] = []
        try:
            for chunk in chunks:
                size += len(chunk)
                self._refuse_too_large(size)
                sha.update(chunk)
                md5.update(chunk)
                if file is None and size > LARGE_BYTES:
                    file = self._new_large(parts)
                    parts = []
                if file is None:
                    parts.append(chunk)
                else:
                    _written(file, chunk)
            digests = sha.hexdigest(), md5.hexdigest()
            if file is None:
                return self._kept_small(*digests, b"".join(parts))
            return self._kept_large(*digests, size, file)
        except BaseException:
            if file is not None:
                self._drop_large(file)
            raise

    def find(self, sha256: str) -> Content | None:
        """Return what is held under this hash, None when nothing is."""
        with self._lock:
            return self._find(sha256)

    def release(self, sha256s: Iterable[str]) -> None:
        """Tell that contents were used: they may go when their room is wanted. Unknown ones are ignored."""
        with self._lock:
            for sha256 in sha256s:
                large = self._large.pop(sha256, None)
                if large is not None and large.file is not None:
                    self._drop_large(large.file)
                content = self._find(sha256)
                if content is not None:
                    content.used = True
            # The newest segment is being filled, whatever was used of it.
            for segment in self._segments[:-1]:
                if all(content.used for content in segment.contents.values()):
                    segment.file.close()
                    self._segments.remove(segment)
            self._room.notify_all()

    def close(self) -> None:
        """Let go of everything. Twice is harmless."""
        with self._lock:
            for segment in self._segments:
                segment.file.close()
            for large in self._large.values():
                if large.file is not None:
                    self._drop_large(large.file)
            self._segments, self._large = [], {}
            self._room.notify_all()

    def _refuse_too_large(self, size_bytes: int) -> None:
        if size_bytes > self._most_file_bytes:
            raise too_large("the file", f"the limit is {self._most_file_bytes:,} bytes")

    def _find(self, sha256: str) -> Content | None:
        for segment in self._segments:
            if sha256 in segment.contents:
                return segment.contents[sha256]
        return self._large.get(sha256)

    def _kept_small(self, sha256: str, md5: str, data: bytes) -> Content:
        with self._lock:
            found = self._find(sha256)
            if found is not None:
                found.used = False
                return found
            segment = self._segment_for(len(data))
            start, file = segment.end, segment.file
            try:
                os.pwrite(file.fileno(), data, start)
            except OSError as error:
                raise _unavailable(error) from error
            segment.end += len(data)
            content = Content(sha256, md5, len(data), lambda: os.pread(file.fileno(), len(data), start))
            segment.contents[sha256] = content
            return content

    def _segment_for(self, size_bytes: int) -> _Segment:
        """Return a segment with room; waits until there may be another one. Holds the lock but while waiting.

        Raises StoreUnavailable when there is no room for very long.
        """
        for _ in range(_MOST_WAITS):
            if self._segments and self._segments[-1].end + size_bytes <= self._segment_bytes:
                return self._segments[-1]
            if len(self._segments) < _SEGMENTS:
                self._segments.append(_Segment(self._new_file()))
                continue
            # The run puts what it was handed, for `full` says so, and then there is room.
            self._room.wait(timeout=1.0)
        raise StoreUnavailable("contents wait for too long to be put into the bucket; the next run goes on.")

    def _new_large(self, parts: list[bytes]) -> BinaryIO:
        self._slots.acquire()
        try:
            file = self._new_file()
            for part in parts:
                _written(file, part)
        except BaseException:
            self._slots.release()
            raise
        return file

    def _kept_large(self, sha256: str, md5: str, size_bytes: int, file: BinaryIO) -> Content:
        def opened() -> BinaryIO:
            file.seek(0)
            return file

        try:
            file.flush()
        except OSError as error:
            raise _unavailable(error) from error
        with self._lock:
            found = self._large.get(sha256)
            if found is not None:
                self._drop_large(file)
                return found
            content = self._large[sha256] = Content(sha256, md5, size_bytes, opened, file)
            return content

    def _drop_large(self, file: BinaryIO) -> None:
        if not file.closed:
            file.close()
            self._slots.release()

    def _new_file(self) -> BinaryIO:
        try:
            if self._folder is not None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return tempfile.TemporaryFile(dir=self._folder)
        except OSError as error:
            raise _unavailable(error) from error


def _written(file: BinaryIO, chunk: bytes) -> None:
    try:
        file.write(chunk)
    except OSError as error:
        raise _unavailable(error) from error


def _unavailable(error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"the folder of contents on their way to the service cannot be used: {error.strerror}.")
