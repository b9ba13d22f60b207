"""The first tables.

Revision ID: 0001
Revises: none
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "connections",
    "buckets",
    "syncs",
    "leases",
    "checkpoints",
    "inventory",
    "objects",
    "contents",
    "intents",
    "dead_letters",
    "batches",
    "batch_items",
    "outbox",
    "runs",
)


def upgrade() -> None:
    """Make all tables."""
    _configuration()
    _syncs()
    _progress()
    _catalog()
    _dead_letters()
    _batches()
    _runs()


def downgrade() -> None:
    """Drop all tables with what they hold."""
    for table in reversed(_TABLES):
        op.drop_table(table)


def _text(name: str, *, key: bool = False, optional: bool = False) -> sa.Column[str]:
    # Bytes decide the order, as SQLite compares.
    collated = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(name, collated, primary_key=key, nullable=optional)


def _json(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _number(name: str, *, optional: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=optional)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=True)


def _partial_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _configuration() -> None:
    op.create_table(
        "connections",
        _text("connection_id", key=True),
        _text("name"),
        _flag("archived"),
        _json("definition"),
        _bytes("credentials"),
    )
    _partial_index("ux_connections_name", "connections", ["name"], "archived IS false", unique=True)
    op.create_table(
        "buckets",
        _text("bucket_id", key=True),
        _text("name", optional=True),
        _json("definition"),
        _bytes("credentials"),
    )


def _syncs() -> None:
    op.create_table(
        "syncs",
        _text("sync_config_id", key=True),
        _text("name"),
        _text("bucket_id"),
        _text("connection_id"),
        _json("config"),
        _text("status"),
        _flag("is_active"),
        _flag("paused"),
        _text("pause_reason", optional=True),
        _number("paused_at", optional=True),
        _text("paused_by_user_id", optional=True),
        _number("next_sync_at", optional=True),
        _number("last_sync_at", optional=True),
        _text("last_error", optional=True),
        _number("consecutive_failures"),
        _flag("pending_full_sync"),
        _number("dispatch_number"),
        _number("dispatched_at", optional=True),
        _flag("dispatch_taken_up"),
        _text("current_sync_run_id", optional=True),
        _number("sync_run_counter"),
        _number("last_pass_number"),
        _text("resume_cursor", optional=True),
        _number("resume_objects_processed"),
        _number("total_files_discovered"),
        _number("total_files_synced"),
        _number("total_files_failed"),
        _number("total_bytes_synced"),
        _number("batches_created"),
        _number("created_at"),
        _number("updated_at"),
        sa.UniqueConstraint("name", name="ux_syncs_name"),
    )
    op.create_index("ix_syncs_due", "syncs", ["next_sync_at"])
    op.create_index("ix_syncs_bucket", "syncs", ["bucket_id"])


def _progress() -> None:
    op.create_table(
        "leases",
        _text("sync_config_id", key=True),
        _text("holder"),
        _text("run_id"),
        _number("fence"),
        _number("expires_at"),
        _number("acquired_at"),
    )
    op.create_table(
        "checkpoints",
        _text("sync_config_id", key=True),
        _number("pass_number"),
        _text("kind"),
        _text("cursor", optional=True),
        _text("feed_head", optional=True),
        _number("shards_done"),
        _number("objects_processed"),
        _flag("complete_so_far"),
        _flag("listed_to_end"),
    )
    op.create_table(
        "inventory",
        _text("sync_config_id", key=True),
        _text("source_object_id", key=True),
        _text("object_id"),
        _text("path"),
        _text("version"),
        _text("metadata_version", optional=True),
        _number("size_bytes", optional=True),
        _text("duplicate_of", optional=True),
        _number("listed_in_pass", optional=True),
        _number("missing_in_pass", optional=True),
        _number("updated_at"),
        sqlite_with_rowid=False,
    )
    _partial_index("ix_inventory_duplicate", "inventory", ["duplicate_of"], "duplicate_of IS NOT NULL")
    _partial_index(
        "ix_inventory_missing",
        "inventory",
        ["sync_config_id", "missing_in_pass", "source_object_id"],
        "missing_in_pass IS NOT NULL",
    )
    op.create_table(
        "intents",
        _text("sync_config_id", key=True),
        _text("object_id", key=True),
        _text("source_object_id"),
        _text("version"),
        sqlite_with_rowid=False,
    )


def _catalog() -> None:
    op.create_table(
        "objects",
        _text("object_id", key=True),
        _text("bucket_id"),
        _text("source_provider"),
        _text("source_object_id"),
        _text("sync_config_id"),
        _text("source_path"),
        _text("version"),
        _text("state"),
        _json("fields"),
        _json("blobs"),
        _text("remote_object_id", optional=True),
        _text("batch_id", optional=True),
        _number("created_at"),
        _number("updated_at"),
        _number("tombstoned_at", optional=True),
    )
    _partial_index("ix_objects_bucket", "objects", ["bucket_id"], "state = 'active'")
    op.create_table("contents", _text("sha256", key=True), _text("object_id", key=True), sqlite_with_rowid=False)


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
        _text("dead_letter_id", key=True),
        _text("sync_config_id"),
        _text("source_object_id"),
        _text("source_path"),
        _text("version"),
        _text("state"),
        _number("retry_count"),
        _text("error_type"),
        _text("error_message"),
        _number("first_seen_at"),
        _number("last_seen_at"),
        _number("last_reattempt_at", optional=True),
        _number("requeued_at", optional=True),
        _number("resolved_at", optional=True),
        _text("sync_run_id", optional=True),
    )
    op.create_index("ix_dead_letters_state", "dead_letters", ["sync_config_id", "state", "dead_letter_id"])


def _batches() -> None:
    op.create_table(
        "batches",
        _text("batch_id", key=True),
        _text("sync_config_id"),
        _text("bucket_id"),
        _number("size"),
        _text("state"),
        _text("task_id", optional=True),
        _number("created_at"),
        _number("position"),
        _number("submitted_at", optional=True),
    )
    op.create_index("ix_batches_bucket", "batches", ["bucket_id", "created_at", "position", "batch_id"])
    op.create_index("ix_batches_sync", "batches", ["sync_config_id", "created_at", "position"])
    op.create_table(
        "batch_items",
        _text("object_id", key=True),
        _text("version", key=True),
        _text("sync_config_id"),
        _text("batch_id", optional=True),
        _number("added_at"),
        sqlite_with_rowid=False,
    )
    pending = ["sync_config_id", "added_at", "object_id"]
    _partial_index("ix_batch_items_pending", "batch_items", pending, "batch_id IS NULL")
    _partial_index("ix_batch_items_batch", "batch_items", ["batch_id", "object_id"], "batch_id IS NOT NULL")
    op.create_table(
        "outbox",
        _text("batch_id", key=True),
        _text("sync_config_id"),
        _text("bucket_id"),
        _number("attempts"),
        _number("created_at"),
        _number("position"),
    )
    op.create_index("ix_outbox_sync", "outbox", ["sync_config_id", "created_at", "position"])


def _runs() -> None:
    op.create_table(
        "runs",
        _text("sync_run_id", key=True),
        _text("sync_config_id"),
        _text("status"),
        _text("trigger"),
        _number("started_at"),
        _number("completed_at", optional=True),
        _json("counters"),
        _text("error", optional=True),
        _text("error_class", optional=True),
        _text("dagster_run_id", optional=True),
        _text("worker_id", optional=True),
    )
    op.create_index("ix_runs_sync", "runs", ["sync_config_id", "started_at", "sync_run_id"])
