"""The tables of whoever comes from outside: keys, secrets, repeated requests, and the record of changes."""

from __future__ import annotations

import sqlalchemy as sa

from mixsync_dagster.state.columns import instant_column, metadata, number_column, text_column

# What the server itself keeps secret, sealed with its key as credentials are.
server_secrets = sa.Table(
    "server_secrets",
    metadata,
    text_column("name", key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

# Who changed what. Rows are added and, when they are old, removed; a trigger refuses every change of one.
audit = sa.Table(
    "audit",
    metadata,
    text_column("entry_id", key=True),
    instant_column("at"),
    text_column("internal_id"),
    text_column("namespace_id"),
    text_column("user_id"),
    text_column("key_prefix", optional=True),
    text_column("origin"),
    text_column("operation"),
    text_column("resource", optional=True),
    text_column("outcome"),
    number_column("status", optional=True),
    text_column("request_id", optional=True),
    sa.Index("ix_audit_at", "at", "entry_id"),
    sa.Index("ix_audit_namespace", "internal_id", "namespace_id", "at", "entry_id"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    text_column("prefix", key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    text_column("internal_id"),
    text_column("namespace_id"),
    text_column("user_id"),
    text_column("role"),
    text_column("description", optional=True),
    instant_column("created_at"),
    instant_column("revoked_at", optional=True),
)

# Requests that name themselves, and what they were answered with.
idempotency = sa.Table(
    "idempotency",
    metadata,
    text_column("scope", key=True),
    text_column("request_key", key=True),
    text_column("fingerprint"),
    text_column("reserved"),
    text_column("token"),
    instant_column("held_until"),
    number_column("status", optional=True),
    text_column("body", optional=True),
    instant_column("created_at"),
    sa.Index("ix_idempotency_created", "created_at"),
)
