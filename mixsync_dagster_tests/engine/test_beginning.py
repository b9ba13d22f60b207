"""The begin of a run: lock, record, open intents, and where the pass goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mixsync_dagster.engine.beginning import begin_run
from mixsync_dagster.engine.context import RunTicket
from mixsync_dagster.errors import AlreadyLocked, Conflict, LockLost, NotFound, StoreUnavailable
from mixsync_dagster.model.progress import Checkpoint, Commit, Intent, PassKind, RunRecord, Trigger
from mixsync_dagster.ports.state import RunEnd, SyncLock
from mixsync_dagster_tests.engine.support import START, SYNC, Crash, MortalStore, World


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


def test_an_error_after_the_record_ends_the_run_with_its_sentence(world: World) -> None:
    def passing(name: str) -> None:
        if name == "started":
            raise StoreUnavailable("the state store cannot be written: the disk is full.")

    with pytest.raises(StoreUnavailable):
        begun(world, passing=passing)
    record = world.store.get_run("run-1")
    assert (record.status, record.error) == ("interrupted", "the state store cannot be written: the disk is full.")
    sync = world.sync
    assert (sync.locked, sync.status, sync.consecutive_failures) == (False, "ACTIVE", 0)


@pytest.mark.parametrize("point", ["started", "begun"])
def test_a_signal_after_the_record_ends_the_run_and_the_sync_is_due_at_once(world: World, point: str) -> None:
    def passing(name: str) -> None:
        if name == point:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begun(world, passing=passing)
    record = world.store.get_run("run-1")
    assert (record.status, record.error) == (
        "interrupted",
        "the run was interrupted by a signal; the next run resumes it.",
    )
    sync = world.sync
    assert (sync.locked, sync.next_sync_at, sync.consecutive_failures) == (False, START, 0)


def test_a_signal_just_as_the_record_is_made_ends_the_run_as_well(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = world.store.start_run

    def interrupted(lock: SyncLock, run: RunRecord) -> None:
        real(lock, run)
        raise KeyboardInterrupt

    monkeypatch.setattr(world.store, "start_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        begun(world)
    assert world.store.get_run("run-1").status == "interrupted"
    assert not world.sync.locked


def test_a_record_that_cannot_be_made_frees_the_lock_and_leaves_no_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_lock: SyncLock, _run: RunRecord) -> None:
        raise StoreUnavailable("the state store cannot be written.")

    monkeypatch.setattr(world.store, "start_run", refused)
    with pytest.raises(StoreUnavailable):
        begun(world)
    assert list(world.store.list_runs(SYNC)) == []
    sync = world.sync
    assert (sync.locked, sync.consecutive_failures) == (False, 0)


def test_the_first_error_is_raised_where_the_store_takes_no_end_either(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def passing(name: str) -> None:
        if name == "started":
            raise StoreUnavailable("the first.")

    def refused(_lock: SyncLock, _end: RunEnd) -> RunRecord:
        raise StoreUnavailable("the second.")

    monkeypatch.setattr(world.store, "finish_run", refused)
    with pytest.raises(StoreUnavailable, match=r"the first\."):
        begun(world, passing=passing)


def test_a_run_that_was_killed_before_its_first_checkpoint_is_closed_by_the_next(world: World) -> None:
    store = MortalStore(world.store)

    def killed(name: str) -> None:
        if name == "started":
            store.dead.set()
            raise Crash

    with pytest.raises(Crash):
        begun(world, store=store, passing=killed)
    assert world.store.get_run("run-1").status == "running"
    world.clock.advance(world.limits.lease_seconds)
    begun(world, run="run-2")
    told = [(run.sync_run_id, run.status, run.error) for run in world.store.list_runs(SYNC)]
    assert told == [
        ("run-2", "running", None),
        ("run-1", "interrupted", "the run's worker is gone; the next run goes on from the last commit."),
    ]


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
