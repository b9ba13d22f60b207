"""Whole runs that end at any point: the next one leaves everything there exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mixsync_dagster.engine.context import Toolbox
from mixsync_dagster.engine.run import run_sync
from mixsync_dagster.errors import AlreadyLocked, ItemCorrupt
from mixsync_dagster_tests.engine.support import BUCKET, SYNC, Crash, MortalStore, World

POINTS = {
    "acquired",
    "announced",
    "begun",
    "claimed",
    "committed",
    "committing",
    "finishing",
    "put",
    "removing",
    "sealed",
    "started",
    "stored",
    "submitted",
}


def prepared(make_world: Callable[..., World]) -> World:
    """Return a world with something to create, replace, remove, skip as a duplicate, fail and leave alone."""
    world = make_world(batch_size=2, batch_chunk_size=3)
    world.put("b", "c", "d", "e")
    assert world.run().status == "completed"
    world.storage.put("b", b"new b")
    world.storage.delete("c")
    world.put("a", "f", "g")
    world.storage.put("h", b"g")
    world.storage.put("i", b"")
    world.storage.put("j", b"j", unreadable="archived")
    return world


def mortal(world: World, point_number: int, seen: list[str], *, hard: bool) -> Toolbox:
    """Return the tools of a process that ends at its n-th point; a hard end leaves no time to tidy up."""
    store = MortalStore(world.store)

    def passing(name: str) -> None:
        seen.append(name)
        if len(seen) == point_number:
            if hard:
                store.dead.set()
            raise Crash

    return world.tools(store=store, passing=passing)


def expect_everything_once(world: World) -> None:
    contents = world.contents()
    # Which of two with the same bytes becomes the object depends on whose bytes arrive first.
    assert contents.pop("g", None) != contents.pop("h", None)
    assert contents == {"a": b"a", "b": b"new b", "d": b"d", "e": b"e", "f": b"f", "i": b""}
    current = {(stored.object_id, stored.version) for stored in world.objects().values()}
    batched = world.batched()
    assert len(batched) == len(set(batched))
    assert current <= set(batched)
    assert len(batched) == 4 + 5
    assert set(world.handler.calls) == {batch.batch_id for batch in world.store.list_batches(BUCKET, limit=100)}
    assert [(letter.state, letter.error_type) for letter in world.letters().values()] == [("quarantined", "archived")]
    assert list(world.store.open_intents(SYNC)) == []
    assert world.store.load_checkpoint(SYNC) is None
    assert not world.sync.locked


@pytest.mark.parametrize("hard", [True, False])
def test_a_run_that_ends_at_any_point_is_made_good_by_the_next(make_world: Callable[..., World], hard: bool) -> None:
    reached: set[str] = set()
    number = 0
    while True:
        number += 1
        world = prepared(make_world)
        seen: list[str] = []
        try:
            world.run(mortal(world, number, seen, hard=hard))
        except Crash:
            reached.add(seen[-1])
            world.clock.advance(world.limits.lease_seconds + 1)
            world.runs_until_settled()
            expect_everything_once(world)
        else:
            break
    expect_everything_once(world)
    assert reached == POINTS


def test_crash_after_crash_is_made_good_in_the_end(make_world: Callable[..., World]) -> None:
    world = prepared(make_world)
    for number in range(1, 40):
        try:
            world.run(mortal(world, number, [], hard=True))
        except Crash:
            world.clock.advance(world.limits.lease_seconds + 1)
        else:
            break
    world.runs_until_settled()
    expect_everything_once(world)


def test_a_dead_process_holds_its_lock_until_it_expires(world: World) -> None:
    world.put("a")
    with pytest.raises(Crash):
        world.run(mortal(world, 4, [], hard=True))
    with pytest.raises(AlreadyLocked):
        run_sync(world.tools(), SYNC, worker_id="other", sync_run_id="early")
    world.clock.advance(world.limits.lease_seconds)
    assert run_sync(world.tools(), SYNC, worker_id="other", sync_run_id="late").status == "completed"
    assert [(run.sync_run_id, run.status) for run in world.store.list_runs(SYNC)] == [
        ("late", "completed"),
        ("run-1", "interrupted"),
    ]


def test_an_interrupted_process_frees_its_lock_and_is_due_at_once(world: World) -> None:
    world.put("a")
    with pytest.raises(Crash):
        world.run(mortal(world, 4, [], hard=False))
    sync = world.sync
    assert world.store.get_run("run-1").status == "interrupted"
    assert (sync.locked, sync.next_sync_at, sync.consecutive_failures) == (False, world.clock.now(), 0)


def test_a_crash_while_bytes_are_read_leaves_no_part_of_them(world: World) -> None:
    world.storage.put("a", b"x" * 1000)
    world.put("b")

    def before(verb: str, path: str) -> None:
        if (verb, path) == ("read", "a"):
            raise Crash

    world.storage.before = before
    with pytest.raises(Crash):
        world.run()
    world.storage.before = lambda _verb, _path: None
    world.run()
    assert world.contents() == world.source()
    blobs = [path.name for path in (world.folder / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == 2


def test_retries_are_counted_even_when_the_process_dies_with_them(world: World) -> None:
    world.put("a")

    def before(verb: str, path: str) -> None:
        if verb == "read":
            raise Crash

    def failing(verb: str, path: str) -> None:
        if verb == "read":
            raise ItemCorrupt("a is torn.")

    world.storage.before = failing
    world.run()
    world.storage.before = before
    with pytest.raises(Crash):
        world.run()
    letter: Any = world.letters()["a"]
    assert (letter.state, letter.retry_count) == ("waiting", 1)


def test_an_item_that_ends_its_worker_is_found_and_kept_aside(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.put(*(f"{number:03}" for number in range(150)), "zzz")
    died = 0
    for _ in range(30):
        store = MortalStore(world.store)

        def before(verb: str, path: str, store: MortalStore = store) -> None:
            if (verb, path) == ("read", "077"):
                store.dead.set()
                raise Crash

        world.storage.before = before
        try:
            world.run(world.tools(store=store))
        except Crash:
            died += 1
            world.clock.advance(world.limits.lease_seconds + 1)
        else:
            break
    assert sorted(set(world.source()) - set(world.contents())) == ["077"]
    (letter,) = world.letters().values()
    assert (letter.source_object_id, letter.state, letter.error_type) == ("memory/077", "quarantined", "worker_died")
    # Some to find it among those that were under way with it, then one try and three retries as any other item has.
    assert died <= 13
    world.storage.before = lambda _verb, _path: None
    world.storage.put("077", b"harmless")
    assert world.run().counters.created == 1


def test_a_worker_that_died_of_something_else_costs_no_attempt(world: World) -> None:
    world.put("a", "b", "c")
    with pytest.raises(Crash):
        world.run(mortal(world, 5, [], hard=True))
    world.clock.advance(world.limits.lease_seconds + 1)
    assert world.run().counters.created == 3
    assert world.letters() == {}
