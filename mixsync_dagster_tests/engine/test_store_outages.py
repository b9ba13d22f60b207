"""Whole runs in which the stores fail: told in one sentence, nothing lost, and made good by the next run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mixsync_dagster.engine.context import RunLimits
from mixsync_dagster.errors import AccessDenied, AlreadyLocked, StoreUnavailable
from mixsync_dagster.state import database
from mixsync_dagster.state.database import Database
from mixsync_dagster.state.migrate import upgrade
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster_tests.engine.support import BUCKET, KEY, SYNC, World
from mixsync_dagster_tests.support.postgres import PostgresServer, running_postgres
from mixsync_dagster_tests.support.store_faults import SmallDisk, Writer, short_files, small_disk, without_space

FILES = 120


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world of many files whose runs commit often."""
    return filled(make_world(batch_size=10))


def filled(world: World, **limits: float) -> World:
    """Return the world with many files, whose runs commit as often as they can."""
    world.limits = RunLimits(commit_seconds=0.0, **limits)
    for number in range(FILES):
        world.storage.put(f"{number:03}", b"%03d" % number * 1000)
    return world


def at_commit(number: int, happen: Callable[[], Any]) -> Callable[[str], None]:
    """Return what lets something happen once, when a run has made so many commits with objects."""
    left = [number]

    def passing(point: str) -> None:
        if point == "committed":
            left[0] -= 1
            if left[0] == 0:
                happen()

    return passing


def sentence_of(world: World, **tools: Any) -> str:
    """Run, and return the one sentence that the run ends with."""
    with pytest.raises(StoreUnavailable) as told:
        world.run(world.tools(**tools))
    assert "\n" not in str(told.value)
    return str(told.value)


def expect_made_good(world: World) -> None:
    """Run until nothing is left to do, and expect every file there, whole and once."""
    world.runs_until_settled()
    assert world.contents() == world.source()
    batched = world.batched()
    assert batched == sorted({(stored.object_id, stored.version) for stored in world.objects().values()})
    assert len(batched) == FILES
    assert set(world.handler.calls) == {batch.batch_id for batch in world.store.list_batches(BUCKET, limit=100)}
    assert world.letters() == {}
    assert list(world.store.open_intents(SYNC)) == []
    sync = world.sync
    assert (sync.locked, sync.paused, sync.status, sync.consecutive_failures) == (False, False, "ACTIVE", 0)


def test_a_state_store_that_is_full_interrupts_the_run_and_the_next_goes_on(world: World) -> None:
    with without_space(world.store, 20):
        for _ in range(6):
            assert "disk is full" in sentence_of(world)
        kept = len(world.objects())
        assert 0 < kept < FILES
        assert {run.status for run in world.store.list_runs(SYNC)} == {"interrupted"}
        assert world.sync.last_error is not None
    expect_made_good(world)
    assert world.store.get_run("run-7").counters.created == FILES - kept


def test_a_state_store_whose_files_cannot_grow_interrupts_the_run(world: World) -> None:
    log = world.folder / "state.db-wal"
    with short_files(log.stat().st_size + 300_000):
        told = sentence_of(world)
    assert told == "the state store did not do it and nothing was written: disk I/O error."
    assert 0 < len(world.objects()) < FILES
    expect_made_good(world)


def test_a_blob_store_whose_files_cannot_grow_interrupts_the_run(world: World) -> None:
    world.storage.put("060", b"large" * 4_000_000)
    with short_files(10_000_000):
        told = sentence_of(world)
    assert told == f"blob store {world.folder / 'blobs'} cannot be used: File too large."
    record = world.store.get_run("run-1")
    assert (record.status, record.counters.failed) == ("interrupted", 0)
    assert world.letters() == {}
    assert list((world.folder / "blobs" / "tmp").glob("*")) == []
    expect_made_good(world)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Gives a disk of 48 MiB; the state store's log alone may take 32."""
    with small_disk(tmp_path / "disk", 48 * 1024 * 1024) as mounted:
        if mounted is None:
            pytest.skip("no file system in memory can be mounted here: it takes root and CAP_SYS_ADMIN")
        yield mounted


def world_on(disk: SmallDisk, template: Path) -> World:
    return filled(World(disk.folder / "home", template, batch_size=10))


def test_a_disk_that_is_full_while_a_blob_is_written_interrupts_the_run(disk: SmallDisk, world: World) -> None:
    (world.folder / "blobs").symlink_to(disk.folder)
    disk.fill(100_000)
    told = sentence_of(world)
    assert told == f"blob store {world.folder / 'blobs'} is full; free space there, then run the sync again."
    assert 0 < len(world.objects()) < FILES
    assert (world.store.get_run("run-1").status, world.sync.last_error) == ("interrupted", told)
    assert told == sentence_of(world)
    disk.empty()
    expect_made_good(world)


