"""How values are written to the database: text without NUL, times as microseconds, JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def escape(text: str) -> str:
    """Return the text without NUL, which PostgreSQL refuses; the order of two texts stays as it was."""
    # U+0001 introduces the escapes, so that both stay below U+0002 and NUL stays below U+0001.
    if "\x00" not in text and "\x01" not in text:
        return text
    return text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")


def unescape(text: str) -> str:
    """Return the text that `escape` was given."""
    if "\x01" not in text:
        return text
    return text.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01")


def escape_optional(text: str | None) -> str | None:
    """Return `escape(text)`, and None for None."""
    return None if text is None else escape(text)


def to_micros(moment: datetime) -> int:
    """Return an aware time as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC time of these microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def dump_json(value: Any) -> str:
    """Return compact JSON in ASCII, so that nothing in it needs an escape of ours; times as ISO text."""
    return _ENCODER.encode(value)


def _json_default(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_json_default)


class EscapedText(TypeDecorator[str]):
    """Text of any content, compared by code point on both databases."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """Return TEXT, on PostgreSQL in the collation that compares bytes as SQLite does."""
        return sa.Text(collation="C" if dialect.name == "postgresql" else None)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - fixed signature
        """Return the text as it is stored."""
        return escape_optional(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - fixed signature
        """Return the text as it was given."""
        return None if value is None else unescape(value)


class Instant(TypeDecorator[datetime]):
    """An aware time, stored as microseconds since 1970."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - fixed signature
        """Return the time as it is stored."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - fixed signature
        """Return the time as aware UTC."""
        return None if value is None else from_micros(value)


class Json(TypeDecorator[Any]):
    """A JSON value, stored as ASCII text and never searched by the database."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002 - fixed signature
        """Return the value as it is stored."""
        return dump_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - fixed signature
        """Return the value; None for an absent one."""
        return None if value is None else json.loads(value)
