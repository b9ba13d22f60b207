"""API keys, and whose buckets are whose.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, empty: nobody has a key, and every bucket is that of the command line's owner."""
    # Bytes decide the order, as SQLite compares.
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "api_keys",
        sa.Column("prefix", text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("internal_id", text, nullable=False),
        sa.Column("namespace_id", text, nullable=False),
        sa.Column("user_id", text, nullable=False),
        sa.Column("role", text, nullable=False),
        sa.Column("description", text, nullable=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger, nullable=True),
    )
    op.create_table(
        "bucket_owners",
        sa.Column("bucket_id", text, primary_key=True),
        sa.Column("internal_id", text, nullable=False),
        sa.Column("namespace_id", text, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables; every key is worthless then."""
    op.drop_table("bucket_owners")
    op.drop_table("api_keys")
