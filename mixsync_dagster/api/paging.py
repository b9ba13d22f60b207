"""Pages of lists: by limit and offset, by page and page size, or by cursor."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query

from mixsync_dagster.api.failures import invalid_query
from mixsync_dagster.ports.listing import Listed, Part

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_OFFSET = 10_000

Entry = TypeVar("Entry")

_TIMED = re.compile(r"(\d{1,17}):([!-~]{1,200})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AS_IT_IS = "give a page's next_cursor as it is"


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list is wanted."""

    limit: int
    offset: int
    after: str | None
    """The key of the entry that the page follows; None without a cursor."""
    include_total: bool


def _paging(
    *,
    limit: Annotated[
        int | None, Query(ge=1, le=MAX_LIMIT, description=f"Most entries of the page; default {DEFAULT_LIMIT}.")
    ] = None,
    offset: Annotated[int | None, Query(ge=0, le=MAX_OFFSET, description="Entries before the page; default 0.")] = None,
    cursor: Annotated[
        str | None, Query(max_length=2000, description="Goes on where a page's next_cursor says.")
    ] = None,
    include_total: Annotated[bool, Query(description="Whether pagination tells how many there are in all.")] = False,
    page_size: Annotated[int | None, Query(ge=1, le=MAX_LIMIT, description="The same as limit.")] = None,
    page: Annotated[
        int | None, Query(ge=1, le=MAX_OFFSET, description="Number of the page, from 1 on, instead of offset.")
    ] = None,
    next_cursor: Annotated[str | None, Query(max_length=2000, description="The same as cursor.")] = None,
    after: Annotated[str | None, Query(max_length=2000, description="The same as cursor.")] = None,
) -> Paging:
    size = _one({"limit": limit, "page_size": page_size}) or DEFAULT_LIMIT
    position = _one({"cursor": cursor, "next_cursor": next_cursor, "after": after})
    starts = {"offset": offset, "page": page, "cursor": position}
    given = [name for name, value in starts.items() if value is not None]
    if len(given) > 1:
        raise invalid_query(given[-1], f"{' and '.join(given)} exclude each other; give one of them")
    start = offset if offset is not None else (page - 1) * size if page is not None else 0
    if start > MAX_OFFSET:
        raise invalid_query("page", f"it lies beyond entry {MAX_OFFSET}; go on by cursor")
    return Paging(size, start, None if position is None else _decoded(position), include_total)


def _long_paging(
    *,
    limit: Annotated[
        int, Query(ge=1, le=MAX_LIMIT, description="Most entries of the page; as many as there can be by default.")
    ] = MAX_LIMIT,
    cursor: Annotated[
        str | None, Query(max_length=2000, description="Goes on where a page's next_cursor says.")
    ] = None,
) -> Paging:
    return Paging(limit, 0, None if cursor is None else _decoded(cursor), include_total=True)


Pages = Annotated[Paging, Depends(_paging)]
"""Which part of a list is wanted, by every style of the contract."""
LongPages = Annotated[Paging, Depends(_long_paging)]
"""Which part of a list is wanted that the contract does not page: all of it, as far as one answer goes."""


def part_of(paging: Paging) -> Part:
    """Return the part of a list, newest first, that is wanted. Raises RequestValidationError for another's cursor."""
    after = None
    if paging.after is not None:
        match = _TIMED.fullmatch(paging.after)
        if match is None:
            raise invalid_query("cursor", _AS_IT_IS)
        after = (_EPOCH + timedelta(microseconds=int(match[1])), match[2])
    return Part(paging.limit, paging.offset, after)


def timed_key(created_at: datetime, identifier: str) -> str:
    """Return what a cursor into a list, newest first, holds of an entry."""
    return f"{(created_at - _EPOCH) // timedelta(microseconds=1)}:{identifier}"


def told(paging: Paging, listed: Listed[Entry], *, key: Callable[[Entry], str]) -> dict[str, Any]:
    """Return the `pagination` of a part that was read."""
    last = key(listed.entries[-1]) if listed.more and listed.entries else None
    return pagination(paging, last=last, total=listed.total)


def pagination(paging: Paging, *, last: str | None, total: int | None) -> dict[str, Any]:
    """Return the `pagination` of a page that is followed by others after the key `last` (None: by no others)."""
    total = total if paging.include_total else None
    # After a cursor, nothing tells how many entries came before.
    number = None if paging.after is not None else paging.offset // paging.limit + 1
    return {
        "total": total,
        "page": number,
        "page_size": paging.limit,
        "total_pages": None if total is None else -(-total // paging.limit),
        "next_page": None if last is None or number is None else str(number + 1),
        "previous_page": None if number is None or number == 1 else str(number - 1),
        "next_cursor": None if last is None else _encoded(last),
    }


def _one(values: dict[str, Any]) -> Any:
    given = {name: value for name, value in values.items() if value is not None}
    if len(set(given.values())) > 1:
        names = list(given)
        raise invalid_query(names[-1], f"{' and '.join(names)} are the same thing; give one of them")
    return next(iter(given.values()), None)


def _encoded(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode("ascii")).decode("ascii").rstrip("=")


def _decoded(cursor: str) -> str:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        key = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        key = ""
    # Every key is an id, and no id holds anything else.
    if not key.isprintable() or not key:
        raise invalid_query("cursor", _AS_IT_IS)
    return key
