"""A prefix in an object store, through obstore: the few calls that blobs and manifests need, with our errors.

Keys here are always ones that we made (hex digits, batch ids), which obstore says exactly.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from mixsync_dagster.errors import InvalidInput, NotFound, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

_PART_BYTES = 8 * 1024 * 1024
"""Up to this size one request carries the whole file."""

_MOST_PARTS = 10_000
"""S3 and its kin refuse more parts in one upload."""

_REQUEST_TIMEOUT = "300s"
"""For a whole request with its body; the client's own 30 seconds are too short for a part over a slow line."""

# Settings of the connection rather than of the store. Given among those of the store, the client (0.12) would not
# refuse them but panic.
_CLIENT_OPTIONS = frozenset(
    {
        "allow_http",
        "connect_timeout",
        "pool_idle_timeout",
        "pool_max_idle_per_host",
        "proxy_ca_certificate",
        "proxy_excludes",
        "proxy_url",
        "read_timeout",
        "root_certificate",
        "timeout",
        "user_agent",
    }
)
_REFUSED_OPTIONS = frozenset({"allow_invalid_certificates"})

_UPLOAD_BYTES = 64 * 1024 * 1024
"""Most bytes that one upload holds in memory, as long as its parts are not larger than that."""


def upload_parts(size_bytes: int) -> tuple[int, int]:
    """Return the size of the parts in which to upload a file, and how many of them to have in memory at once."""
    part_bytes = max(_PART_BYTES, -(-size_bytes // _MOST_PARTS))
    return part_bytes, max(1, _UPLOAD_BYTES // part_bytes)


class RemoteFolder:
    """The keys below one URL. Every method raises StoreUnavailable when the store does not do as asked.

    A request that failed for the store's or the network's reasons is repeated `max_retries` times, within three
    minutes. Raises InvalidInput for a URL of no known store and for options that it does not know.
    """

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None, max_retries: int = 10) -> None:
        parts = urlsplit(url)
        # Shown in messages and manifests, so without user, password and query.
        self._url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
        given = dict(options or {})
        for refused in _REFUSED_OPTIONS & given.keys():
            raise InvalidInput.of(f"options.{refused}", given[refused], "root_certificate with your own authority")
        client: Any = {"timeout": _REQUEST_TIMEOUT} | {key: given.pop(key) for key in _CLIENT_OPTIONS & given.keys()}
        # Its own types tell the settings of each store apart; ours are checked by the store itself.
        config: Any = given or None
        try:
            self._store = from_url(url, config=config, client_options=client, retry_config={"max_retries": max_retries})
        except (BaseError, ValueError) as error:
            raise InvalidInput.of(
                "location", self._url, "a folder or the URL of an object store, e.g. s3://bucket/prefix"
            ) from error

    def location(self, key: str) -> str:
        """Return the URL of a key."""
        return f"{self._url}/{key}"

    def put(self, key: str, file: IO[bytes], size_bytes: int) -> None:
        """Write the file, which stands at its start, under a key; nobody ever sees a part of it."""
        part_bytes, parts_at_once = upload_parts(size_bytes)
        try:
            obstore.put(
                self._store,
                key,
                file.read() if size_bytes <= _PART_BYTES else file,
                chunk_size=part_bytes,
                max_concurrency=parts_at_once,
            )
        except (BaseError, OSError, ValueError) as error:
            raise self._unavailable("written", error) from error

    def size_of(self, key: str) -> int | None:
        """Return a key's size in bytes, None when there is none."""
        found = self.facts_of(key)
        return None if found is None else found[0]

    def facts_of(self, key: str) -> tuple[int, datetime] | None:
        """Return a key's size in bytes and when it was last written, None when there is none."""
        try:
            found = obstore.head(self._store, key)
        except FileNotFoundError:
            return None
        except (BaseError, OSError, ValueError) as error:
            raise self._unavailable("read", error) from error
        return found["size"], found["last_modified"]

    def read(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `offset` on, at most `length`. Raises NotFound at the first chunk."""
        size_bytes = self.size_of(key)
        if size_bytes is None:
            raise NotFound(f"{self.location(key)} does not exist.")
        end = size_bytes if length is None else min(size_bytes, offset + length)
        # Stores refuse empty ranges.
        if offset >= end:
            return
        try:
            for chunk in obstore.get(self._store, key, options={"range": (offset, end)}):
                yield bytes(chunk)
        except FileNotFoundError:
            raise NotFound(f"{self.location(key)} does not exist.") from None
        except (BaseError, OSError, ValueError) as error:
            raise self._unavailable("read", error) from error

    def list_keys(self) -> Iterator[tuple[str, int]]:
        """Yield every key with its size in bytes."""
        try:
            for page in obstore.list(self._store):
                yield from ((entry["path"], entry["size"]) for entry in page)
        except (BaseError, OSError, ValueError) as error:
            raise self._unavailable("listed", error) from error

    def delete(self, key: str) -> None:
        """Remove a key; absent already is success."""
        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError, ValueError) as error:
            raise self._unavailable("written", error) from error

    def _unavailable(self, done: str, error: Exception) -> StoreUnavailable:
        # The client's own words may carry a signed URL; its error's class says enough.
        return StoreUnavailable(f"object store {self._url} cannot be {done} ({type(error).__name__}).")
