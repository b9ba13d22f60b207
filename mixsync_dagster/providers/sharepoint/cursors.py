"""Positions of listings and feeds as short printable text, with the scope that they belong to."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.ports.provider import Cursor

LONGEST = 4000
"""Longest cursor in characters; the port promises less than 4 KiB."""

_LONGEST_PLAIN = 64 * 1024
Kind = Literal["listing", "feed"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a source path names: a library or a folder of it."""

    drive_id: str
    folder_id: str | None
    """None: the whole library."""
    root: str
    """Path of the folder below the library's root, ending in "/"; empty for the whole library."""
    named: str = ""
    """A digest of the settings that named it: with others, its positions are none."""

    @property
    def placed(self) -> Mapping[str, str]:
        """The scope's own folder, by its id, with its path; empty for the whole library."""
        return {} if self.folder_id is None else {self.folder_id: self.root}


@dataclass(frozen=True, slots=True)
class Position:
    """A link that goes on, and the scope that it was given for."""

    kind: Kind
    scope: Scope
    link: str


def encode(position: Position, *, step: int = 0) -> Cursor:
    """Return the position as text: plain where that is short, else compressed.

    Links are kept whole: they carry the choice of fields, and the form of their token is the service's business.
    `step` tells positions apart that differ in nothing else. Raises ProviderUnavailable when even the compressed text
    is too long, which no link of the service has been seen to be.
    """
    scope = position.scope
    fields = [position.kind, scope.named, scope.drive_id, scope.folder_id, scope.root, position.link, step]
    plain = "1" + json.dumps(fields, separators=(",", ":"))
    if len(plain) <= LONGEST // 2:
        return Cursor(plain)
    packed = "2" + base64.urlsafe_b64encode(zlib.compress(plain[1:].encode(), 9)).decode("ascii")
    if len(packed) > LONGEST:
        raise ProviderUnavailable("The service's link to the next page is too long to be kept; the pass starts again.")
    return Cursor(packed)


def decode(cursor: Cursor, kind: Kind) -> Position:
    """Return the position that a cursor stands for. Raises CursorExpired for text that is none of this kind."""
    try:
        text = cursor[1:]
        if cursor[:1] == "2":
            packed = zlib.decompressobj()
            text = packed.decompress(base64.b64decode(text, altchars=b"-_", validate=True), _LONGEST_PLAIN).decode()
        elif cursor[:1] != "1":
            text = ""
        told, named, drive_id, folder_id, root, link, _step = json.loads(text)
    except (ValueError, TypeError, binascii.Error, zlib.error):
        told, named, drive_id, folder_id, root, link = "", "", "", None, "", ""
    texts = all(isinstance(one, str) for one in (named, drive_id, root, link)) and isinstance(folder_id, str | None)
    if told != kind or not texts or not link:
        raise CursorExpired("The stored position is none of this provider; everything is listed again.")
    return Position(kind, Scope(drive_id, folder_id, root, named), link)
