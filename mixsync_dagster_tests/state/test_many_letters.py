"""Many dead letters: looked up by index, laid in the order of their ids, and changed without keeping others out."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from mixsync_dagster.model.progress import Commit
from mixsync_dagster.state import dead_letters
from mixsync_dagster.state.database import Database
from mixsync_dagster.state.inventory import within
from mixsync_dagster.state.migrate import upgrade
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.contracts.state_samples import SYNC, begin, failure, seed

ITEMS = [f"{number:02}" for number in range(30)]


def fill(store: SqlStateStore) -> None:
    seed(store)
    store.commit(begin(store), Commit(failed=[failure(item) for item in ITEMS]))


@pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
def test_the_letters_of_a_span_are_found_by_their_items(store: SqlStateStore) -> None:
    condition, bounds = within("05", "09")
    query = "EXPLAIN QUERY PLAN" + dead_letters._STANDING_WITHIN + condition
    with store._database.read() as tx:
        [(_, _, _, plan)] = tx.rows(query, SYNC, *bounds)
    assert "ix_dead_letters_item (sync_config_id=? AND source_object_id>? AND source_object_id<?)" in plan


@pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
def test_letters_that_follow_each_other_lie_together(store: SqlStateStore) -> None:
    with store._database.read() as tx:
        [(sql,)] = tx.rows("SELECT sql FROM sqlite_master WHERE name = 'dead_letters'")
    assert sql.rstrip().endswith("WITHOUT ROWID")


def test_letters_of_an_older_store_are_kept(empty_url: str, clock: SimulatedClock) -> None:
    database = Database.open(empty_url, clock=clock)
    if isinstance(database.path, Path):
        database.path.parent.mkdir()
    upgrade(database)
    store = SqlStateStore(database, b"k" * 32)
    fill(store)
    before = store.list_dead_letters(SYNC)
    assert len(before) == len(ITEMS)
    with database.write() as tx:
        config = Config()
        config.set_main_option("script_location", "mixsync_dagster.state:migrations")
        config.attributes["connection"] = tx.connection
        command.downgrade(config, "0009")
    upgrade(database)
    assert store.list_dead_letters(SYNC) == before
    assert sorted(store.standing_dead_letter_ids(SYNC, "05", "08")) == ["06", "07", "08"]
    database.close()


class Slow(SimulatedClock):
    """A clock by which everything takes a while."""

    def monotonic(self) -> float:
        self.advance(0.03)
        return super().monotonic()


def test_whoever_changes_many_letters_leaves_turns_to_writers_of_other_processes(url: str) -> None:
    slow = Slow()
    store = SqlStateStore.open(url, clock=slow, key=b"k" * 32)
    fill(store)
    letters = [one.dead_letter_id for one in store.list_dead_letters(SYNC)]
    slow.slept.clear()
    assert store.discard_dead_letters(SYNC, letters, reason="no") == len(ITEMS)
    assert store.requeue_dead_letters(SYNC, letters) == len(ITEMS)
    assert len(slow.slept) == (0 if store._database.postgres else 2)
    assert all(0.03 <= seconds <= 0.1 for seconds in slow.slept)
    store.close()
