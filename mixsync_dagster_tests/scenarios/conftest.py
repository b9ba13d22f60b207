"""What all scenarios share: servers, the fork server, and templates of homes. A world is a scenario's own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mixsync_dagster.testing.snowflake_simulator import SnowflakeSimulator, running
from mixsync_dagster_tests.faults.workers import ForkServer
from mixsync_dagster_tests.scenarios.drive_world import DriveWorld
from mixsync_dagster_tests.scenarios.graph_world import GraphWorld
from mixsync_dagster_tests.scenarios.homes import Home, Homes
from mixsync_dagster_tests.scenarios.snowflake_world import SnowflakeWorld, WatermarkWorld
from mixsync_dagster_tests.scenarios.storage_worlds import S3World, TigrisWorld
from mixsync_dagster_tests.scenarios.worlds import World
from mixsync_dagster_tests.support.postgres import PostgresServer, running_postgres
from mixsync_dagster_tests.support.s3_servers import S3Server, moto_server

__all__ = ["moto_server"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def snowflake_simulator() -> Iterator[SnowflakeSimulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    with ForkServer(dagster=True, module="mixsync_dagster_tests.scenarios.preloaded") as server:
        yield server


@pytest.fixture(scope="session")
def homes(forks: ForkServer, postgres: PostgresServer) -> Iterator[Homes]:
    shared = Path("/dev/shm")
    where = shared if shared.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="mixsync-scenarios-", dir=where) as folder:
        made = Homes(Path(folder), forks, postgres)
        yield made
        made.close()


@pytest.fixture
def make_world(request: pytest.FixtureRequest) -> Callable[[str], World]:
    """Make a world of a provider, or of a way to follow it; servers are started for the first one that needs them."""

    def make(provider: str) -> World:
        if provider in ("s3", "tigris"):
            server: S3Server = request.getfixturevalue("moto_server")
            return S3World(server) if provider == "s3" else TigrisWorld(server)
        if provider.startswith("snowflake"):
            simulator: SnowflakeSimulator = request.getfixturevalue("snowflake_simulator")
            return SnowflakeWorld(simulator) if provider == "snowflake" else WatermarkWorld(simulator)
        return DriveWorld() if provider == "google_drive" else GraphWorld()

    return make


@pytest.fixture
def make_home(homes: Homes, make_world: Callable[[str], World]) -> Iterator[Callable[..., Home]]:
    """Make a home over a new world of a provider, on a database."""
    with ExitStack() as stack:

        def make(
            provider: str, database: str, settings: Callable[[World], Mapping[str, Any]] = lambda _world: {}
        ) -> Home:
            world = make_world(provider)
            return stack.enter_context(homes.home(world, database, **settings(world)))

        yield make
