"""The tables. Migrations make them; this says what they are, and a test holds the two together."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mixsync_dagster.state.codec import EscapedText, Instant, Json

SCHEMA_REVISION = "0009"
"""The migration whose result this module describes."""



connections = sa.Table(
    "connections",
    metadata,
    text_column("connection_id", key=True),
    text_column("name"),
    flag_column("archived"),
    json_column("definition"),
    sa.Column("credentials", sa.LargeBinary, nullable=True),
    # Copies of what the definition says, which lists are read by.
    text_column("internal_id"),
    text_column("provider_type"),
    text_column("status"),
    instant_column("created_at"),
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
    text_column("bucket_id", key=True),
    text_column("internal_id"),
    text_column("namespace_id"),
    text_column("name", optional=True),
    json_column("definition"),
    sa.Column("credentials", sa.LargeBinary, nullable=True),
)
_named = buckets.c.name.is_not(None)
_bucket_name = (buckets.c.internal_id, buckets.c.namespace_id, buckets.c.name)
sa.Index("ux_buckets_name", *_bucket_name, unique=True, sqlite_where=_named, postgresql_where=_named)

syncs = sa.Table(
    "syncs",
    metadata,
    text_column("sync_config_id", key=True),
    text_column("internal_id"),
    text_column("namespace_id"),
    text_column("name"),
    text_column("bucket_id"),
    text_column("connection_id"),
    json_column("config"),
    text_column("status"),
    flag_column("is_active"),
    flag_column("paused"),
    text_column("pause_reason", optional=True),
    instant_column("paused_at", optional=True),
    text_column("paused_by_user_id", optional=True),
    instant_column("next_sync_at", optional=True),
    instant_column("last_sync_at", optional=True),
    text_column("last_error", optional=True),
    number_column("consecutive_failures"),
    flag_column("pending_full_sync"),
    number_column("dispatch_number"),
    instant_column("dispatched_at", optional=True),
    flag_column("dispatch_taken_up"),
    instant_column("requested_at", optional=True),
    text_column("current_sync_run_id", optional=True),
    number_column("sync_run_counter"),
    number_column("last_pass_number"),
    text_column("feed_cursor", optional=True),
    instant_column("full_pass_at", optional=True),
    text_column("resume_cursor", optional=True),
    number_column("resume_objects_processed"),
    number_column("total_files_discovered"),
    number_column("total_files_synced"),
    number_column("total_files_failed"),
    number_column("total_bytes_synced"),
    number_column("batches_created"),
    instant_column("created_at"),
    instant_column("updated_at"),
    sa.UniqueConstraint("internal_id", "namespace_id", "name", name="ux_syncs_name"),
    sa.Index("ix_syncs_due", "next_sync_at"),
    sa.Index("ix_syncs_bucket", "bucket_id", "created_at", "sync_config_id"),
)

# No reference to syncs: the fence outlives the sync, so that a run of a deleted one is told.
leases = sa.Table(
    "leases",
    metadata,
    text_column("sync_config_id", key=True),
    text_column("holder"),
    text_column("run_id"),
    number_column("fence"),
    number_column("expires_at"),
    number_column("acquired_at"),
)

# No reference to connections: a time that nobody asks for is over soon.
limits = sa.Table(
    "limits",
    metadata,
    text_column("connection_id", key=True),
    number_column("frozen_at"),
    number_column("frozen_until"),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    text_column("sync_config_id", key=True),
    number_column("pass_number"),
    text_column("kind"),
    text_column("cursor", optional=True),
    text_column("feed_head", optional=True),
    number_column("shards_done"),
    number_column("objects_processed"),
    flag_column("complete_so_far"),
    flag_column("listed_to_end"),
)

inventory = sa.Table(
    "inventory",
    metadata,
    text_column("sync_config_id", key=True),
    text_column("source_object_id", key=True),
    text_column("object_id"),
    text_column("path"),
    text_column("version"),
    text_column("metadata_version", optional=True),
    number_column("size_bytes", optional=True),
    text_column("duplicate_of", optional=True),
    number_column("listed_in_pass", optional=True),
    number_column("missing_in_pass", optional=True),
    instant_column("updated_at"),
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
    text_column("sync_config_id", key=True),
    text_column("source_object_id", key=True),
    text_column("version"),
    text_column("metadata_version", optional=True),
    text_column("rules"),
    sqlite_with_rowid=False,
)

objects = sa.Table(
    "objects",
    metadata,
    text_column("object_id", key=True),
    text_column("bucket_id"),
    text_column("source_provider"),
    text_column("source_object_id"),
    text_column("sync_config_id"),
    text_column("source_path"),
    text_column("version"),
    text_column("state"),
    json_column("fields"),
    json_column("blobs"),
    text_column("remote_object_id", optional=True),
    text_column("batch_id", optional=True),
    instant_column("created_at"),
    instant_column("updated_at"),
    instant_column("tombstoned_at", optional=True),
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
    text_column("sha256", key=True),
    text_column("object_id", key=True),
    sqlite_with_rowid=False,
)

intents = sa.Table(
    "intents",
    metadata,
    text_column("sync_config_id", key=True),
    text_column("object_id", key=True),
    text_column("source_object_id"),
    text_column("version"),
    sqlite_with_rowid=False,
)

# The id follows from sync and source object id, so that a key of any length stays out of the index.
dead_letters = sa.Table(
    "dead_letters",
    metadata,
    text_column("dead_letter_id", key=True),
    text_column("sync_config_id"),
    text_column("source_object_id"),
    text_column("source_path"),
    text_column("version"),
    text_column("state"),
    number_column("retry_count"),
    text_column("error_type"),
    text_column("error_message"),
    instant_column("first_seen_at"),
    instant_column("last_seen_at"),
    instant_column("last_reattempt_at", optional=True),
    instant_column("requeued_at", optional=True),
    instant_column("resolved_at", optional=True),
    text_column("sync_run_id", optional=True),
    sa.Index("ix_dead_letters_state", "sync_config_id", "state", "dead_letter_id"),
)

batches = sa.Table(
    "batches",
    metadata,
    text_column("batch_id", key=True),
    text_column("sync_config_id"),
    text_column("bucket_id"),
    number_column("size"),
    text_column("state"),
    text_column("task_id", optional=True),
    instant_column("created_at"),
    number_column("position"),
    instant_column("submitted_at", optional=True),
    # Of batches at another service alone.
    text_column("remote_batch_id", optional=True),
    text_column("task_status", optional=True),
    text_column("task_error", optional=True),
    number_column("polls", optional=True),
    instant_column("ask_again_at", optional=True),
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
    text_column("object_id", key=True),
    text_column("version", key=True),
    text_column("sync_config_id"),
    text_column("batch_id", optional=True),
    instant_column("added_at"),
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
    text_column("batch_id", key=True),
    text_column("sync_config_id"),
    text_column("bucket_id"),
    number_column("attempts"),
    instant_column("created_at"),
    number_column("position"),
    sa.Index("ix_outbox_sync", "sync_config_id", "created_at", "position"),
)

runs = sa.Table(
    "runs",
    metadata,
    text_column("sync_run_id", key=True),
    text_column("sync_config_id"),
    text_column("status"),
    text_column("trigger"),
    instant_column("started_at"),
    instant_column("completed_at", optional=True),
    json_column("counters"),
    text_column("error", optional=True),
    text_column("error_class", optional=True),
    text_column("dagster_run_id", optional=True),
    text_column("worker_id", optional=True),
    sa.Index("ix_runs_sync", "sync_config_id", "started_at", "sync_run_id"),
)
