"""Dead letters in the order of their ids, and found by their items.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TEXTS = ("sync_config_id", "source_object_id", "source_path", "version", "state")
_TIMES = ("last_reattempt_at", "requeued_at", "resolved_at")
_BY_STATE = ("ix_dead_letters_state", ["sync_config_id", "state", "dead_letter_id"])
_BY_ITEM = ("ix_dead_letters_item", ["sync_config_id", "source_object_id"])


def upgrade() -> None:
    """Lay SQLite's rows in key order: a page of letters is then a few pages of the file, not one for each letter."""
    if op.get_context().dialect.name == "sqlite":
        _lay_anew(with_rowid=False)
    op.create_index(_BY_ITEM[0], "dead_letters", _BY_ITEM[1])


def downgrade() -> None:
    """Drop the index, and lay the rows as they came."""
    op.drop_index(_BY_ITEM[0], "dead_letters")
    if op.get_context().dialect.name == "sqlite":
        _lay_anew(with_rowid=True)


def _lay_anew(*, with_rowid: bool) -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("dead_letter_id", sa.Text(), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _TEXTS),
        sa.Column("retry_count", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("error_type", "error_message")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("first_seen_at", "last_seen_at")),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in _TIMES),
        sa.Column("sync_run_id", sa.Text(), nullable=True),
    ]
    names = ", ".join(column.name for column in columns)
    op.create_table("dead_letters_anew", *columns, sqlite_with_rowid=with_rowid)
    order = " ORDER BY dead_letter_id"
    op.execute(f"INSERT INTO dead_letters_anew ({names}) SELECT {names} FROM dead_letters{order}")  # noqa: S608 - ours
    op.drop_table("dead_letters")
    op.rename_table("dead_letters_anew", "dead_letters")
    op.create_index(_BY_STATE[0], "dead_letters", _BY_STATE[1])
