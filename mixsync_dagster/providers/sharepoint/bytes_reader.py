"""Reading one file: exactly the listed version, whole, or an error."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterator
from typing import Any

from mixsync_dagster.errors import (
    ItemChanged,
    ItemCorrupt,
    ItemUnreadable,
    ItemVanished,
    ProviderUnavailable,
)
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.sharepoint.client import GraphClient, segment
from mixsync_dagster.providers.sharepoint.errors import Refusal, item_error
from mixsync_dagster.providers.sharepoint.quickxor import QuickXor
from mixsync_dagster.providers.sharepoint.rows import checksum_of, ids_of, version_of
from mixsync_dagster.transport.http import HttpAnswer, TruncatedBody

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024
RESUMES = 3
"""How often a read goes on behind what it has, when the connection ends inside the bytes."""
_LEAST_SECONDS = 120.0
_LEAST_BYTES_PER_SECOND = 16 * 1024
"""Slower than this on the whole is no service: a read timeout never ends an answer that trickles."""
_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
_STALE_ADDRESS = frozenset({401, 403, 404, 410})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-")
_REWRITTEN = (
    *(".docx", ".docm", ".dotx", ".dotm", ".xlsx", ".xlsm", ".xlsb", ".xltx", ".pptx", ".pptm", ".potx", ".ppsx"),
    *(".doc", ".xls", ".ppt", ".vsdx", ".one", ".pdf", ".html", ".htm", ".aspx"),
)
"""Kinds of files into which SharePoint writes a library's columns, and whose size or checksum it may tell wrongly."""


