"""What the tables are made of."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mixsync_dagster.state.codec import EscapedText, Instant, Json

metadata = sa.MetaData()
"""Of all tables."""


def text_column(name: str, *, key: bool = False, optional: bool = False) -> sa.Column[str]:
    """Return a column of text of any content."""
    return sa.Column(name, EscapedText, primary_key=key, nullable=optional)


def instant_column(name: str, *, optional: bool = False) -> sa.Column[Any]:
    """Return a column of aware times."""
    return sa.Column(name, Instant, nullable=optional)


def number_column(name: str, *, optional: bool = False) -> sa.Column[int]:
    """Return a column of whole numbers."""
    return sa.Column(name, sa.BigInteger, nullable=optional)


def flag_column(name: str) -> sa.Column[bool]:
    """Return a column of booleans."""
    return sa.Column(name, sa.Boolean, nullable=False)


def json_column(name: str) -> sa.Column[Any]:
    """Return a column of JSON values."""
    return sa.Column(name, Json, nullable=False)
