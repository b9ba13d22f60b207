"""The tables. Migrations make them; this says what they are, and a test holds the two together."""

from __future__ import annotations

import sqlalchemy as sa

from mixsync_dagster.state.access_tables import api_keys, audit, idempotency, server_secrets
from mixsync_dagster.state.columns import flag_column as _flag
from mixsync_dagster.state.columns import instant_column as _instant
from mixsync_dagster.state.columns import json_column as _json
from mixsync_dagster.state.columns import metadata
from mixsync_dagster.state.columns import number_column as _number
from mixsync_dagster.state.columns import text_column as _text

__all__ = [
    "SCHEMA_REVISION",
    "api_keys",
    "audit",
    "batch_items",
    "batches",
    "buckets",
    "checkpoints",
    "connections",
    "contents",
    "dead_letters",
    "idempotency",
    "intents",
    "inventory",
    "leases",
    "limits",
    "metadata",
    "objects",
    "outbox",
    "refusals",
    "runs",
    "server_secrets",
    "syncs",
]

SCHEMA_REVISION = "0010"
"""The migration whose result this module describes."""


connections = sa.Table(
    "connections",
    metadata,
    _text("connection_id", key=True),
    _text("name"),
    _flag("archived"),
    _json("definition"),
    sa.Column("credentials", sa.LargeBinary, nullable=True),
    # Copies of what the definition says, which lists are read by.
    _text("internal_id"),
    _text("provider_type"),
    _text("status"),
    _instant("created_at"),
    sa.Index("ix_connections_list", "internal_id", "created_at", "connection_id"),
)
# An archived connection gives its name free. Connections belong to an organisation, whatever its namespaces.
sa.Index(
    "ux_connections_name",
    connections.c.internal_id,
    connections.c.name,
    unique=True,
    sqlite_where=connections.c.archived.is_(False),
    postgresql_where=connections.c.archived.is_(False),
)

buckets = sa.Table(
    "buckets",
    metadata,
    _text("bucket_id", key=True),
    _text("internal_id"),
    _text("namespace_id"),
    _text("name", optional=True),
    _json("definition"),
    sa.Column("credentials", sa.LargeBinary, nullable=True),
)
_named = buckets.c.name.is_not(None)
_bucket_name = (buckets.c.internal_id, buckets.c.namespace_id, buckets.c.name)
sa.Index("ux_buckets_name", *_bucket_name, unique=True, sqlite_where=_named, postgresql_where=_named)

syncs = sa.Table(
    "syncs",
    metadata,
    _text("sync_config_id", key=True),
    _text("internal_id"),
    _text("namespace_id"),
    _text("name"),
    _text("bucket_id"),
    _text("connection_id"),
    _json("config"),
    _text("status"),
    _flag("is_active"),
    _flag("paused"),
    _text("pause_reason", optional=True),
    _instant("paused_at", optional=True),
    _text("paused_by_user_id", optional=True),
    _instant("next_sync_at", optional=True),
    _instant("last_sync_at", optional=True),
    _text("last_error", optional=True),
    _number("consecutive_failures"),
    _flag("pending_full_sync"),
    _number("dispatch_number"),
    _instant("dispatched_at", optional=True),
    _flag("dispatch_taken_up"),
    _instant("requested_at", optional=True),
    _text("current_sync_run_id", optional=True),
    _number("sync_run_counter"),
    _number("last_pass_number"),
    _text("feed_cursor", optional=True),
    _instant("full_pass_at", optional=True),
    _text("resume_cursor", optional=True),
    _number("resume_objects_processed"),
    _number("total_files_discovered"),
    _number("total_files_synced"),
    _number("total_files_failed"),
    _number("total_bytes_synced"),
    _number("batches_created"),
    _instant("created_at"),
    _instant("updated_at"),
    sa.UniqueConstraint("internal_id", "namespace_id", "name", name="ux_syncs_name"),
    sa.Index("ix_syncs_due", "next_sync_at"),
    sa.Index("ix_syncs_bucket", "bucket_id", "created_at", "sync_config_id"),
)

# No reference to syncs: the fence outlives the sync, so that a run of a deleted one is told.
leases = sa.Table(
    "leases",
    metadata,
    _text("sync_config_id", key=True),
    _text("holder"),
    _text("run_id"),
    _number("fence"),
    _number("expires_at"),
    _number("acquired_at"),
)

