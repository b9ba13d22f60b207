"""A sync that is edited or deleted while it runs: at every point, and the next runs leave everything as it now says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mixsync_dagster.errors import LockLost, MixsyncError, NotFound
from mixsync_dagster_tests.engine.support import SYNC, World

POINTS = (
    "acquired",
    "started",
    "begun",
    "announced",
    "stored",
    "put",
    "committing",
    "committed",
    "sealed",
    "claimed",
    "submitted",
    "removing",
    "finishing",
)
BOOKS = ("outbox", "intents", "checkpoints", "inventory", "dead_letters", "refusals")


def at(point: str, act: Callable[[], object]) -> tuple[Callable[[str], None], list[str]]:
    """Return what acts when a run passes the point for the first time, and a note of it."""
    passed: list[str] = []

    def passing(name: str) -> None:
        if name == point and not passed:
            passed.append(name)
            act()

    return passing, passed


@pytest.mark.parametrize("point", POINTS)
def test_a_sync_that_is_deleted_during_its_run_leaves_no_books_behind(world: World, point: str) -> None:
    world.put("a", "b", "gone")
    world.run()
    world.put("c")
    world.storage.delete("gone")
    passing, passed = at(point, lambda: world.store.delete_sync(SYNC))
    with pytest.raises((LockLost, NotFound)):
        world.run(world.tools(passing=passing))
    assert passed == [point]
    with world.store._database.read() as tx:
        left = {name: tx.rows(f"SELECT count(*) FROM {name}")[0][0] for name in BOOKS}
        assert left == dict.fromkeys(BOOKS, 0)
        assert tx.rows("SELECT 1 FROM leases WHERE holder <> ''") == []
        assert tx.rows("SELECT 1 FROM runs WHERE status = 'running'") == []
        assert tx.rows("SELECT 1 FROM batches WHERE state = 'sealed'") == []


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ({"include_patterns": ["*.txt"]}, None, ["a.txt", "b.bin", "c.txt", "d.bin"]),
        (None, {"include_patterns": ["*.txt"]}, ["a.txt", "c.txt"]),
    ],
    ids=["wider", "narrower"],
)
def test_filters_that_are_edited_during_a_run_hold_after_the_next_one(
    make_world: Callable[..., World], point: str, before: object, after: object, wanted: list[str]
) -> None:
    world = make_world(file_filters=before)
    world.put("a.txt", "b.bin", "gone.txt")
    world.run()
    world.put("c.txt", "d.bin")
    world.storage.delete("gone.txt")
    passing, passed = at(point, lambda: world.store.update_sync(SYNC, {"file_filters": after}))
    try:
        record = world.run(world.tools(passing=passing))
    except MixsyncError as error:
        pytest.fail(f"an edit stopped the run: {error}")
    # The run itself goes by one configuration, whichever of the two it read.
    assert record.status == "completed"
    assert passed == [point]
    world.run()
    assert sorted(world.contents()) == wanted
    assert len(world.batched()) == len(set(world.batched()))
