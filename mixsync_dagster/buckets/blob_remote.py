"""Blobs in an object store (S3, GCS, Azure): one object per content, named by its sha256."""

from __future__ import annotations

import hashlib
import re
import tempfile
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any, cast

from mixsync_dagster.buckets.remote import RemoteFolder
from mixsync_dagster.errors import NotFound, StoreUnavailable
from mixsync_dagster.model.objects import StoredBlob
from mixsync_dagster.transport.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from mixsync_dagster.ports.clock import Clock

_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})")

_MEMORY_BYTES = 8 * 1024 * 1024
"""Larger contents wait on the local disk for their name."""

_COUNTS_FOR = timedelta(hours=12)
"""How long a put saves a second one; bytes that nobody refers to are kept for twice as long at least."""


class BlobRemote:
    """A BlobStore at an object store's URL, with the keys `<first two hex digits>/<sha256>`.

    An object store shows an object only when it has all of it, and has it durably then; so bytes go straight to their
    final key, once their hash is known. Between looking at an object and removing it, it may be written anew; so bytes
    are only removed while no sync runs, and old ones are put again when a run stores them. With `file://` it serves
    tests only: the client does not flush local files.
    """

    removes_beside_runs = False

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._folder = RemoteFolder(url, options=options)

    def store(self, chunks: Iterable[bytes]) -> StoredBlob:
        """Spool the bytes (on disk when large), then put them under their name."""
        hasher = hashlib.sha256()
        size_bytes = 0
        with tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES) as spool:
            for chunk in chunks:
                hasher.update(chunk)
                size_bytes += len(chunk)
                _spool(spool, chunk)
            blob = StoredBlob(hasher.hexdigest(), size_bytes)
            spool.seek(0)
            # Asking first costs a request, which pays only where it may save a long upload.
            if size_bytes <= _MEMORY_BYTES or not self._held(blob):
                self._folder.put(_key(blob.sha256), cast("IO[bytes]", spool), size_bytes)
        return blob

    def make_durable(self, sha256s: Iterable[str] = ()) -> None:
        """Return at once: `store` answered only when the object store had the bytes."""

    def exists(self, sha256: str) -> bool:
        """Return whether the object store has the bytes."""
        return _SHA256.fullmatch(sha256) is not None and self._folder.size_of(_key(sha256)) is not None

    def open(self, sha256: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes as they arrive. Raises NotFound at the first chunk, at the call when it is no sha256."""
        if _SHA256.fullmatch(sha256) is None:
            raise NotFound(f"{self._folder.location('')} has no blob {sha256!r}.")
        return self._folder.read(_key(sha256), offset, length)

    def verify(self, sha256: str) -> bool:
        """Return whether the bytes still hash to their name. Raises NotFound."""
        hasher = hashlib.sha256()
        for chunk in self.open(sha256):
            hasher.update(chunk)
        return hasher.hexdigest() == sha256

    def list_blobs(self) -> Iterator[StoredBlob]:
        """Yield the contents in the order of the object store's listing."""
        for key, size_bytes in self._folder.list_keys():
            found = _KEY.fullmatch(key)
            if found is not None:
                yield StoredBlob(found[1], size_bytes)

    def size_of(self, sha256: str) -> int | None:
        """Return the size that the object store tells."""
        return self._folder.size_of(_key(sha256)) if _SHA256.fullmatch(sha256) is not None else None

    def counted_on_at(self, sha256: str) -> datetime | None:
        """Return when the object was last put."""
        found = self._folder.facts_of(_key(sha256)) if _SHA256.fullmatch(sha256) is not None else None
        return None if found is None else found[1]

    def remove_unused(self, sha256: str, *, before: datetime) -> bool:
        """Remove the object after a look at its time."""
        at = self.counted_on_at(sha256)
        if at is None or at >= before:
            return False
        self._folder.delete(_key(sha256))
        return True

    def delete(self, sha256: str) -> None:
        """Remove the bytes; what is not a sha256 names nothing."""
        if _SHA256.fullmatch(sha256) is not None:
            self._folder.delete(_key(sha256))

    def location(self, sha256: str) -> str:
        """Return the URL of the bytes."""
        return self._folder.location(_key(sha256))

    def sweep_temporaries(self) -> int:
        """Return 0: what an upload leaves when it dies is the object store's, under its own expiry rules."""
        return 0

    def close(self) -> None:
        """Do nothing: the client frees its connections with its last reference."""

    def _held(self, blob: StoredBlob) -> bool:
        found = self._folder.facts_of(_key(blob.sha256))
        return found is not None and found[0] == blob.size_bytes and found[1] > self._clock.now() - _COUNTS_FOR


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


def _spool(spool: tempfile.SpooledTemporaryFile[bytes], chunk: bytes) -> None:
    try:
        spool.write(chunk)
    except OSError as error:
        raise StoreUnavailable(
            f"the folder for temporary files cannot take an upload ({error.strerror}); free space there first."
        ) from error
