"""Where a sync's change feed goes on, and when everything was listed last.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, empty: the next pass lists everything."""
    collated = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("syncs", sa.Column("feed_cursor", collated, nullable=True))
    op.add_column("syncs", sa.Column("full_pass_at", sa.BigInteger, nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("syncs", "full_pass_at")
    op.drop_column("syncs", "feed_cursor")
