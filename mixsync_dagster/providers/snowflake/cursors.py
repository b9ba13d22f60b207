"""Positions in listings and feeds: JSON in ASCII that names the table and key that they belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.ports.provider import Cursor

_LONGEST = 4000
"""Characters; a position is stored in state tables and has to stay under 4 KiB."""


def written(digest: str, position: Mapping[str, Any], *, page: int) -> Cursor:
    """Return the cursor of a position.

    One that would be too long (a key of many kilobytes) only says how many pages came before, and is refused later.
    """
    cursor = json.dumps({"of": digest, **position}, separators=(",", ":"))
    if len(cursor) > _LONGEST:
        cursor = json.dumps({"of": digest, "page": page}, separators=(",", ":"))
    return Cursor(cursor)


def read(cursor: Cursor, digest: str, *fields: str) -> dict[str, Any]:
    """Return the position of a cursor that has these fields. Raises CursorExpired."""
    try:
        position = json.loads(cursor)
    except (ValueError, RecursionError):
        position = None
    if not isinstance(position, dict) or position.get("of") != digest or any(name not in position for name in fields):
        raise CursorExpired("The position is none of this table with this key and watermark; the listing starts again.")
    return position
