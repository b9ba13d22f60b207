"""Blobs in a local folder: one file per content, named by its sha256, durable before anyone is told of it.

Small files must not pay one device flush each. Bytes go to temporary names first, without a flush; `make_durable` then
flushes the data of all of them together, gives them their final names and flushes the folders. So a final name never
has torn bytes, whenever the power goes.

Measured on ext4 with blobs of 4 KB: flushing the whole file system at once (syncfs) wins over one fsync a file from two
files on. For a hundred blobs, data and folders together, it is ten times cheaper, for a thousand twenty times; fsync
from sixteen threads halves the cost of fsync and no more. With syncfs, making one of a hundred blobs durable costs as
much as writing its temporary file, and bytes that are held already cost a fifth of that. syncfs also waits for what
other programs wrote, so on a disk that others write to heavily its share grows.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

from mixsync_dagster.buckets.files import Files, flush_many, make_folders
from mixsync_dagster.buckets.keeping import Keeping
from mixsync_dagster.buckets.temporaries import TEMPORARY_FOLDER, Temporaries, unavailable
from mixsync_dagster.errors import NotFound, StoreUnavailable
from mixsync_dagster.model.objects import StoredBlob
from mixsync_dagster.transport.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from mixsync_dagster.ports.clock import Clock

_SHA256 = re.compile(r"[0-9a-f]{64}")
_READ_BYTES = 1024 * 1024
_FRESH_SECONDS = 600.0
"""Bytes written this short a while before their flush are as young as the flush, for whoever removes old ones."""


class BlobFolder:
    """A BlobStore in the folder `root`: `root/<first two hex digits>/<sha256>`; several processes may share it."""

    removes_beside_runs = True

    def __init__(self, root: Path, *, files: Files | None = None, clock: Clock | None = None) -> None:
        self._root = root.absolute()
        self._files = files if files is not None else Files()
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._pending: dict[str, str] = {}
        """Temporary name by sha256, of bytes that wait for their final name."""
        self._pending_since: float | None = None
        """When the oldest of them was written; None without any."""
        self._touched: set[str] = set()
        """Folders with entries that somebody counts on and that may not be flushed yet."""
        self._folders: set[str] = set()
        self._folder = -1
        try:
            make_folders(self._root / TEMPORARY_FOLDER)
            self._folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._flush_all = self._files.can_flush_all(self._folder)
        except OSError as error:
            self.close()
            raise unavailable(self._root, error) from error
        self._temporaries = Temporaries(self._root, self._folder, self._files)
        self._keeping = Keeping(self._root, self._folder, self._files)
        # A full or read-only disk can still be read.
        with suppress(StoreUnavailable):
            self.sweep_temporaries()

    def store(self, chunks: Iterable[bytes]) -> StoredBlob:
        """Write the bytes to a temporary name, unless they are held already, and return what they are."""
        iterator = iter(chunks)
        first = next(iterator, b"")
        second = next(iterator, None)
        if second is not None:
            return self._store_stream(chain((first, second), iterator))
        # Small contents come in one chunk: their name is known before anything is written.
        blob = StoredBlob(hashlib.sha256(first).hexdigest(), len(first))
        if not self._held(blob):
            self._keep(blob, self._temporaries.write((first,)))
        return blob

    def make_durable(self, sha256s: Iterable[str] = ()) -> None:
        """Flush the data of what was stored, then name it, then flush the folders."""
        # One at a time: a caller whose bytes another one is flushing right now must not return before that is done.
        with self._flushing:
            with self._lock:
                batch = dict(self._pending)
                touched, self._touched = self._touched, set()
            try:
                touched.update(self._folders_of(sha256s, batch))
                self._flush_data(batch)
                self._freshen(batch)
                for sha256, temporary in batch.items():
                    self._publish(sha256, temporary, touched)
                flush_many(self._files, touched, self._folder, whole=self._flush_all)
            except OSError as error:
                raise unavailable(self._root, error) from error
            else:
                touched = set()
            finally:
                with self._lock:
                    self._touched |= touched

    def exists(self, sha256: str) -> bool:
        """Return whether the bytes have their final name."""
        return _SHA256.fullmatch(sha256) is not None and self._size_of(sha256) is not None

    def open(self, sha256: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes in chunks of at most a megabyte. Raises NotFound at the call."""
        if not self.exists(sha256):
            raise self._not_found(sha256)
        return self._read(sha256, offset, length)

    def verify(self, sha256: str) -> bool:
        """Return whether the bytes still hash to their name. Raises NotFound."""
        hasher = hashlib.sha256()
        for chunk in self.open(sha256):
            hasher.update(chunk)
        return hasher.hexdigest() == sha256

    def list_blobs(self) -> Iterator[StoredBlob]:
        """Yield what has a final name, folder by folder."""
        for number in range(256):
            try:
                with os.scandir(self._root / f"{number:02x}") as entries:
                    found = [StoredBlob(entry.name, entry.stat().st_size) for entry in entries]
            except FileNotFoundError:
                continue
            except OSError as error:
                raise unavailable(self._root, error) from error
            yield from (blob for blob in found if _SHA256.fullmatch(blob.sha256))

    def size_of(self, sha256: str) -> int | None:
        """Return the file's size in bytes."""
        return self._size_of(sha256) if _SHA256.fullmatch(sha256) is not None else None

    def counted_on_at(self, sha256: str) -> datetime | None:
        """Return the file's time of modification, which `store` and `make_durable` set."""
        return self._keeping.counted_on_at(_final(sha256)) if _SHA256.fullmatch(sha256) is not None else None

    def remove_unused(self, sha256: str, *, before: datetime) -> bool:
        """Remove the file, while nobody can begin to count on it."""
        return _SHA256.fullmatch(sha256) is not None and self._keeping.remove(_final(sha256), before)

    def delete(self, sha256: str) -> None:
        """Remove the file; what is not a sha256 names nothing."""
        if _SHA256.fullmatch(sha256) is None:
            return
        try:
            self._files.unlink(_final(sha256), self._folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise unavailable(self._root, error) from error

    def location(self, sha256: str) -> str:
        """Return the absolute path of the file."""
        return str(self._root / sha256[:2] / sha256)

    def sweep_temporaries(self) -> int:
        """Remove temporary files not written to for a day; those of living processes are younger."""
        return self._temporaries.sweep()

    def close(self) -> None:
        """Remove what never got its final name and close the folder."""
        with self._flushing:
            for temporary in self._pending.values():
                self._temporaries.drop(temporary)
            self._pending.clear()
            # Set before closing: a late call must not work in a folder that got the same number since.
            folder, self._folder = self._folder, -1
            if folder >= 0:
                os.close(folder)

    def _store_stream(self, chunks: Iterable[bytes]) -> StoredBlob:
        hasher = hashlib.sha256()
        size_bytes = 0

        def hashed() -> Iterator[bytes]:
            nonlocal size_bytes
            for chunk in chunks:
                hasher.update(chunk)
                size_bytes += len(chunk)
                yield chunk

        temporary = self._temporaries.write(hashed())
        blob = StoredBlob(hasher.hexdigest(), size_bytes)
        if self._held(blob):
            self._temporaries.drop(temporary)
        else:
            self._keep(blob, temporary)
        return blob

    def _held(self, blob: StoredBlob) -> bool:
        if blob.sha256 in self._pending:
            return True
        # A file of another size was damaged after it got its name; storing the bytes again repairs it.
        if self._size_of(blob.sha256) != blob.size_bytes or not self._keeping.count_on(_final(blob.sha256)):
            return False
        # Its name may be younger than the last flush of its folder, when another process died in between.
        with self._lock:
            self._touched.add(blob.sha256[:2])
        return True

    def _keep(self, blob: StoredBlob, temporary: str) -> None:
        with self._lock:
            kept = self._pending.setdefault(blob.sha256, temporary)
            if self._pending_since is None:
                self._pending_since = self._clock.monotonic()
        if kept != temporary:
            self._temporaries.drop(temporary)

    def _folders_of(self, sha256s: Iterable[str], batch: Collection[str]) -> set[str]:
        others = [sha256 for sha256 in sha256s if sha256 not in batch]
        for sha256 in others:
            # Counted on anew: the commit comes now, however long ago the bytes were stored.
            if _SHA256.fullmatch(sha256) is None or not self._keeping.count_on(_final(sha256)):
                raise StoreUnavailable(f"blob store {self._root}: blob {sha256} is not held; store its bytes again.")
        return {sha256[:2] for sha256 in others}

    def _flush_data(self, batch: dict[str, str]) -> None:
        try:
            flush_many(self._files, batch.values(), self._folder, whole=self._flush_all)
        except OSError:
            # The system may forget the pages that it failed to write, and a second flush would succeed without them.
            with self._lock:
                for sha256, temporary in batch.items():
                    del self._pending[sha256]
                    self._temporaries.drop(temporary)
            raise

    def _freshen(self, batch: dict[str, str]) -> None:
        # What waited long for this flush counts from now on; a call for each file of every commit would be felt.
        with self._lock:
            since, self._pending_since = self._pending_since, None
        if since is not None and self._clock.monotonic() - since > _FRESH_SECONDS:
            for temporary in batch.values():
                self._files.touch(temporary, self._folder)

    def _publish(self, sha256: str, temporary: str, touched: set[str]) -> None:
        prefix = sha256[:2]
        if prefix not in self._folders:
            touched.add(".")
            with suppress(FileExistsError):
                self._files.make_folder(prefix, self._folder)
            self._folders.add(prefix)
        touched.add(prefix)
        self._files.rename(temporary, _final(sha256), self._folder)
        with self._lock:
            del self._pending[sha256]

    def _size_of(self, sha256: str) -> int | None:
        try:
            found = os.stat(_final(sha256), dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unavailable(self._root, error) from error
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def _read(self, sha256: str, offset: int, length: int | None) -> Iterator[bytes]:
        try:
            descriptor = os.open(_final(sha256), os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        except FileNotFoundError:
            raise self._not_found(sha256) from None
        except OSError as error:
            raise unavailable(self._root, error) from error
        try:
            end = os.fstat(descriptor).st_size if length is None else offset + length
            while chunk := self._read_chunk(descriptor, min(end - offset, _READ_BYTES), offset):
                offset += len(chunk)
                yield chunk
        finally:
            os.close(descriptor)

    def _read_chunk(self, descriptor: int, size_bytes: int, offset: int) -> bytes:
        try:
            return os.pread(descriptor, max(size_bytes, 0), offset)
        except OSError as error:
            raise unavailable(self._root, error) from error

    def _not_found(self, sha256: str) -> NotFound:
        return NotFound(f"blob store {self._root}: there is no blob {sha256!r}.")


def _final(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"
