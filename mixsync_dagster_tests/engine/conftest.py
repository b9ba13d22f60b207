"""Fixtures of the engine's tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mixsync_dagster.state.database import Database
from mixsync_dagster.state.migrate import upgrade
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.memory_feed import LoggedStorage, MemoryFeedProvider
from mixsync_dagster_tests.engine.support import World

MEMORY = "/dev/shm"
"""Where Linux keeps files in memory: these tests commit thousands of times, and no power is cut in them."""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty state store, made once: every world starts with a copy."""
    path = tmp_path_factory.mktemp("template") / "state.db"
    database = Database.open(f"sqlite:///{path}", clock=SimulatedClock())
    upgrade(database)
    database.close()
    return path


@pytest.fixture
def make_world(template: Path) -> Iterator[Callable[..., World]]:
    """Make worlds whose sync has these settings; they end with the test."""
    worlds: list[World] = []
    numbers = count()
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:

        def make(**settings: Any) -> World:
            worlds.append(World(Path(folder, f"world-{next(numbers)}"), template, **settings))
            return worlds[-1]

        yield make
        for world in worlds:
            world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world whose sync has the default settings."""
    return make_world()


@pytest.fixture
def fed(make_world: Callable[..., World]) -> Callable[..., World]:
    """Make worlds whose provider has a change feed."""

    def make(*, page_rows: int = 3, **settings: Any) -> World:
        world = make_world(**settings)
        world.storage = LoggedStorage()
        world.provider = MemoryFeedProvider(world.storage, page_rows=page_rows)
        return world

    return make
