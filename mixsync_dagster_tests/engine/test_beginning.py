"""The begin of a run: lock, record, open intents, and where the pass goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mixsync_dagster.engine.beginning import begin_run
from mixsync_dagster.engine.context import RunTicket
from mixsync_dagster.errors import AlreadyLocked, Conflict, LockLost, NotFound
from mixsync_dagster.model.progress import Checkpoint, Commit, Intent, PassKind, Trigger
from mixsync_dagster.ports.state import SyncLock
from mixsync_dagster_tests.engine.support import START, SYNC, Crash, World


def begun(world: World, *, run: str = "run-1", full_sync: bool = False, **changes: Any) -> RunTicket:
    return begin_run(
        world.tools(**changes),
        SYNC,
        worker_id="worker",
        sync_run_id=run,
        trigger=Trigger.SCHEDULED,
        full_sync=full_sync,
        dagster_run_id="dagster-1",
    )


def left_behind(world: World, checkpoint: Checkpoint, intents: list[Intent] | None = None) -> None:
    """Leave what a run that ended early leaves."""
    lock = world.store.acquire(SYNC, "dead", "run-0", ttl_seconds=60)
    world.store.record_intents(lock, intents or [])
    world.store.commit(lock, Commit(checkpoint=checkpoint))
    world.store.release(lock)


def test_a_run_begins_with_a_lock_and_a_record(world: World) -> None:
    ticket = begun(world)
    assert ticket == RunTicket(
        sync_config_id=SYNC,
        sync_run_id="run-1",
        worker_id="worker",
        generation=1,
        started_at=START.isoformat(),
        pass_number=1,
        kind="full_listing",
        cursor=None,
    )
    record = world.store.get_run("run-1")
    assert (record.status, record.trigger, record.worker_id) == ("running", "scheduled", "worker")
    assert (record.started_at, record.completed_at, record.dagster_run_id) == (START, None, "dagster-1")
    assert world.sync.locked_by_worker_id == "worker"
    assert world.store.load_checkpoint(SYNC) == Checkpoint(pass_number=1, kind=PassKind.FULL_LISTING)


def test_a_ticket_survives_its_way_as_plain_values(world: World) -> None:
    ticket = begun(world)
    assert RunTicket.from_dict(ticket.as_dict()) == ticket


def test_a_second_begin_is_refused_while_the_first_holds_the_lock(world: World) -> None:
    begun(world)
    with pytest.raises(AlreadyLocked):
        begun(world, run="run-2")
    with pytest.raises(NotFound):
        world.store.get_run("run-2")


def test_an_expired_lock_is_taken_over_and_the_old_run_is_closed(world: World) -> None:
    begun(world)
    world.clock.advance(61)
    assert begun(world, run="run-2").generation == 2
    assert world.store.get_run("run-1").status == "interrupted"


def test_a_paused_sync_is_refused_and_left_unlocked(world: World) -> None:
    world.store.set_paused(SYNC, paused=True, reason=None, user_id=None)
    with pytest.raises(Conflict, match=r"sync videos is paused \(no reason given\); resume it with `mixsync resume"):
        begun(world)
    assert not world.sync.locked


def test_an_absent_sync_is_told(world: World) -> None:
    world.store.delete_sync(SYNC)
    with pytest.raises(NotFound):
        begun(world)


@pytest.mark.parametrize("point", ["acquired", "begun"])
def test_a_begin_that_ends_early_frees_the_lock(world: World, point: str) -> None:
    def passing(name: str) -> None:
        if name == point:
            raise Crash

    with pytest.raises(Crash):
        begun(world, passing=passing)
    assert not world.sync.locked


UNFINISHED = Checkpoint(
    pass_number=7,
    kind=PassKind.FULL_LISTING,
    cursor="m",
    shards_done=3,
    objects_processed=9,
    complete_so_far=False,
)


def test_an_unfinished_pass_is_gone_on_with(world: World) -> None:
    left_behind(world, UNFINISHED)
    ticket = begun(world)
    assert (ticket.pass_number, ticket.cursor) == (7, "m")
    assert world.store.load_checkpoint(SYNC) == Checkpoint(
        pass_number=7, kind=PassKind.FULL_LISTING, cursor="m", shards_done=3, complete_so_far=False
    )


def test_a_pass_that_was_listed_to_its_end_is_followed_by_the_next_one(world: World) -> None:
    left_behind(world, Checkpoint(pass_number=7, kind=PassKind.FULL_LISTING, listed_to_end=True))
    ticket = begun(world)
    assert (ticket.pass_number, ticket.cursor) == (8, None)


def test_a_full_sync_begins_a_pass_of_its_own(world: World) -> None:
    left_behind(world, UNFINISHED)
    ticket = begun(world, full_sync=True)
    assert (ticket.pass_number, ticket.cursor) == (8, None)
    assert world.store.load_checkpoint(SYNC) == Checkpoint(pass_number=8, kind=PassKind.FULL_LISTING)


def test_without_resuming_every_run_begins_a_pass_of_its_own(make_world: Callable[..., World]) -> None:
    world = make_world(resume_enabled=False)
    left_behind(world, UNFINISHED)
    assert begun(world).cursor is None


def test_passes_are_numbered_over_runs(world: World) -> None:
    world.run()
    world.run()
    assert begun(world, run="run-3").pass_number == 3


def test_open_intents_are_settled(world: World) -> None:
    left_behind(world, UNFINISHED, [Intent("obj_1", "memory/a", "v1"), Intent("obj_2", "memory/b", "v1")])
    assert len(world.store.open_intents(SYNC)) == 2
    begun(world)
    assert list(world.store.open_intents(SYNC)) == []


def test_a_lock_taken_away_during_the_begin_leaves_nothing(world: World) -> None:
    def passing(name: str) -> None:
        if name == "acquired":
            world.store.unlock(SYNC)

    with pytest.raises(LockLost):
        begun(world, passing=passing)
    assert world.store.load_checkpoint(SYNC) is None
    stale = SyncLock(SYNC, "worker", "run-1", 1, START)
    with pytest.raises(LockLost):
        world.store.commit(stale, Commit())
