"""What lists of connections and syncs are read by, and the answers that are kept for repeated requests.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COPIED = ("internal_id", "provider_type", "status")


def upgrade() -> None:
    """Add the columns, filled from the definitions, and the table, empty."""
    # Bytes decide the order, as SQLite compares.
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    for name in _COPIED:
        op.add_column("connections", sa.Column(name, text, nullable=False, server_default=""))
    op.add_column("connections", sa.Column("created_at", sa.BigInteger, nullable=False, server_default="0"))
    _fill_connections()
    op.create_index("ix_connections_list", "connections", ["internal_id", "created_at", "connection_id"])
    op.drop_index("ix_syncs_bucket", "syncs")
    op.create_index("ix_syncs_bucket", "syncs", ["bucket_id", "created_at", "sync_config_id"])
    op.create_table(
        "idempotency",
        sa.Column("scope", text, primary_key=True),
        sa.Column("request_key", text, primary_key=True),
        sa.Column("fingerprint", text, nullable=False),
        sa.Column("reserved", text, nullable=False),
        sa.Column("token", text, nullable=False),
        sa.Column("held_until", sa.BigInteger, nullable=False),
        sa.Column("status", sa.BigInteger, nullable=True),
        sa.Column("body", text, nullable=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_idempotency_created", "idempotency", ["created_at"])


def downgrade() -> None:
    """Drop the columns and the table; a request that is repeated then is done again."""
    op.drop_index("ix_idempotency_created", "idempotency")
    op.drop_table("idempotency")
    op.drop_index("ix_syncs_bucket", "syncs")
    op.create_index("ix_syncs_bucket", "syncs", ["bucket_id"])
    op.drop_index("ix_connections_list", "connections")
    for name in ("created_at", *reversed(_COPIED)):
        op.drop_column("connections", name)


def _fill_connections() -> None:
    table = sa.table(
        "connections",
        *(sa.column(name) for name in ("connection_id", "definition", *_COPIED, "created_at")),
    )
    bind = op.get_bind()
    for row in bind.execute(sa.select(table.c.connection_id, table.c.definition)).all():
        told = json.loads(row.definition)
        values = {name: told[name] for name in _COPIED}
        values["created_at"] = (datetime.fromisoformat(told["created_at"]) - _EPOCH) // timedelta(microseconds=1)
        bind.execute(sa.update(table).where(table.c.connection_id == row.connection_id).values(values))
