"""A table of what metadata filters refused.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, empty: what was refused so far is asked once more."""
    op.create_table(
        "refusals",
        _text("sync_config_id", key=True),
        _text("source_object_id", key=True),
        _text("version"),
        _text("metadata_version", optional=True),
        _text("rules"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop the table with what it holds."""
    op.drop_table("refusals")


def _text(name: str, *, key: bool = False, optional: bool = False) -> sa.Column[str]:
    # Bytes decide the order, as SQLite compares.
    collated = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(name, collated, primary_key=key, nullable=optional)
