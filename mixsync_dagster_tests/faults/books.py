"""The state store as an auditor reads it: plain SQL over the drivers, nothing of the product."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg

from mixsync_dagster_tests.support.postgres import PostgresServer

_SQLITE_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
_POSTGRES_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"

_JOURNAL = "CREATE TABLE audit_journal (what TEXT NOT NULL, key TEXT NOT NULL)"
_EVENTS = (
    ("objects", "UPDATE", "OLD.state = 'active' AND NEW.state <> 'active'", "tombstoned", "OLD.source_object_id"),
    ("objects", "DELETE", "OLD.state = 'active'", "tombstoned", "OLD.source_object_id"),
    ("inventory", "DELETE", "1 = 1", "forgotten", "OLD.source_object_id"),
    ("leases", "UPDATE", "NEW.fence < OLD.fence", "fence went back", "OLD.sync_config_id"),
    (
        "checkpoints",
        "UPDATE",
        "NEW.pass_number = OLD.pass_number AND NEW.shards_done < OLD.shards_done",
        "position went back",
        "OLD.sync_config_id",
    ),
)
"""(table, verb, condition, what is noted, key): what happened in between and is not seen at the end."""


class Books(Protocol):
    """One world's database."""

    url: str

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        ...

    def change(self, *statements: str) -> None:
        """Make changes from outside, in one transaction."""
        ...

    def copy(self, home: Path) -> Books:
        """Return a copy for another home; the SQLite file lies in the home already."""
        ...

    def close(self) -> None:
        """Drop the database."""
        ...

    def journal(self) -> None:
        """Begin to note what happens to objects, inventory, leases and checkpoints."""
        ...

    def tables(self) -> list[str]:
        """Return the names of all tables."""
        ...


@dataclass
class SqliteBooks:
    """`state.db` in the home."""

    file: Path
    kind = "sqlite"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.file, timeout=30, isolation_level=None)) as connection:
            yield connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connected() as connection:
            return connection.execute(sql).fetchall()

    def change(self, *statements: str) -> None:
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(statement)
            connection.execute("COMMIT")

    def copy(self, home: Path) -> SqliteBooks:
        return SqliteBooks(home / self.file.name)

    def close(self) -> None:
        """The home's removal takes the file along."""

    def tables(self) -> list[str]:
        return [row[0] for row in self.rows(_SQLITE_TABLES)]

    def journal(self) -> None:
        triggers = [
            f"CREATE TRIGGER audit_{number} AFTER {verb} ON {table} WHEN {condition} "
            f"BEGIN INSERT INTO audit_journal VALUES ('{what}', {key}); END"
            for number, (table, verb, condition, what, key) in enumerate(_EVENTS)
        ]
        self.change(_JOURNAL, *triggers)


@dataclass
class PostgresBooks:
    """A database of the tests' server."""

    server: PostgresServer
    url: str
    kind = "postgres"

    @classmethod
    def create(cls, server: PostgresServer) -> PostgresBooks:
        return cls(server, server.create_database())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()

    def change(self, *statements: str) -> None:
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def copy(self, home: Path) -> PostgresBooks:
        del home
        name, source = f"test_{uuid.uuid4().hex}", self.url.rsplit("/", 1)[-1]
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            # A file copy is quicker than a logged one; the server is never asked to survive a power cut.
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY file_copy'.encode())
        return PostgresBooks(self.server, self.server.url(name))

    def close(self) -> None:
        self.server.drop_database(self.url)

    def tables(self) -> list[str]:
        return [row[0] for row in self.rows(_POSTGRES_TABLES)]

    def journal(self) -> None:
        statements = [_JOURNAL]
        for number, (table, verb, condition, what, key) in enumerate(_EVENTS):
            body = f"BEGIN INSERT INTO audit_journal VALUES ('{what}', {key}); RETURN NULL; END"
            statements.append(f"CREATE FUNCTION audit_{number}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$")
            on = f"AFTER {verb} ON {table} FOR EACH ROW WHEN ({condition})"
            statements.append(f"CREATE TRIGGER audit_{number} {on} EXECUTE FUNCTION audit_{number}()")
        self.change(*statements)


AnyBooks = SqliteBooks | PostgresBooks


def digest(books: AnyBooks) -> dict[str, str]:
    """Return a hash of every table's rows: two equal ones say that nobody wrote in between."""
    found = {}
    for table in books.tables():
        rows = sorted(repr(row) for row in books.rows(f'SELECT * FROM "{table}"'))
        found[table] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


def expire_lease(books: AnyBooks) -> None:
    """End the lease as its time would, so that nobody has to wait for it."""
    books.change("UPDATE leases SET expires_at = 1 WHERE holder <> ''")


def copy_home(source: Path, target: Path, *, dagster: bool) -> None:
    """Copy a home; the Dagster instance only where it is needed."""
    skipped = () if dagster else ("dagster",)
    shutil.copytree(source, target, ignore=lambda _folder, names: [name for name in names if name in skipped])
