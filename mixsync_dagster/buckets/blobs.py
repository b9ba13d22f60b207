"""Where an embedded bucket keeps bytes: the protocol of a content-addressed store, and how one is opened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from mixsync_dagster.buckets.blob_folder import BlobFolder
from mixsync_dagster.ports.upkeep import BlobKeeper

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mixsync_dagster.model.objects import StoredBlob


class BlobStore(BlobKeeper, Protocol):
    """Bytes under the name of their sha256 (64 lower-case hex digits). Every method may be called from many threads.

    All of them raise StoreUnavailable when the store cannot be reached, read or written.
    """

    def store(self, chunks: Iterable[bytes]) -> StoredBlob:
        """Take the bytes and return what they are; they can be read once `make_durable` returned.

        An error raised by `chunks` passes through, and nothing of its bytes is kept. The same bytes, however often
        and from however many threads, are kept once.
        """
        ...

    def make_durable(self, sha256s: Iterable[str] = ()) -> None:
        """Return when everything stored so far, and these blobs in any case, can be read even after a power cut.

        Raises StoreUnavailable when that fails or one of `sha256s` is not held; then `store` has to be repeated.
        """
        ...

    def exists(self, sha256: str) -> bool:
        """Return whether the bytes can be read."""
        ...

    def open(self, sha256: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `offset` on, at most `length` of them; nothing when the offset is past the end.

        Raises NotFound, at the call or at the first chunk.
        """
        ...

    def delete(self, sha256: str) -> None:
        """Remove the bytes; absent already is success. The caller knows that no object has or is about to get them."""
        ...

    def location(self, sha256: str) -> str:
        """Return the path or URL under which other programs find the bytes; says nothing about whether they exist."""
        ...

    def sweep_temporaries(self) -> int:
        """Remove what dead processes left half written more than a day ago; return how many that were."""
        ...

    def close(self) -> None:
        """Free descriptors and connections, forgetting what was not made durable. Twice is harmless."""
        ...


_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def local_folder(location: str | Path) -> Path | None:
    """Return the folder that a path or a `file://` URL names, None for the URL of an object store."""
    if isinstance(location, Path) or not _URL.match(location):
        return Path(location)
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme.lower() == "file" else None


def open_blob_store(location: str | Path, *, options: Mapping[str, Any] | None = None) -> BlobStore:
    """Open the blob store at a folder (path or `file://`) or at an object store's URL.

    URLs are those of obstore: `s3://`, `gs://`, `az://`, and `memory://` for tests. `options` are the object store's
    own settings (credentials, region, endpoint), unused for a folder. Missing folders are made. Raises InvalidInput
    for a URL that names no known store, StoreUnavailable when the store cannot be opened.
    """
    folder = local_folder(location)
    if folder is not None:
        return BlobFolder(folder)
    # Loaded here, so that a local installation does not pay for the client of the remote stores.
    from mixsync_dagster.buckets.blob_remote import BlobRemote

    return BlobRemote(str(location), options=options)