class BytesReader:
    """Reads files of one connection; for any number of threads."""

    def __init__(self, client: GraphClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def entry(self, item: SourceItem, query: str = "") -> dict[str, Any]:
        """Return the item's present entry, of the listed version. Raises ItemChanged, and as Provider.read."""
        drive_id, item_id = ids_of(item.source_object_id)
        try:
            entry = self._client.get(f"/drives/{segment(drive_id)}/items/{segment(item_id)}{query}")
        except Refusal as refusal:
            raise item_error(refusal, path=item.path, now=self._clock.now()) from None
        if "deleted" in entry or "file" not in entry:
            raise ItemVanished(f"{item.path} is gone since it was listed.")
        if "malware" in entry:
            raise ItemUnreadable(f"{item.path} cannot be read: the service found malware in it.", error_type="malware")
        if version_of(entry) != item.version:
            raise ItemChanged(f"{item.path} changed since it was listed.")
        return entry

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the file's bytes; see Provider.read for the errors.

        Two requests: the entry, with a fresh address, and the bytes. A connection that ends early is gone on with.
        """
        entry = self.entry(item)
        if entry.get("size") == 0:
            return
        content, received = QuickXor(), 0
        chunks = self._chunks(item, entry)
        try:
            for chunk in chunks:
                content.update(chunk)
                received += len(chunk)
                yield chunk
        finally:
            chunks.close()
        self._verify(item, entry, content.base64(), received)

    def _verify(self, item: SourceItem, entry: dict[str, Any], checksum: str, received: int) -> None:
        told, size = checksum_of(entry), entry.get("size")
        rewritten = item.path.lower().endswith(_REWRITTEN)
        if told == checksum:
            # The size that is told may be another: the checksum covers the length.
            return
        if not told:
            # Without a checksum, the eTag is the version: unchanged before and after is all that can be known.
            self.entry(item)
            if received != size and not rewritten:
                raise ItemCorrupt(f"{item.path} is listed with {size} bytes and was answered with {received}.")
            return
        self.entry(item)
        if rewritten and self._read_again(item) == checksum:
            logger.warning(
                "%s has another checksum than the service tells; read twice with the same bytes, it is taken as it is",
                item.source_object_id,
            )
            return
        raise ItemCorrupt(f"The bytes received of {item.path} do not have the checksum that it is listed with.")

    def _read_again(self, item: SourceItem) -> str:
        content = QuickXor()
        for chunk in self._chunks(item, self.entry(item)):
            content.update(chunk)
        return content.base64()

    def _chunks(self, item: SourceItem, entry: dict[str, Any]) -> Generator[bytes]:
        """Yield the bytes, going on where a connection ended, at most RESUMES times and only after some progress."""
        deadline = self._clock.monotonic() + max(_LEAST_SECONDS, (item.size_bytes or 0) / _LEAST_BYTES_PER_SECOND)
        position, resumes = 0, 0
        while True:
            answer = self._open(item, entry, position)
            skip = position - _start_of(answer)
            if skip < 0:
                answer.close()
                raise ItemCorrupt(f"A part of {item.path} was asked for and another was answered.")
            before = position
            chunks = answer.chunks(CHUNK_BYTES, lambda: self._clock.monotonic() > deadline)
            try:
                for chunk in chunks:
                    fresh = chunk[skip:] if skip else chunk
                    skip -= len(chunk) - len(fresh)
                    position += len(fresh)
                    if fresh:
                        yield fresh
            except TruncatedBody:
                resumes += 1
                if position == before or resumes > RESUMES:
                    raise ItemCorrupt(f"The connection ended inside {item.path}.") from None
            else:
                return
            finally:
                chunks.close()
            entry = self.entry(item)

    def _open(self, item: SourceItem, entry: dict[str, Any], position: int) -> HttpAnswer:
        """Return the answer with the bytes from `position`, or from the start where ranges are not served.

        Addresses last for minutes, and may end sooner: one that is refused is asked for anew, once.
        """
        headers = {"Range": f"bytes={position}-"} if position else {}
        answer = self._download(item, entry, headers)
        if answer.status in _STALE_ADDRESS:
            answer.close()
            answer = self._download(item, self.entry(item), headers)
        if answer.status in (_OK, _PARTIAL):
            return answer
        refusal = self._client.refusal_of(answer)
        if refusal.status in (_UNSATISFIABLE, 404, 410):
            raise ItemChanged(f"{item.path} changed since it was listed.")
        if refusal.status == 302:  # noqa: PLR2004 - Found
            raise ProviderUnavailable(f"The address of {item.path}'s bytes leads elsewhere; it is not followed.")
        if refusal.status in (401, 403):
            # Not Graph's word about the token, as in item_error: this host was shown none.
            message = f"{item.path} cannot be read: a new address for its bytes is refused as well ({refusal})."
            raise ItemUnreadable(message, error_type="access_denied")
        raise item_error(refusal, path=item.path, now=self._clock.now())

    def _download(self, item: SourceItem, entry: dict[str, Any], headers: dict[str, str]) -> HttpAnswer:
        url = entry.get("@microsoft.graph.downloadUrl")
        if not isinstance(url, str):
            url = self._address(item)
        return self._client.download(url, str(entry.get("webUrl") or ""), headers)

    def _address(self, item: SourceItem) -> str:
        """Return the address that the item's content redirects to, for entries that do not tell it."""
        drive_id, item_id = ids_of(item.source_object_id)
        answer = self._client.send(f"/drives/{segment(drive_id)}/items/{segment(item_id)}/content")
        location = answer.headers.get("Location")
        if answer.status in (302, 307) and location:
            answer.close()
            return location
        refusal = self._client.refusal_of(answer)
        if refusal.status < 400:  # noqa: PLR2004 - no refusal
            raise ProviderUnavailable(f"The service does not tell where the bytes of {item.path} are ({refusal}).")
        raise item_error(refusal, path=item.path, now=self._clock.now())


def _start_of(answer: HttpAnswer) -> int:
    if answer.status != _PARTIAL:
        return 0
    match = _CONTENT_RANGE.match(answer.headers.get("Content-Range") or "")
    return int(match[1]) if match else 0
