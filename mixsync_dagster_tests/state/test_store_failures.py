"""The state store fails in the midst of work: told in one sentence, nothing half done, and back as soon as it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixsync_dagster.errors import LockLost, StoreUnavailable
from mixsync_dagster.model.progress import Checkpoint, Commit, Counters, PassKind
from mixsync_dagster.state import database
from mixsync_dagster.state.migrate import upgrade
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.contracts.state_samples import SYNC, begin, placed, seed
from mixsync_dagster_tests.support.postgres import PostgresServer, running_postgres
from mixsync_dagster_tests.support.store_faults import Writer, without_space

ROOT = Path(__file__).parents[2]
sqlite_only = pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
postgres_only = pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)


def step(first: int, count: int) -> Commit:
    """Return a commit of new objects with the position behind them."""
    names = [f"{number:05}" for number in range(first, first + count)]
    checkpoint = Checkpoint(1, PassKind.FULL_LISTING, cursor=names[-1])
    return Commit(placed=[placed(name) for name in names], checkpoint=checkpoint, counters=Counters(created=len(names)))


@sqlite_only
def test_a_full_disk_undoes_the_whole_commit_and_the_same_commit_succeeds_with_space(store):
    seed(store)
    lock = begin(store)
    store.commit(lock, step(0, 10))
    with without_space(store, 2):
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="disk is full") as told:
                store.commit(lock, step(10, 2000))
            assert "\n" not in str(told.value)
        assert store.inventory_size(SYNC) == 10
        assert store.load_checkpoint(SYNC).cursor == "00009"
        # What needs no space goes on: the lock is renewed, and given back.
        store.renew(lock, ttl_seconds=60)
    store.commit(lock, step(10, 2000))
    assert store.inventory_size(SYNC) == 2010
    assert store.get_run("run-1").counters.created == 2010


@sqlite_only
def test_a_database_that_another_process_keeps_locked_is_told_and_found_free_again(url, clock, monkeypatch):
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.1)
    store = SqlStateStore.open(url, clock=clock, key=b"k" * 32)
    seed(store)
    lock = begin(store)
    writer = Writer(Path(url.removeprefix("sqlite:///")))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="locked"):
            store.commit(lock, step(0, 10))
    # Readers are not held up by a writer.
    assert store.inventory_size(SYNC) == 0
    writer.let_go()
    store.commit(lock, step(0, 10))
    assert store.inventory_size(SYNC) == 10
    store.close()


_FROZEN = """
import sys
from mixsync_dagster.errors import StoreUnavailable
from mixsync_dagster.state import database
from mixsync_dagster.state.migrate import upgrade
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.contracts.state_samples import SYNC, begin
database._POSTGRES_SETTINGS = database._POSTGRES_SETTINGS.replace("session_timeout=10000", "session_timeout=700")
store = SqlStateStore.open(sys.argv[1], clock=SimulatedClock(), key=b"k" * 32)
lock = store.acquire(SYNC, "frozen", "run-frozen", ttl_seconds=0.1)
try:
    with store._fenced(lock) as tx:
        tx.run("UPDATE syncs SET last_error = ?", "written by a worker whose time is over")
        print("inside", flush=True)
        sys.stdin.readline()
except StoreUnavailable as error:
    print("told:", error, flush=True)
"""


@postgres_only
@pytest.mark.slow
def test_a_worker_frozen_inside_a_transaction_blocks_its_successor_only_for_a_moment(store, url):
    seed(store)
    frozen = subprocess.Popen(
        [sys.executable, "-c", _FROZEN, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert frozen.stdout.readline() == "inside\n"
        os.kill(frozen.pid, signal.SIGSTOP)
        time.sleep(0.15)
        before = time.monotonic()
        lock = store.acquire(SYNC, "successor", "run-2", ttl_seconds=60)
        assert time.monotonic() - before < 5
        assert lock.generation == 2
        os.kill(frozen.pid, signal.SIGCONT)
        told, _ = frozen.communicate("go on\n", timeout=30)
    finally:
        frozen.kill()
        frozen.communicate()
    assert told.startswith("told: the state store did not do it and nothing was written")
    assert store.get_sync(SYNC).last_error is None


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Gives a server that the test may stop, and that keeps what it acknowledged; others use the session's."""
    with running_postgres(durable=True) as server:
        yield server


@pytest.mark.slow
def test_a_server_that_was_stopped_and_came_back_has_every_commit_and_no_half_one(own_server, clock):
    url = own_server.create_database()
    opened = database.Database.open(url, clock=clock)
    upgrade(opened)
    opened.close()
    store = SqlStateStore.open(url, clock=clock, key=b"k" * 32)
    seed(store)
    lock = begin(store)
    store.commit(lock, step(0, 10))

    def cut_off() -> None:
        with store._fenced(lock) as tx:
            tx.run("DELETE FROM inventory")
            own_server.stop()

    with pytest.raises(StoreUnavailable):
        cut_off()
    for _ in range(3):
        with pytest.raises(StoreUnavailable) as told:
            store.commit(lock, step(10, 10))
        assert "\n" not in str(told.value)
    own_server.start()
    # The pool's connections are all dead; each is found out before it is used.
    store.commit(lock, step(10, 10))
    assert store.inventory_size(SYNC) == 20
    assert store.load_checkpoint(SYNC).cursor == "00019"
    taken_over = store.unlock(SYNC)
    assert taken_over == "worker-1"
    with pytest.raises(LockLost):
        store.commit(lock, step(20, 1))
    store.close()
