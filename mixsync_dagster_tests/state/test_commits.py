"""A commit is whole or not at all."""

from __future__ import annotations

import pytest

from mixsync_dagster.errors import StoreUnavailable
from mixsync_dagster.model.progress import Checkpoint, Commit, Counters, PassKind
from mixsync_dagster.state.database import Database, Transaction
from mixsync_dagster.state.migrate import upgrade
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.contracts.state_samples import BUCKET, SYNC, begin, failure, placed, seed
from mixsync_dagster_tests.state.test_leases import everything

STEP = Commit(
    placed=[placed("new"), placed("old", "v2")],
    failed=[failure("broken")],
    missing=["old"],
    checkpoint=Checkpoint(2, PassKind.FULL_LISTING, "cursor"),
    counters=Counters(created=1, replaced=1, failed=1),
)


class Crash(BaseException):
    """Stands for the process being killed between two statements."""


def statements_of(store: SqlStateStore, monkeypatch: pytest.MonkeyPatch, lock, *, fatal: int | None) -> int:
    """Commit STEP, dying before statement number `fatal`; return how many statements were begun."""
    begun = 0

    def counted(name: str):
        original = getattr(Transaction, name)

        def statement(self, *arguments):
            nonlocal begun
            if begun == fatal:
                raise Crash
            begun += 1
            return original(self, *arguments)

        return statement

    with monkeypatch.context() as patched:
        for name in ("execute", "run", "run_many", "rows", "insert"):
            patched.setattr(Transaction, name, counted(name))
        store.commit(lock, STEP)
    return begun


def test_a_crash_before_any_statement_of_a_commit_leaves_nothing_of_it(store, monkeypatch):
    seed(store)
    lock = begin(store)
    store.commit(lock, Commit(placed=[placed("old")], checkpoint=Checkpoint(1, PassKind.FULL_LISTING)))
    before = everything(store)
    crashes = 0
    while True:
        try:
            statements = statements_of(store, monkeypatch, lock, fatal=crashes)
        except Crash:
            assert everything(store) == before
            crashes += 1
        else:
            break
    assert crashes == statements
    assert crashes > 12
    assert store.count_objects(BUCKET) == 2
    assert store.load_checkpoint(SYNC) == STEP.checkpoint


def test_a_full_disk_is_told_and_loses_nothing(tmp_path, clock):
    url = f"sqlite:///{tmp_path}/state.db"
    database = Database.open(url, clock=clock)
    upgrade(database)
    store = SqlStateStore(database, b"k" * 32)
    seed(store)
    lock = begin(store)
    with database.read() as tx:
        pages = tx.rows("PRAGMA page_count")[0][0]
        tx.rows(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(StoreUnavailable, match="full"):
        store.commit(lock, Commit(placed=[placed(f"{number:04d}") for number in range(500)]))
    assert store.count_objects(BUCKET) == 0
    with database.read() as tx:
        tx.rows("PRAGMA max_page_count=1000000")
    store.commit(lock, Commit(placed=[placed("a")]))
    assert store.count_objects(BUCKET) == 1
    store.close()
