"""Checksums that a service keeps beside an object and tells with its bytes when asked to.

They are what there is to check where the ETag is no MD5: after multipart uploads, and under encryption by KMS. Only an
answer of 200 carries them here: with a part of an object the service would send the checksum of the whole. A checksum
of checksums of parts (`COMPOSITE`, `...-3`) cannot be checked without knowing where the parts begin, and is left alone.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Protocol

ASKED: Mapping[str, str] = MappingProxyType({"x-amz-checksum-mode": "ENABLED"})
"""Header of a request whose answer shall tell checksums."""

_PREFIX = "x-amz-checksum-"
_TYPE = f"{_PREFIX}type"
_COMPOSITE = "COMPOSITE"


class _Running(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc:
    """A CRC over chunks, as the service writes it: big-endian."""

    def __init__(self, step: Callable[[bytes, int], int], size_bytes: int) -> None:
        self._step = step
        self._size_bytes = size_bytes
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size_bytes, "big")


class Checksum:
    """What the service says about a whole object, and what its bytes come to so far."""

    def __init__(self, running: _Running, expected: bytes) -> None:
        self._running = running
        self._expected = expected

    def update(self, data: bytes) -> None:
        """Take the next bytes in."""
        self._running.update(data)

    def matches(self) -> bool:
        """Return whether the bytes taken in are those of the service's checksum."""
        return self._running.digest() == self._expected


def whole_checksum(headers: Mapping[str, str]) -> Checksum | None:
    """Return the quickest checksum of the whole object that an answer's headers tell; None when there is none.

    Composite ones, unknown algorithms and values that cannot be read count as none.
    """
    told = {name.lower(): value.strip() for name, value in headers.items() if name.lower().startswith(_PREFIX)}
    if told.get(_TYPE, "").upper() == _COMPOSITE:
        return None
    for name, make in _ALGORITHMS.items():
        value = told.get(_PREFIX + name)
        if value is None:
            continue
        running = make()
        # A composite value ends in "-" and the number of parts, which base64 refuses.
        expected = _decoded(value)
        if expected is not None and len(expected) == len(running.digest()):
            return Checksum(running, expected)
    return None


def _decoded(value: str) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        return None


def _crc32c() -> _Running:
    from awscrt import checksums

    return _Crc(checksums.crc32c, 4)


def _crc64nvme() -> _Running:
    from awscrt import checksums

    return _Crc(checksums.crc64nvme, 8)


_ALGORITHMS: Mapping[str, Callable[[], _Running]] = {
    "crc64nvme": _crc64nvme,
    "crc32c": _crc32c,
    "crc32": lambda: _Crc(zlib.crc32, 4),
    "sha256": hashlib.sha256,
    "sha1": partial(hashlib.sha1, usedforsecurity=False),
    "sha512": hashlib.sha512,
    "md5": partial(hashlib.md5, usedforsecurity=False),
}
"""By the end of the header's name, the quickest first."""