def test_a_disk_that_is_full_while_a_commit_is_made_loses_nothing(disk: SmallDisk, template: Path) -> None:
    world = world_on(disk, template)
    # Blobs elsewhere: it is the state store that runs out of space.
    (world.folder / "blobs").symlink_to(template.parent)
    try:
        told = sentence_of(world, passing=at_commit(4, lambda: disk.fill(0)))
        assert "full" in told
        assert len(world.objects()) == 4
        disk.empty()
        expect_made_good(world)
    finally:
        world.close()


@pytest.mark.parametrize("free_bytes", [0, 50_000, 150_000, 250_000])
def test_a_home_whose_disk_is_full_goes_on_when_there_is_space_again(
    disk: SmallDisk, template: Path, free_bytes: int
) -> None:
    world = world_on(disk, template)
    try:
        told = sentence_of(world, passing=at_commit(2, lambda: disk.fill(free_bytes)))
        assert "full" in told or "disk I/O error" in told
        for _ in range(2):
            with pytest.raises((StoreUnavailable, AlreadyLocked)):
                world.run()
        disk.empty()
        expect_made_good(world)
    finally:
        world.close()


def test_a_writer_that_does_not_let_go_interrupts_the_run_and_never_pauses_the_sync(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.1)
    world.store.close()
    world.store = world.open_store()
    writers: list[Writer] = []
    happen = at_commit(5, lambda: writers.append(Writer(world.folder / "state.db")))
    try:
        assert "locked" in sentence_of(world, passing=happen)
        for _ in range(6):
            assert "locked" in sentence_of(world)
    finally:
        for writer in writers:
            writer.let_go()
    assert len(world.objects()) == 5
    # Nobody could write down how the run ended: whoever asks is told that its worker is gone.
    [run] = world.store.list_runs(SYNC)
    assert (world.store.get_run("run-1").status, run.status) == ("running", "interrupted")
    expect_made_good(world)


def test_the_first_error_is_the_one_that_is_told_when_its_record_cannot_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.1)
    world.store.close()
    world.store = world.open_store()
    writers: list[Writer] = []

    def happen() -> None:
        writers.append(Writer(world.folder / "state.db"))
        raise AccessDenied("the key is refused.")

    try:
        with pytest.raises(AccessDenied, match=r"the key is refused\."):
            world.run(world.tools(passing=at_commit(5, happen)))
    finally:
        for writer in writers:
            writer.let_go()
    expect_made_good(world)


class PostgresWorld(World):
    """A world whose state store is on PostgreSQL."""

    def __init__(self, folder: Path, url: str, **settings: Any) -> None:
        self._url = url
        super().__init__(folder, Path(os.devnull), **settings)

    def open_store(self) -> SqlStateStore:
        """Return the store, as another process would open it."""
        return SqlStateStore.open(self._url, clock=self.clock, key=KEY)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Gives a server that the test may stop, and that keeps what it acknowledged."""
    with running_postgres(durable=True) as running:
        yield running


@pytest.fixture
def postgres_world(server: PostgresServer, tmp_path: Path) -> Iterator[World]:
    """A world of many files on that server."""
    url = server.create_database()
    opened = Database.open(url, clock=SimulatedClock())
    upgrade(opened)
    opened.close()
    # Leases are measured by the server's clock, which no test moves.
    world = filled(PostgresWorld(tmp_path / "home", url, batch_size=10), lease_seconds=1.0)
    yield world
    world.close()


@pytest.mark.slow
def test_a_postgresql_that_stops_in_mid_run_interrupts_it_and_the_next_goes_on(
    server: PostgresServer, postgres_world: World
) -> None:
    world = postgres_world
    told = sentence_of(world, passing=at_commit(5, server.stop))
    assert told.startswith("the state store did not do it and nothing was written: ")
    assert told == sentence_of(world)
    server.start()
    assert len(world.objects()) == 5
    # The dead run's lock ends by itself.
    time.sleep(1.1)
    expect_made_good(world)


@pytest.mark.slow
def test_a_postgresql_that_is_started_anew_between_two_commits_is_not_even_noticed(
    server: PostgresServer, postgres_world: World
) -> None:
    def happen() -> None:
        server.stop()
        server.start()

    # Nobody renews the lock meanwhile, who would find the dead connections before the run does.
    postgres_world.limits = RunLimits(commit_seconds=0.0, lease_seconds=600.0)
    record = postgres_world.run(postgres_world.tools(passing=at_commit(5, happen)))
    assert (record.status, record.counters.created) == ("completed", FILES)
    expect_made_good(postgres_world)
