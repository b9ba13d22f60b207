"""Reading one object: exactly the listed version, whole, or an error."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping

from mixsync_dagster.errors import ItemChanged, ItemCorrupt, MixsyncError, RateLimited
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.s3.checksums import ASKED, Checksum, whole_checksum
from mixsync_dagster.providers.s3.client import S3Client, refusal_of
from mixsync_dagster.providers.s3.errors import Refusal, item_error
from mixsync_dagster.transport.http import HttpAnswer, TruncatedBody

SMALL_BYTES = 1024 * 1024
"""Objects up to this size are read in one piece."""
CHUNK_BYTES = 1024 * 1024
_LEAST_SECONDS = 120.0
_LEAST_BYTES_PER_SECOND = 16 * 1024
"""Slower than this on the whole is no service: a read timeout never ends an answer that trickles."""
_MD5 = re.compile(r"[0-9a-f]{32}")
_DOTS = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")
_OK = 200
_READABLE = (200, 206, 416)
"""Answers to a ranged request for an object that can be read; 416 where it is empty."""
_UNEXPLAINED = (400, 401, 403)


def plainly_said(key: str) -> bool:
    """Return whether obstore asks for exactly this key; it tidies or refuses keys of other forms."""
    return (
        key.isprintable()
        and key != ""
        and key[0] != "/"
        and key[-1] != "/"
        and "//" not in key
        and (("/." not in key and key[0] != ".") or _DOTS.search(key) is None)
    )


def plain_etag(etag: str | None) -> str:
    """Return an ETag header without quotes and weakness mark; empty when there is none."""
    return (etag or "").strip().removeprefix("W/").strip('"')


class BytesReader:
    """Reads objects of one bucket; for any number of threads."""

    def __init__(self, client: S3Client, clock: Clock, *, bucket: str, etag_is_md5: bool) -> None:
        self._client = client
        self._clock = clock
        self._bucket = bucket
        self._etag_is_md5 = etag_is_md5
        self._keyed_seen = False
        self._throttle = threading.Lock()
        self._refusals = 0
        self._last_wait: float | None = None

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the object's bytes; see Provider.read for the errors."""
        # obstore does not tell checksums: it reads what the ETag checks.
        small = item.size_bytes is not None and item.size_bytes <= SMALL_BYTES and plainly_said(item.path)
        if not (small and self._client.small_reads) or self._keyed_seen or not self._etag_checks(item):
            yield from self._stream(item, self._open(item))
            return
        try:
            etag, content = self._client.get_small(item.path, item.version)
        except TruncatedBody:
            raise _cut_short(item) from None
        except Refusal as refusal:
            if not refusal.throttled:
                raise self._error(refusal, item) from None
            # obstore does not tell Retry-After, so the question is put again in a way that does.
            yield from self._stream(item, self._open_throttled(item))
            return
        data = bytes(content)
        self._require_version(item, etag)
        if len(data) != item.size_bytes:
            raise _wrong_size(item, len(data))
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != item.version:
            self._judge_mismatch(item, data)
        yield data

    def head(self, item: SourceItem, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """Return the headers of the object, of the listed version; raises as `read`."""
        answer = self._client.send("HEAD", item.path.encode(), headers=headers)
        if answer.status != _OK:
            raise self._error(self._explained(refusal_of(answer), item), item)
        answer.close()
        self._require_version(item, answer.headers.get("ETag"))
        return answer

    def _explained(self, refusal: Refusal, item: SourceItem) -> Refusal:
        """Return the refusal with its code, which an answer to HEAD has no body for.

        The code tells keys that are no longer taken, which end the run, from one object that may not be read.
        """
        if refusal.code or refusal.status not in _UNEXPLAINED:
            return refusal
        answer = self._client.send("GET", item.path.encode(), headers={"Range": "bytes=0-0"})
        if answer.status in _READABLE:
            answer.close()
            return refusal
        return refusal_of(answer)

    def _open(self, item: SourceItem) -> HttpAnswer:
        answer = self._client.send("GET", item.path.encode(), headers={"If-Match": f'"{item.version}"', **ASKED})
        if answer.status != _OK:
            raise self._error(refusal_of(answer), item)
        return answer

    def _open_throttled(self, item: SourceItem) -> HttpAnswer:
        """Ask once more, one thread at a time; the others share what it was told."""
        seen = self._refusals
        with self._throttle:
            if self._refusals != seen:
                raise RateLimited("The service asks to slow down.", retry_after_seconds=self._last_wait)
            try:
                return self._open(item)
            except RateLimited as error:
                self._refusals += 1
                self._last_wait = error.retry_after_seconds
                raise

    def _stream(self, item: SourceItem, answer: HttpAnswer) -> Iterator[bytes]:
        try:
            # The answer's own ETag: services exist that ignore If-Match.
            self._require_version(item, answer.headers.get("ETag"))
            if item.size_bytes is not None and answer.announced_bytes not in (None, item.size_bytes):
                raise _wrong_size(item, answer.announced_bytes or 0)
        except MixsyncError:
            answer.close()
            raise
        content = self._check_of(item, answer)
        deadline = self._clock.monotonic() + max(_LEAST_SECONDS, (item.size_bytes or 0) / _LEAST_BYTES_PER_SECOND)
        received = 0
        chunks = answer.chunks(CHUNK_BYTES, lambda: self._clock.monotonic() > deadline)
        try:
            for chunk in chunks:
                received += len(chunk)
                if content is not None:
                    content.update(chunk)
                yield chunk
        except TruncatedBody:
            raise _cut_short(item) from None
        finally:
            chunks.close()
        if item.size_bytes is not None and received != item.size_bytes:
            raise _wrong_size(item, received)
        if content is not None and not content.matches():
            raise _wrong_content(item)

    def _check_of(self, item: SourceItem, answer: HttpAnswer) -> Checksum | None:
        """Return what the bytes are held against: the ETag where it is an MD5, else a checksum that the answer tells.

        None when the service keeps no checksum of the whole object: then only its size and version are checked.
        """
        if self._etag_checks(item) and not _keyed(answer):
            return Checksum(hashlib.md5(usedforsecurity=False), bytes.fromhex(item.version))
        return whole_checksum(answer.headers)

    def _etag_checks(self, item: SourceItem) -> bool:
        return self._etag_is_md5 and _MD5.fullmatch(item.version) is not None

    def _judge_mismatch(self, item: SourceItem, data: bytes) -> None:
        """Return if the ETag is no MD5 after all, since a key encrypts the object; else raise what is wrong."""
        answer = self.head(item, ASKED)
        if not _keyed(answer):
            raise _wrong_content(item)
        # A bucket's encryption is a setting of the bucket: asking again for every object would double the requests.
        self._keyed_seen = True
        content = whole_checksum(answer.headers)
        if content is not None:
            content.update(data)
            if not content.matches():
                raise _wrong_content(item)

    def _require_version(self, item: SourceItem, etag: str | None) -> None:
        if plain_etag(etag) != item.version:
            raise ItemChanged(f"{item.path} changed since it was listed.")

    def _error(self, refusal: Refusal, item: SourceItem) -> MixsyncError:
        return item_error(refusal, bucket=self._bucket, key=item.path, right="s3:GetObject", now=self._clock.now())


def _keyed(answer: HttpAnswer) -> bool:
    """Whether the object is encrypted in a way that makes its ETag something else than the MD5."""
    method = answer.headers.get("x-amz-server-side-encryption") or ""
    return method.startswith("aws:kms") or "x-amz-server-side-encryption-customer-algorithm" in answer.headers


def _cut_short(item: SourceItem) -> ItemCorrupt:
    return ItemCorrupt(f"The connection ended inside {item.path}.")


def _wrong_size(item: SourceItem, received: int) -> ItemCorrupt:
    return ItemCorrupt(f"{item.path} is listed with {item.size_bytes} bytes and was answered with {received}.")


def _wrong_content(item: SourceItem) -> ItemCorrupt:
    return ItemCorrupt(f"The bytes received of {item.path} do not have the checksum that it is listed with.")
