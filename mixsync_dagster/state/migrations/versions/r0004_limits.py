"""A table of the times until which a connection's workers leave its provider alone.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, empty: nobody has to wait."""
    op.create_table(
        "limits",
        # Bytes decide the order, as SQLite compares.
        sa.Column("connection_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), primary_key=True),
        sa.Column("frozen_at", sa.BigInteger, nullable=False),
        sa.Column("frozen_until", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop the table; every worker is told anew."""
    op.drop_table("limits")
