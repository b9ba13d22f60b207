"""Names that are unique in a namespace, the server's own secrets, and the record of who changed what.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_LOCAL = {"internal_id": "int_local", "namespace_id": "ns_default"}
_OWNER = ("internal_id", "namespace_id")
_MAX_NAME = 100
_NOT_ARCHIVED = "archived IS false"
_REFUSED = "'audit entries do not change'"
_APPEND_ONLY_SQLITE = (
    f"CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, {_REFUSED}); END"
)
_REFUSING = f"$$ BEGIN RAISE EXCEPTION {_REFUSED}; END $$"
_APPEND_ONLY_POSTGRES = (
    f"CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS {_REFUSING}",
    "CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()",
)


def upgrade() -> None:
    """Say whose every bucket and sync is, in its own row; buckets that share a name get their ids beside it."""
    for table in ("buckets", "syncs"):
        for column in _OWNER:
            op.add_column(table, sa.Column(column, _text(), nullable=False, server_default=_LOCAL[column]))
    _fill_buckets()
    _fill_syncs()
    _rename_twins("buckets", "bucket_id", _OWNER)
    op.drop_index("ux_connections_name", "connections")
    _create_unique("ux_connections_name", "connections", ["internal_id", "name"], _NOT_ARCHIVED)
    _create_unique("ux_buckets_name", "buckets", [*_OWNER, "name"], "name IS NOT NULL")
    _swap_constraint([*_OWNER, "name"])
    op.drop_table("bucket_owners")
    op.create_table(
        "server_secrets",
        sa.Column("name", _text(), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    _create_audit()


def downgrade() -> None:
    """Make names unique over all namespaces again: of several, all but one get their ids beside them.

    Credentials that were stored since cannot be read by the older version, which has to be given them again.
    """
    for statement in (
        ("DROP TRIGGER audit_is_append_only ON audit", "DROP FUNCTION audit_is_append_only()")
        if _postgres()
        else ("DROP TRIGGER audit_is_append_only",)
    ):
        op.execute(statement)
    op.drop_index("ix_audit_namespace", "audit")
    op.drop_index("ix_audit_at", "audit")
    op.drop_table("audit")
    op.drop_table("server_secrets")
    op.create_table(
        "bucket_owners",
        sa.Column("bucket_id", _text(), primary_key=True),
        *(sa.Column(column, _text(), nullable=False) for column in _OWNER),
    )
    op.execute(
        "INSERT INTO bucket_owners SELECT bucket_id, internal_id, namespace_id FROM buckets "
        "WHERE NOT (internal_id = 'int_local' AND namespace_id = 'ns_default')"
    )
    _tell_in_config()
    _rename_twins("syncs", "sync_config_id", ())
    _rename_twins("connections", "connection_id", ())
    op.drop_index("ux_connections_name", "connections")
    _create_unique("ux_connections_name", "connections", ["name"], _NOT_ARCHIVED)
    op.drop_index("ux_buckets_name", "buckets")
    _swap_constraint(["name"])
    for table in ("syncs", "buckets"):
        for column in reversed(_OWNER):
            op.drop_column(table, column)


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("entry_id", _text(), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        *(sa.Column(name, _text(), nullable=False) for name in ("internal_id", "namespace_id", "user_id")),
        sa.Column("key_prefix", _text(), nullable=True),
        sa.Column("origin", _text(), nullable=False),
        sa.Column("operation", _text(), nullable=False),
        sa.Column("resource", _text(), nullable=True),
        sa.Column("outcome", _text(), nullable=False),
        sa.Column("status", sa.BigInteger, nullable=True),
        sa.Column("request_id", _text(), nullable=True),
    )
    op.create_index("ix_audit_at", "audit", ["at", "entry_id"])
    op.create_index("ix_audit_namespace", "audit", ["internal_id", "namespace_id", "at", "entry_id"])
    for statement in _APPEND_ONLY_POSTGRES if _postgres() else (_APPEND_ONLY_SQLITE,):
        op.execute(statement)


def _text() -> Any:
    # Bytes decide the order, as SQLite compares.
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _create_unique(name: str, table: str, columns: Sequence[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, list(columns), unique=True, sqlite_where=condition, postgresql_where=condition)


def _swap_constraint(columns: Sequence[str]) -> None:
    # SQLite cannot drop a constraint: the table is copied.
    with op.batch_alter_table("syncs") as batch:
        batch.drop_constraint("ux_syncs_name", type_="unique")
        batch.create_unique_constraint("ux_syncs_name", list(columns))


def _fill_buckets() -> None:
    op.execute(
        "UPDATE buckets SET "
        "internal_id = (SELECT o.internal_id FROM bucket_owners o WHERE o.bucket_id = buckets.bucket_id), "
        "namespace_id = (SELECT o.namespace_id FROM bucket_owners o WHERE o.bucket_id = buckets.bucket_id) "
        "WHERE bucket_id IN (SELECT bucket_id FROM bucket_owners)"
    )


def _fill_syncs() -> None:
    table = sa.table("syncs", *(sa.column(name) for name in ("sync_config_id", "config", *_OWNER)))
    bind = op.get_bind()
    for row in bind.execute(sa.select(table.c.sync_config_id, table.c.config)).all():
        told = json.loads(row.config)
        values = {name: told.get(name, _LOCAL[name]) for name in _OWNER}
        bind.execute(sa.update(table).where(table.c.sync_config_id == row.sync_config_id).values(values))


def _tell_in_config() -> None:
    table = sa.table("syncs", *(sa.column(name) for name in ("sync_config_id", "config", *_OWNER)))
    bind = op.get_bind()
    for row in bind.execute(sa.select(table)).all():
        told = json.loads(row.config) | {"internal_id": row.internal_id, "namespace_id": row.namespace_id}
        values = {"config": json.dumps(told, separators=(",", ":"))}
        bind.execute(sa.update(table).where(table.c.sync_config_id == row.sync_config_id).values(values))


def _rename_twins(name: str, key: str, within: Sequence[str]) -> None:
    """Put the id beside the name of every row but the first by id of those that share one."""
    columns = [key, "name", *within]
    stored = {"connections", "buckets"} & {name}
    table = sa.table(name, *(sa.column(column) for column in (*columns, *(["definition"] if stored else []))))
    bind = op.get_bind()
    seen = set()
    named = sa.select(table).where(table.c.name.is_not(None)).order_by(table.c[key])
    if name == "connections":
        named = named.where(sa.text(_NOT_ARCHIVED))
    for row in bind.execute(named).all():
        told = row._asdict()
        place = (*(told[column] for column in within), told["name"])
        if place not in seen:
            seen.add(place)
            continue
        suffix = f" ({told[key][-30:]})" if name != "syncs" else f"-{told[key][-30:]}"
        values = {"name": told["name"][: _MAX_NAME - len(suffix)] + suffix}
        if stored:
            definition = json.loads(told["definition"])
            definition["name"] = definition["name"][: _MAX_NAME - len(suffix)] + suffix
            values["definition"] = json.dumps(definition, separators=(",", ":"))
        bind.execute(sa.update(table).where(table.c[key] == told[key]).values(values))
