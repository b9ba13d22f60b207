"""Stores on both databases, each empty and new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mixsync_dagster.state.database import Database
from mixsync_dagster.state.migrate import upgrade
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster_tests.support.postgres import PostgresServer, running_postgres

KEY = b"k" * 32


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Gives the URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/home/state.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def url(empty_url: str, clock: SimulatedClock) -> str:
    """Gives the URL of a database with tables."""
    database = Database.open(empty_url, clock=clock)
    upgrade(database)
    database.close()
    return empty_url


@pytest.fixture
def store(url: str, clock: SimulatedClock) -> Iterator[SqlStateStore]:
    opened = SqlStateStore.open(url, clock=clock, key=KEY)
    yield opened
    opened.close()
