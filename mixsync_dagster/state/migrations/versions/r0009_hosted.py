"""What another service calls our batches, and how their processing goes there.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ASKED = "ask_again_at IS NOT NULL"


def upgrade() -> None:
    """Add the columns, empty: batches of embedded buckets have nothing in them."""
    collated = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    for name in ("remote_batch_id", "task_status", "task_error"):
        op.add_column("batches", sa.Column(name, collated, nullable=True))
    for name in ("polls", "ask_again_at"):
        op.add_column("batches", sa.Column(name, sa.BigInteger, nullable=True))
    where = sa.text(_ASKED)
    op.create_index("ix_batches_asked", "batches", ["ask_again_at"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Drop the columns."""
    op.drop_index("ix_batches_asked", "batches")
    for name in ("ask_again_at", "polls", "task_error", "task_status", "remote_batch_id"):
        op.drop_column("batches", name)
