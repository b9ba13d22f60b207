"""Everything that the Snowflake provider has to know, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixsync_dagster.model.paths import SnowflakeTable


@dataclass(frozen=True, slots=True)
class SnowflakeSettings:
    """One table or view, and the credentials to read it; secrets are left out of `repr`."""

    account: str
    warehouse: str
    table: SnowflakeTable
    """Database, schema and table, all three given."""
    username: str
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    """PEM; None: the password signs in."""
    private_key_passphrase: str | None = field(default=None, repr=False)
    role: str | None = None
    """None: the user's default role."""
    primary_key_columns: tuple[str, ...] = ()
    """Columns that identify a row; empty: a hash of the row does."""
    incremental_column: str | None = None
    """Column that grows with every change of a row; None: the table's own log of changes, or full scans."""
    content_column: str | None = None
    """Column whose value is the item's content; None: the table's only BINARY column, else the row as JSON."""
    host: str | None = None
    port: int | None = None
    protocol: str = "https"
    query_timeout_seconds: int = 300
    """Longest run time of one statement, kept by Snowflake itself."""
    connection_id: str | None = None
    """Told to Snowflake with every statement, as part of its QUERY_TAG; None: not known."""
    page_rows: int = 1000
    """Rows of a page, and rows taken from the connector in one go."""
    overlap_seconds: int = 600
    """How far behind the watermark rows are read again: a transaction that began earlier may commit later."""
    login_timeout_seconds: int = 30
    network_timeout_seconds: int = 60
    """How long the connector itself goes on after a request that got no answer."""
