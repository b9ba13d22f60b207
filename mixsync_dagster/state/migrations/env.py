"""What Alembic runs: the revisions, on the connection and inside the transaction that `migrate.upgrade` holds."""

from __future__ import annotations

from alembic import context

from mixsync_dagster.state.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite rolls tables back, too; Alembic assumes otherwise because the driver used to commit by itself.
    transactional_ddl=True,
)
context.run_migrations()
