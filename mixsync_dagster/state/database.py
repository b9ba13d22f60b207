"""One database, SQLite or PostgreSQL: connections, transactions, and the little in which their SQL differs."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, CursorResult, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mixsync_dagster.errors import ConfigurationError, StoreUnavailable
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.state.codec import to_micros

_BUSY_SECONDS = 30
_POSTGRES_SETTINGS = (
    "-c lock_timeout=5000 -c statement_timeout=60000 -c idle_in_transaction_session_timeout=10000 -c timezone=UTC"
)
# clock_timestamp, for now() stands still inside a transaction.
_POSTGRES_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_INDEXED_BY = re.compile(r" INDEXED BY \w+")
_MISTAKES = (sa.exc.ProgrammingError, sa.exc.IntegrityError, sa.exc.DataError, sa.exc.NotSupportedError)


@lru_cache(maxsize=512)
def _translated(sql: str, postgres: bool) -> str:
    # Raw statements are written once: `?` for a value, `IN (:list)` for a sequence, `now_micros()` for the lease clock,
    # INDEXED BY where SQLite, which keeps no statistics here, would choose badly.
    if not postgres:
        return sql.replace("IN (:list)", "IN (SELECT value FROM json_each(?))")
    sql = sql.replace("IN (:list)", "= ANY(?)").replace("now_micros()", _POSTGRES_NOW)
    return _INDEXED_BY.sub("", sql).replace("?", "%s")


def lease_now_sql(*, postgres: bool) -> str:
    """Return the expression for the time that leases are measured by, in microseconds since 1970."""
    return _POSTGRES_NOW if postgres else "now_micros()"


@dataclass(frozen=True)
class Bulk:
    """An INSERT of many rows in one statement: by executemany on SQLite, from one JSON document on PostgreSQL.

    `columns` maps names to `text` or `bigint`; `conflict` is the ON CONFLICT clause. No two rows may meet the same
    conflict. All parts are constants of this package.
    """

    table: str
    columns: Mapping[str, str]
    conflict: str

    @cached_property
    def sqlite(self) -> str:
        """The statement for SQLite."""
        names, marks = ", ".join(self.columns), ", ".join("?" * len(self.columns))
        return f"INSERT INTO {self.table} ({names}) VALUES ({marks}) {self.conflict}"  # noqa: S608 - constants

    @cached_property
    def postgres(self) -> str:
        """The statement for PostgreSQL, as fast as COPY into a temporary table and without one."""
        names = ", ".join(self.columns)
        casts = ", ".join(f"(r->>{index})::{kind}" for index, kind in enumerate(self.columns.values()))
        source = "jsonb_array_elements(%s::jsonb) AS r"
        return f"INSERT INTO {self.table} ({names}) SELECT {casts} FROM {source} {self.conflict}"  # noqa: S608 - constants


class Transaction:
    """An open transaction. Text given to `run` and `rows` is taken as it is: escape it first."""

    def __init__(self, connection: sa.Connection, *, postgres: bool) -> None:
        self.connection = connection
        self.postgres = postgres

    def execute(self, statement: sa.Executable) -> CursorResult[Any]:
        """Run a statement built from the tables of `schema`, whose columns escape by themselves."""
        return self.connection.execute(statement)

    def run(self, sql: str, *values: Any) -> int:
        """Run one statement and return how many rows it touched."""
        return self._driver(sql, values).rowcount

    def run_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run a statement once a row."""
        if rows:
            self.connection.exec_driver_sql(_translated(sql, self.postgres), list(rows))

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows as the driver's own tuples; nothing is built on top of them."""
        result = self._driver(sql, values)
        cursor = result.cursor
        fetched: list[tuple[Any, ...]] = [] if cursor is None else list(cursor.fetchall())
        result.close()
        return fetched

    def insert(self, statement: Bulk, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows; none does nothing."""
        if not rows:
            return
        if self.postgres:
            self.connection.exec_driver_sql(statement.postgres, (json.dumps(rows, separators=(",", ":")),))
        else:
            self.connection.exec_driver_sql(statement.sqlite, list(rows))

    def lease_now(self) -> int:
        """Return the time that leases are measured by, in microseconds: the server's, or for SQLite the clock's."""
        return int(self.rows("SELECT now_micros()")[0][0])

    def _driver(self, sql: str, values: tuple[Any, ...]) -> CursorResult[Any]:
        if not self.postgres:
            values = tuple(json.dumps(list(v)) if isinstance(v, list | tuple) else v for v in values)
        return self.connection.exec_driver_sql(_translated(sql, self.postgres), values)


class Database:
    """Connections to one database. Safe to use from many threads; not across a fork."""

    def __init__(self, url: URL, clock: Clock) -> None:
        self.url = url
        self.clock = clock
        self.postgres = url.get_backend_name() == "postgresql"
        self._engine = _postgres_engine(url) if self.postgres else _sqlite_engine(url, clock)
        self._writer = self._engine.execution_options(mixsync_write=True)
        # SQLite has one writer; a fair queue inside the process beats its sleeping retries.
        self._turn = threading.Lock()

    @classmethod
    def open(cls, url: str, *, clock: Clock) -> Database:
        """Return the database of an SQLAlchemy URL; connects on first use.

        `sqlite:////absolute/path`, `postgresql://...` and `postgres://...` are accepted. Raises ConfigurationError.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise ConfigurationError(
                "the state store's URL cannot be read; give sqlite:////path/to/file or postgresql://user@host/name."
            ) from error
        backend = parsed.get_backend_name()
        if backend in {"postgresql", "postgres"}:
            return cls(parsed.set(drivername="postgresql+psycopg"), clock)
        if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
            return cls(parsed.set(drivername="sqlite+pysqlite"), clock)
        raise ConfigurationError(
            f"the state store cannot be a {backend} database here; "
            "give sqlite:////path/to/file or postgresql://user@host/name."
        )

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database; None for PostgreSQL."""
        return None if self.postgres else Path(str(self.url.database))

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Give a transaction that sees one committed state and writes nothing. Raises StoreUnavailable."""
        with self._speaking(), self._engine.connect() as connection:
            yield Transaction(connection, postgres=self.postgres)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Give a transaction that commits when the block ends, or is undone when it raises. Raises StoreUnavailable."""
        with self._speaking(), self._my_turn(), self._writer.begin() as connection:
            yield Transaction(connection, postgres=self.postgres)

    def close(self) -> None:
        """Close pooled connections. Twice is harmless."""
        self._engine.dispose()

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if self.postgres:
            yield
            return
        if not self._turn.acquire(timeout=_BUSY_SECONDS):
            raise StoreUnavailable(f"the state store was busy for {_BUSY_SECONDS} seconds; nothing was written.")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except _MISTAKES:
            raise
        except PoolTimeout as error:
            raise StoreUnavailable("the state store has no free connection; nothing was written.") from error
        except DBAPIError as error:
            raise StoreUnavailable(_reason(error.orig)) from error
        except sqlite3.Error as error:
            raise StoreUnavailable(_reason(error)) from error


def _reason(error: BaseException | None) -> str:
    # The driver's first line names the cause; later lines may quote values.
    lines = str(error).strip().splitlines() or ["no reason given"]
    return f"the state store did not do it and nothing was written: {lines[0][:200]}."


def _postgres_engine(url: URL) -> sa.Engine:
    return sa.create_engine(
        url,
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=24,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        connect_args={"options": _POSTGRES_SETTINGS, "connect_timeout": 10, "application_name": "mixsync"},
    )


def _sqlite_engine(url: URL, clock: Clock) -> sa.Engine:
    engine = sa.create_engine(
        url, hide_parameters=True, pool_size=8, max_overflow=24, connect_args={"timeout": _BUSY_SECONDS}
    )

    @sa.event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        # Transactions are begun by us: a read that upgrades to a write fails at once, whatever the timeout.
        connection.isolation_level = None
        connection.create_function("now_micros", 0, lambda: to_micros(clock.now()))
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "cache_size=-8192", "wal_autocheckpoint=8192"):
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("mixsync_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
