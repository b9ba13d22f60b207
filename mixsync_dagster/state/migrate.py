"""Making and upgrading the tables, and the cheap look whether that was done."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from mixsync_dagster.errors import ConfigurationError, StoreUnavailable
from mixsync_dagster.state.database import Database
from mixsync_dagster.state.schema import SCHEMA_REVISION

_HINT = "run `mixsync init`."
# Any number, as long as every version of this project asks for the same one.
_ADVISORY_LOCK = 7_381_904_511


def upgrade(database: Database) -> None:
    """Bring the tables to the newest revision; up to date already does nothing. Safe to run twice at once.

    A revision is applied as a whole or not at all. A SQLite file is made readable by its owner only. Raises
    StoreUnavailable.
    """
    with _alone(database), database.write() as tx:
        if database.postgres:
            tx.run("SET LOCAL lock_timeout = 60000")
            tx.rows("SELECT pg_advisory_xact_lock(?)", _ADVISORY_LOCK)
        _run_migrations(tx.connection)


def check_version(database: Database) -> None:
    """Return when the tables are of the revision that this code speaks. Raises ConfigurationError, StoreUnavailable."""
    if database.path is not None and not database.path.exists():
        raise ConfigurationError(f"there is no state store at {database.path}; {_HINT}")
    try:
        with database.read() as tx:
            found = tx.rows("SELECT version_num FROM alembic_version")
    except (ProgrammingError, StoreUnavailable) as error:
        if "alembic_version" not in str(error):
            raise
        raise ConfigurationError(f"the state store has no tables yet; {_HINT}") from error
    if found != [(SCHEMA_REVISION,)]:
        version = found[0][0] if found else "none"
        raise ConfigurationError(
            f"the state store has revision {version} and this version needs {SCHEMA_REVISION}; {_HINT}"
        )


def _run_migrations(connection: sa.Connection) -> None:
    # Imported here, for it costs as much as all the rest and only `init` needs it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "mixsync_dagster.state:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Keep other processes of this machine from upgrading a SQLite file; the kernel frees the lock of a dead one."""
    path = database.path
    if path is None:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path.with_name(path.name + ".init.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"{path.parent} cannot be written: {error.strerror}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _create_file(path)
        _use_write_ahead_log(path)
        yield
    finally:
        os.close(handle)


def _create_file(path: Path) -> None:
    # Before SQLite does, which would leave it readable to everybody; its log files take the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _use_write_ahead_log(path: Path) -> None:
    # Kept in the file from now on, and only possible outside of a transaction.
    try:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path} cannot be opened as a SQLite database: {error}.") from error
    if mode != "wal":
        raise StoreUnavailable(f"{path} cannot use a write-ahead log; put it on a local disk.")
