"""Whole runs against their bounds: caps, batches, the guard of removals, locks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from mixsync_dagster.engine.context import RunLimits, attached
from mixsync_dagster.engine.finishing import finish_run
from mixsync_dagster.engine.run import run_sync
from mixsync_dagster.errors import AlreadyLocked, Conflict, LockLost
from mixsync_dagster.model.progress import Trigger
from mixsync_dagster_tests.engine.support import BUCKET, SYNC, World

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def test_the_cap_is_hard_and_the_next_runs_finish_the_rest(make_world: Callable[..., World]) -> None:
    world = make_world(max_objects_per_run=10)
    world.put(*LETTERS)
    placed = []
    for _ in range(4):
        record = world.run()
        assert record.status == "completed"
        placed.append(record.counters.created)
    assert placed == [10, 10, 6, 0]
    assert world.contents() == world.source()


def test_a_capped_run_is_due_again_at_once_and_keeps_its_place(make_world: Callable[..., World]) -> None:
    world = make_world(max_objects_per_run=3)
    world.put(*LETTERS[:9])
    world.storage.before = lambda verb, _path: world.clock.advance(2.5 if verb == "list" else 0)
    world.run()
    sync = world.sync
    assert (sync.status, sync.is_active, sync.next_sync_at) == ("ACTIVE", True, world.clock.now())
    assert sync.last_sync_at is None
    assert sync.resume_cursor == "c"
    assert sync.resume_objects_processed == 3


def test_failures_count_towards_the_cap(make_world: Callable[..., World]) -> None:
    world = make_world(max_objects_per_run=2)
    world.storage.put("a", b"", unreadable="archived")
    world.put("b", "c")
    assert world.run().counters.created == 1
    assert world.run().counters.created == 1
    assert sorted(world.contents()) == ["b", "c"]


def test_a_capped_pass_removes_nothing_before_its_end(make_world: Callable[..., World]) -> None:
    world = make_world(max_objects_per_run=3)
    world.put(*"abc")
    world.run()
    world.storage.delete("a")
    world.put(*"defgh")
    assert world.run().counters.removed == 0
    assert "a" in world.contents()
    world.runs_until_settled()
    assert world.contents() == world.source()


def test_unchanged_items_do_not_count_towards_the_cap(make_world: Callable[..., World]) -> None:
    world = make_world(max_objects_per_run=5)
    world.put(*LETTERS[:5])
    world.run()
    world.put("z")
    record = world.run()
    assert (record.counters.unchanged, record.counters.created) == (5, 1)
    assert world.store.load_checkpoint(SYNC) is None


def versions(world: World) -> list[tuple[str, str]]:
    return sorted((stored.object_id, stored.version) for stored in world.objects().values())


def test_batches_hold_every_placed_version_exactly_once(make_world: Callable[..., World]) -> None:
    world = make_world(batch_chunk_size=10)
    world.put(*LETTERS)
    record = world.run()
    batches = world.store.list_batches(BUCKET)
    assert sorted(batch.size for batch in batches) == [6, 10, 10]
    assert record.counters.batches_created == 3
    assert world.batched() == versions(world)
    assert sorted(world.handler.calls) == sorted(batch.batch_id for batch in batches)


def test_a_replaced_version_is_in_a_batch_of_its_own(world: World) -> None:
    world.put("a", "b")
    world.run()
    first = versions(world)
    world.storage.put("a", b"new")
    world.run()
    assert [batch.size for batch in world.store.list_batches(BUCKET)] == [1, 2]
    assert world.batched() == sorted({*first, *versions(world)})


def test_a_run_without_work_makes_no_batch(world: World) -> None:
    world.put("a")
    world.run()
    world.run()
    assert len(world.store.list_batches(BUCKET)) == 1


def test_the_ceiling_of_batches_holds_over_their_size(make_world: Callable[..., World]) -> None:
    world = make_world(batch_chunk_size=100, max_batch_chunk_size=5)
    world.put(*LETTERS[:12])
    world.run()
    assert sorted(batch.size for batch in world.store.list_batches(BUCKET)) == [2, 5, 5]


def test_no_batch_is_made_where_none_is_wanted(make_world: Callable[..., World]) -> None:
    world = make_world(skip_batch_submission=True)
    world.put("a", "b")
    record = world.run()
    assert (record.counters.created, record.counters.batches_created) == (2, 0)
    assert list(world.store.list_batches(BUCKET)) == []
    assert world.handler.calls == []


def test_what_was_placed_without_batches_is_in_none_later(make_world: Callable[..., World]) -> None:
    world = make_world(skip_batch_submission=True)
    world.put("a")
    world.run()
    world.store.update_sync(SYNC, {"skip_batch_submission": False})
    world.put("b")
    world.run()
    assert world.batched() == [(world.objects()["b"].object_id, world.objects()["b"].version)]


def test_a_duplicate_is_in_no_batch(world: World) -> None:
    world.storage.put("a", b"same")
    world.storage.put("b", b"same")
    world.run()
    assert world.batched() == versions(world)


def test_a_second_worker_is_refused_while_the_first_one_runs(world: World) -> None:
    world.put("a")
    refused = []

    def before(verb: str, path: str) -> None:
        if verb == "read":
            with pytest.raises(AlreadyLocked) as caught:
                run_sync(world.tools(), SYNC, worker_id="second", sync_run_id="other")
            refused.append(caught.value.owner)

    world.storage.before = before
    record = world.run(worker_id="first")
    assert refused == ["first"]
    assert (record.status, record.counters.created) == ("completed", 1)
    assert not world.sync.locked


@pytest.mark.parametrize("point", ["announced", "stored", "put", "committing", "sealed", "claimed", "finishing"])
def test_after_expiry_another_worker_takes_over_and_the_first_writes_nothing_more(world: World, point: str) -> None:
    world.put("a", "b")
    taken: list[str] = []

    def passing(name: str) -> None:
        if name == point and not taken:
            taken.append(name)
            world.clock.advance(world.limits.lease_seconds + 1)
            record = run_sync(world.tools(), SYNC, worker_id="second", sync_run_id="other")
            taken.append(record.status)

    with pytest.raises(LockLost):
        world.run(world.tools(passing=passing), worker_id="first")
    assert taken == [point, "completed"]
    assert world.contents() == {"a": b"a", "b": b"b"}
    assert world.batched() == versions(world)
    assert world.store.get_run("run-1").status == "interrupted"
    assert world.store.get_run("other").status == "completed"
    assert world.sync.sync_run_counter == 2
    assert world.sync.total_files_synced == 2
    assert not world.sync.locked


def test_an_expired_lock_that_nobody_took_is_still_held(world: World) -> None:
    world.put("a")

    def passing(name: str) -> None:
        if name == "committing":
            world.clock.advance(10 * world.limits.lease_seconds)

    assert world.run(world.tools(passing=passing)).status == "completed"


def test_a_deleted_sync_stops_its_run(world: World) -> None:
    world.put("a")

    def passing(name: str) -> None:
        if name == "put":
            world.store.delete_sync(SYNC)

    with pytest.raises(LockLost):
        world.run(world.tools(passing=passing))
    assert world.objects() == {}


def test_a_guard_of_removals_pauses_the_sync_and_removes_nothing(world: World) -> None:
    paths = [f"{number:03}" for number in range(40)]
    world.put(*paths)
    world.run()
    for path in paths[:20]:
        world.storage.delete(path)
    record = world.run()
    sync = world.sync
    assert (record.status, record.counters.removed) == ("failed", 0)
    assert "20 of 40 objects are gone at the source, more than the 20 % that one pass may remove" in str(record.error)
    assert (sync.paused, sync.pause_reason, sync.is_active) == (True, "removal_guard", False)
    assert (sync.status, sync.next_sync_at, sync.last_error) == ("SUSPENDED", None, record.error)
    assert len(world.contents()) == 40
    with pytest.raises(Conflict, match="is paused"):
        world.run()


def test_approved_removals_pass_the_guard(world: World) -> None:
    paths = [f"{number:03}" for number in range(40)]
    world.put(*paths)
    world.run()
    for path in paths[:20]:
        world.storage.delete(path)
    world.run()
    world.store.set_paused(SYNC, paused=False, reason=None, user_id=None)
    world.limits = RunLimits(removal_guard_percent=100.0)
    assert world.run().counters.removed == 20
    assert world.contents() == world.source()


@pytest.mark.parametrize(("total", "gone", "held"), [(12, 10, False), (12, 11, True), (60, 12, False), (60, 13, True)])
def test_the_guard_knows_a_floor_and_a_share(world: World, total: int, gone: int, held: bool) -> None:
    paths = [f"{number:03}" for number in range(total)]
    world.put(*paths)
    world.run()
    for path in paths[:gone]:
        world.storage.delete(path)
    assert world.run().counters.removed == (0 if held else gone)
    assert world.sync.paused is held


def test_a_paused_sync_does_not_run_and_is_not_locked(world: World) -> None:
    world.store.set_paused(SYNC, paused=True, reason="user", user_id="usr_1")
    with pytest.raises(Conflict, match="sync videos is paused"):
        world.run()
    assert not world.sync.locked
    assert world.sync.sync_run_counter == 0


def test_a_pause_during_a_run_lets_it_end(world: World) -> None:
    world.put("a")

    def before(verb: str, path: str) -> None:
        if verb == "read":
            world.store.set_paused(SYNC, paused=True, reason="user", user_id="usr_1")

    world.storage.before = before
    assert world.run().status == "completed"
    assert world.contents() == {"a": b"a"}
    assert (world.sync.status, world.sync.next_sync_at) == ("SUSPENDED", None)


def test_small_commits_place_the_same(make_world: Callable[..., World]) -> None:
    world = make_world(batch_size=1, resume_checkpoint_frequency=100)
    world.put(*(f"{number:03}" for number in range(250)))
    world.limits = replace(world.limits, commit_seconds=0.0)
    assert world.run().counters.created == 250
    assert world.contents() == world.source()


def test_steps_in_separate_processes_find_back_to_their_run(world: World) -> None:
    from mixsync_dagster.engine.beginning import begin_run
    from mixsync_dagster.engine.context import RunTicket

    tools = world.tools()
    ticket = begin_run(tools, SYNC, worker_id="w", sync_run_id="r", trigger=Trigger.SCHEDULED, full_sync=False)
    world.clock.advance(timedelta(minutes=5).total_seconds())
    with attached(world.tools(), RunTicket.from_dict(ticket.as_dict())) as run:
        assert run.lock.generation == ticket.generation
        assert finish_run(run).sync_run_id == "r"
