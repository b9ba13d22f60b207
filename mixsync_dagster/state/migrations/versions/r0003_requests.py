"""When a person asked for a run that no run has taken up yet.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing has been asked for yet."""
    op.add_column("syncs", sa.Column("requested_at", sa.BigInteger, nullable=True))


def downgrade() -> None:
    """Drop the column; what was asked for is forgotten."""
    op.drop_column("syncs", "requested_at")