# No reference to connections: a time that nobody asks for is over soon.
limits = sa.Table(
    "limits",
    metadata,
    _text("connection_id", key=True),
    _number("frozen_at"),
    _number("frozen_until"),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
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

inventory = sa.Table(
    "inventory",
    metadata,
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
    _instant("updated_at"),
    # Rows in key order on disk: a pass reads them as they lie.
    sqlite_with_rowid=False,
)
sa.Index(
    "ix_inventory_duplicate",
    inventory.c.duplicate_of,
    sqlite_where=inventory.c.duplicate_of.is_not(None),
    postgresql_where=inventory.c.duplicate_of.is_not(None),
)
sa.Index(
    "ix_inventory_missing",
    inventory.c.sync_config_id,
    inventory.c.missing_in_pass,
    inventory.c.source_object_id,
    sqlite_where=inventory.c.missing_in_pass.is_not(None),
    postgresql_where=inventory.c.missing_in_pass.is_not(None),
)

# What the metadata filters took out; rows of items that are gone may stay and are never asked for.
refusals = sa.Table(
    "refusals",
    metadata,
    _text("sync_config_id", key=True),
    _text("source_object_id", key=True),
    _text("version"),
    _text("metadata_version", optional=True),
    _text("rules"),
    sqlite_with_rowid=False,
)

objects = sa.Table(
    "objects",
    metadata,
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
    _instant("created_at"),
    _instant("updated_at"),
    _instant("tombstoned_at", optional=True),
)
# Object ids are hashes: each index that starts with them costs a commit as many scattered pages as it has rows. So
# there is one, the primary key, and this one grows at its end.
sa.Index(
    "ix_objects_bucket",
    objects.c.bucket_id,
    sqlite_where=objects.c.state == "active",
    postgresql_where=objects.c.state == "active",
)

# Which objects hold which bytes; what else is known of a blob stands with its object.
contents = sa.Table(
    "contents",
    metadata,
    _text("sha256", key=True),
    _text("object_id", key=True),
    sqlite_with_rowid=False,
)

intents = sa.Table(
    "intents",
    metadata,
    _text("sync_config_id", key=True),
    _text("object_id", key=True),
    _text("source_object_id"),
    _text("version"),
    sqlite_with_rowid=False,
)

# The id follows from sync and source object id, so that a key of any length stays out of the index.
dead_letters = sa.Table(
    "dead_letters",
    metadata,
    _text("dead_letter_id", key=True),
    _text("sync_config_id"),
    _text("source_object_id"),
    _text("source_path"),
    _text("version"),
    _text("state"),
    _number("retry_count"),
    _text("error_type"),
    _text("error_message"),
    _instant("first_seen_at"),
    _instant("last_seen_at"),
    _instant("last_reattempt_at", optional=True),
    _instant("requeued_at", optional=True),
    _instant("resolved_at", optional=True),
    _text("sync_run_id", optional=True),
    sa.Index("ix_dead_letters_state", "sync_config_id", "state", "dead_letter_id"),
    sa.Index("ix_dead_letters_item", "sync_config_id", "source_object_id"),
    # Letters that are next to each other in a list, or requeued together, lie together on disk.
    sqlite_with_rowid=False,
)

batches = sa.Table(
    "batches",
    metadata,
    _text("batch_id", key=True),
    _text("sync_config_id"),
    _text("bucket_id"),
    _number("size"),
    _text("state"),
    _text("task_id", optional=True),
    _instant("created_at"),
    _number("position"),
    _instant("submitted_at", optional=True),
    # Of batches at another service alone.
    _text("remote_batch_id", optional=True),
    _text("task_status", optional=True),
    _text("task_error", optional=True),
    _number("polls", optional=True),
    _instant("ask_again_at", optional=True),
    sa.Index("ix_batches_bucket", "bucket_id", "created_at", "position", "batch_id"),
    sa.Index("ix_batches_sync", "sync_config_id", "created_at", "position"),
)

sa.Index(
    "ix_batches_asked",
    batches.c.ask_again_at,
    sqlite_where=batches.c.ask_again_at.is_not(None),
    postgresql_where=batches.c.ask_again_at.is_not(None),
)

batch_items = sa.Table(
    "batch_items",
    metadata,
    _text("object_id", key=True),
    _text("version", key=True),
    _text("sync_config_id"),
    _text("batch_id", optional=True),
    _instant("added_at"),
    sqlite_with_rowid=False,
)
sa.Index(
    "ix_batch_items_pending",
    batch_items.c.sync_config_id,
    batch_items.c.added_at,
    batch_items.c.object_id,
    sqlite_where=batch_items.c.batch_id.is_(None),
    postgresql_where=batch_items.c.batch_id.is_(None),
)
sa.Index(
    "ix_batch_items_batch",
    batch_items.c.batch_id,
    batch_items.c.object_id,
    sqlite_where=batch_items.c.batch_id.is_not(None),
    postgresql_where=batch_items.c.batch_id.is_not(None),
)

outbox = sa.Table(
    "outbox",
    metadata,
    _text("batch_id", key=True),
    _text("sync_config_id"),
    _text("bucket_id"),
    _number("attempts"),
    _instant("created_at"),
    _number("position"),
    sa.Index("ix_outbox_sync", "sync_config_id", "created_at", "position"),
)

runs = sa.Table(
    "runs",
    metadata,
    _text("sync_run_id", key=True),
    _text("sync_config_id"),
    _text("status"),
    _text("trigger"),
    _instant("started_at"),
    _instant("completed_at", optional=True),
    _json("counters"),
    _text("error", optional=True),
    _text("error_class", optional=True),
    _text("dagster_run_id", optional=True),
    _text("worker_id", optional=True),
    sa.Index("ix_runs_sync", "sync_config_id", "started_at", "sync_run_id"),
)
