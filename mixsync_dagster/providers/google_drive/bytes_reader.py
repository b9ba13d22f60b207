"""Reading one file: exactly the listed version, whole, or an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mixsync_dagster.errors import ItemChanged, ItemCorrupt, ItemUnreadable, ItemVanished, MixsyncError
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.google_drive.client import DriveClient
from mixsync_dagster.providers.google_drive.errors import Refusal, item_error
from mixsync_dagster.providers.google_drive.items import VERSION_FIELDS, version_of
from mixsync_dagster.providers.google_drive.settings import DriveSettings
from mixsync_dagster.transport.http import HttpAnswer, TruncatedBody

CHUNK_BYTES = 1024 * 1024
EXPORT_SECONDS = 300.0
"""How long an export that Drive makes in the background is waited for."""

_FIRST_LOOK_SECONDS = 1.0
_LONGEST_LOOK_SECONDS = 10.0
_LEAST_SECONDS = 120.0
_LEAST_BYTES_PER_SECOND = 16 * 1024
"""Slower than this on the whole is no service: a read timeout never ends an answer that trickles."""
_TOO_LARGE = "export_too_large"
_MD5_CHARS = 32


class BytesReader:
    """Reads files by their ids; for any number of threads."""

    def __init__(self, client: DriveClient, settings: DriveSettings, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the file's bytes, or those of its export; see Provider.read for the errors."""
        if item.unreadable is not None:
            raise ItemUnreadable(
                f"{item.path} cannot be read: {item.unreadable.replace('_', ' ')}.", error_type=item.unreadable
            )
        native: Mapping[str, Any] = json.loads(item.native or "{}")
        key = native.get("resource_key")
        if export := native.get("export"):
            answer = self._opened(item, lambda: self._open_export(item, export, key))
            yield from self._chunks(item, answer)
            # Nothing in an export tells what it was made of; the version only grows, so that the listed one now means
            # the listed one all the while.
            if self._version_now(item, key) != item.version:
                raise ItemChanged(f"{item.path} changed since it was listed.")
            return
        answer = self._opened(item, lambda: self._client.open_media(item.source_object_id, key))
        if item.size_bytes is not None and answer.announced_bytes not in (None, item.size_bytes):
            answer.close()
            raise self._mismatch(item, key, f"is listed with {item.size_bytes} bytes and was answered with others")
        yield from self._checked(item, answer, native.get("sha256"), key)

    def _checked(self, item: SourceItem, answer: HttpAnswer, sha256: str | None, key: str | None) -> Iterator[bytes]:
        md5, _, size = item.version.partition("-")
        expected = md5 if size and len(md5) == _MD5_CHARS else None
        content = hashlib.sha256() if expected is None and sha256 else hashlib.md5(usedforsecurity=False)
        received = 0
        for chunk in self._chunks(item, answer):
            received += len(chunk)
            content.update(chunk)
            yield chunk
        expected = expected or sha256
        wrong_size = item.size_bytes is not None and received != item.size_bytes
        if wrong_size or (expected and content.hexdigest() != expected):
            raise self._mismatch(item, key, "does not have the size and checksum that it is listed with")

    def _chunks(self, item: SourceItem, answer: HttpAnswer) -> Iterator[bytes]:
        deadline = self._clock.monotonic() + max(_LEAST_SECONDS, (item.size_bytes or 0) / _LEAST_BYTES_PER_SECOND)
        chunks = answer.chunks(CHUNK_BYTES, lambda: self._clock.monotonic() > deadline)
        try:
            yield from chunks
        except TruncatedBody:
            raise ItemCorrupt(f"The connection ended inside {item.path}.") from None
        finally:
            chunks.close()

    def _mismatch(self, item: SourceItem, key: str | None, what: str) -> MixsyncError:
        """Return whether the file was replaced meanwhile or the bytes went wrong on their way."""
        if self._version_now(item, key) != item.version:
            return ItemChanged(f"{item.path} changed since it was listed.")
        return ItemCorrupt(f"What was received of {item.path} {what}.")

    def _version_now(self, item: SourceItem, key: str | None) -> str:
        file = self._opened(item, lambda: self._client.get_file(item.source_object_id, VERSION_FIELDS, key))
        if file.get("trashed"):
            raise ItemVanished(f"{item.path} was put into the trash since it was listed.")
        return version_of(file, self._settings.export_format)

    def _open_export(self, item: SourceItem, mime_type: str, key: str | None) -> HttpAnswer:
        try:
            return self._client.open_export(item.source_object_id, mime_type, key)
        except Refusal as refusal:
            if refusal.code != "exportSizeLimitExceeded":
                raise
        try:
            return self._client.open_address(self._address_of_export(item, mime_type, key))
        except Refusal as refusal:
            error = item_error(refusal, path=item.path, who=self._settings.who, now=self._clock.now())
            if isinstance(error, ItemUnreadable):
                raise _too_large(item, f"Drive does not make it in the background either ({refusal})") from None
            raise error from None

    def _address_of_export(self, item: SourceItem, mime_type: str, key: str | None) -> str:
        """Let Drive make the export in the background and return where it can be fetched.

        Assumed of the live service, whose documentation shows no more: the finished operation's response holds
        `downloadUri`, which takes the same bearer token.
        """
        operation = self._client.start_download(item.source_object_id, mime_type, key)
        deadline = self._clock.monotonic() + EXPORT_SECONDS
        pause = _FIRST_LOOK_SECONDS
        while not operation.get("done"):
            if self._clock.monotonic() >= deadline:
                raise _too_large(item, f"Drive did not finish its export within {EXPORT_SECONDS:.0f} seconds")
            self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_LOOK_SECONDS)
            operation = self._client.get_operation(str(operation.get("name", "")))
        response = operation.get("response")
        address = response.get("downloadUri") if isinstance(response, dict) else None
        if "error" in operation or not isinstance(address, str):
            raise _too_large(item, "its export is over the size limit, and Drive made none in the background either")
        return address

    def _opened(self, item: SourceItem, request: Callable[[], Any]) -> Any:
        try:
            return request()
        except Refusal as refusal:
            raise item_error(refusal, path=item.path, who=self._settings.who, now=self._clock.now()) from None


def _too_large(item: SourceItem, why: str) -> ItemUnreadable:
    return ItemUnreadable(f"{item.path} cannot be exported: {why}.", error_type=_TOO_LARGE)
