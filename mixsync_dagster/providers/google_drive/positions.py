"""Positions of the change feed: one token for each log that the scope depends on, and the marks of its folders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.ports.provider import Cursor
from mixsync_dagster.providers.google_drive.listing import fingerprint
from mixsync_dagster.providers.google_drive.settings import DriveSettings

_FORM = 1
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Position:
    """How far each log was read, and what was known then."""

    root_id: str
    root_name: str
    """What `name_mark` makes of the root folder's name."""
    logs: tuple[tuple[str | None, str], ...]
    """(shared drive, token), None for the account's own log."""
    marks: str
    """What `Marks.text` returned; empty when the folders are too many to be remembered."""
    unsure: bool = False
    """Folders have come into the scope since the marks were made."""

    def cursor(self, settings: DriveSettings) -> Cursor:
        """Return the position as a cursor."""
        cursor = self._text(settings, self.marks)
        return Cursor(cursor if len(cursor) <= _LONGEST else self._text(settings, ""))

    def _text(self, settings: DriveSettings, marks: str) -> str:
        logs = [[drive or "", token] for drive, token in self.logs]
        known = [self.root_id, self.root_name, logs, marks, int(self.unsure)]
        return json.dumps([_FORM, fingerprint(settings), *known], separators=(",", ":"))


def name_mark(name: str) -> str:
    """Return a short stand-in for a name of any length; empty for none."""
    return blake2b(name.encode("utf-8", "replace"), digest_size=8).hexdigest() if name else ""


def position_of(cursor: Cursor, settings: DriveSettings) -> Position:
    """Return the position of a cursor. Raises CursorExpired when it is none of this scope's."""
    try:
        form, scope, root_id, root_name, logs, marks, unsure = json.loads(cursor)
        read = tuple((drive or None, str(token)) for drive, token in logs)
    except (ValueError, TypeError):
        raise CursorExpired("The position is none of a Google Drive feed.") from None
    if form != _FORM or scope != fingerprint(settings) or not read:
        raise CursorExpired("The position is one of another feed.")
    return Position(str(root_id), str(root_name), read, str(marks), bool(unsure))
