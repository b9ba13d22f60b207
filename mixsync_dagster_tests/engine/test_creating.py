"""Units, commits and positions of one shard's work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mixsync_dagster.engine.beginning import begin_run
from mixsync_dagster.engine.context import SyncRun, attached
from mixsync_dagster.engine.creating import create_objects
from mixsync_dagster.engine.filtering import filter_items
from mixsync_dagster.engine.listing import list_items
from mixsync_dagster.engine.mapping import map_schema
from mixsync_dagster.engine.planning import plan_changes
from mixsync_dagster.errors import Conflict, ItemCorrupt, LockLost, ProviderUnavailable, StoreUnavailable
from mixsync_dagster.model.items import Shard
from mixsync_dagster.model.objects import Draft
from mixsync_dagster.model.progress import Commit, Counters, Trigger
from mixsync_dagster.ports.bucket import PutFailure
from mixsync_dagster_tests.engine.support import SYNC, World


@contextmanager
def running(world: World, **changes: Any) -> Iterator[SyncRun]:
    tools = world.tools(**changes)
    ticket = begin_run(tools, SYNC, worker_id="w", sync_run_id="r", trigger=Trigger.MANUAL, full_sync=False)
    with attached(tools, ticket) as run:
        yield run


def shards(run: SyncRun) -> list[Shard]:
    return [map_schema(run, plan_changes(run, filter_items(run, shard))) for shard in list_items(run, None)]


class Watched:
    """Passes calls on and remembers them; a call, or a value, may be replaced."""

    def __init__(self, target: Any, **replaced: Any) -> None:
        self._target = target
        self._replaced = replaced
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        method = self._replaced.get(name) or getattr(self._target, name)
        if not callable(method):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args))
            return method(*args, **kwargs)

        return call

    def arguments(self, name: str) -> list[tuple[Any, ...]]:
        return [args for one, args in self.calls if one == name]


def test_a_shard_is_put_in_units_of_the_batch_size(make_world: Callable[..., World]) -> None:
    world = make_world(batch_size=3)
    world.put(*"abcdefgh")
    bucket = Watched(world.open_bucket(), units_at_once=1)
    with running(world, bucket=bucket) as run:
        (shard,) = shards(run)
        assert create_objects(run, shard) == Counters(discovered=8, created=8, bytes=8)
    assert [len(drafts) for (drafts,) in bucket.arguments("put_objects")] == [3, 3, 2]


def test_a_unit_is_in_the_order_of_the_listing(world: World) -> None:
    world.put(*"abcdefgh")
    bucket = Watched(world.open_bucket())
    with running(world, bucket=bucket) as run:
        create_objects(run, shards(run)[0])
    ((drafts,),) = bucket.arguments("put_objects")
    assert [draft.item.path for draft in drafts] == list("abcdefgh")


def test_intents_are_recorded_before_the_first_byte_is_read(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.put("a", "b")
    open_at_read: list[int] = []

    def before(verb: str, path: str) -> None:
        if verb == "read":
            open_at_read.append(len(world.store.open_intents(SYNC)))

    world.storage.before = before
    with running(world) as run:
        create_objects(run, shards(run)[0])
    assert open_at_read == [2, 2]
    assert list(world.store.open_intents(SYNC)) == []


def commits(store: Watched) -> list[Commit]:
    return [step for _, step in store.arguments("commit")]


def test_a_quick_shard_is_one_commit_with_the_position_behind_it(world: World) -> None:
    world.put(*"abcde")
    with running(world) as run:
        store = Watched(world.store)
        watched = SyncRun(world.tools(store=store), run.sync, run.ticket, run.keeper)
        create_objects(watched, shards(run)[0])
    (step,) = commits(store)
    assert len(step.placed) == 5
    assert step.checkpoint is not None
    assert (step.checkpoint.cursor, step.checkpoint.listed_to_end, step.checkpoint.objects_processed) == (None, True, 5)


def test_a_commit_covers_at_most_its_frequency(make_world: Callable[..., World]) -> None:
    world = make_world(batch_size=10, resume_checkpoint_frequency=100)
    world.put(*(f"{number:03}" for number in range(250)))
    with running(world) as run:
        store = Watched(world.store)
        watched = SyncRun(world.tools(store=store), run.sync, run.ticket, run.keeper)
        create_objects(watched, shards(run)[0])
    sizes = [len(step.placed) for step in commits(store)]
    assert sum(sizes) == 250
    # A parcel may add a unit to a commit that is due.
    assert max(sizes) <= 110
    positions = [step.checkpoint.listed_to_end for step in commits(store) if step.checkpoint]
    assert positions == [False] * (len(sizes) - 1) + [True]


def test_slow_work_is_committed_every_two_seconds(make_world: Callable[..., World]) -> None:
    world = make_world(batch_size=1)
    world.put(*"abcdefghijkl")
    real = world.open_bucket()

    def put_objects(drafts: list[Draft], *, skip_duplicates: bool) -> Any:
        world.clock.advance(0.7)
        return real.put_objects(drafts, skip_duplicates=skip_duplicates)

    with running(world) as run:
        store = Watched(world.store)
        tools = world.tools(store=store, bucket=Watched(real, put_objects=put_objects, units_at_once=1))
        create_objects(SyncRun(tools, run.sync, run.ticket, run.keeper), shards(run)[0])
    assert [len(step.placed) for step in commits(store)] == [3, 3, 3, 3, 0]


def test_a_draft_that_the_bucket_refuses_is_that_items_failure(world: World) -> None:
    world.put("a", "b")
    real = world.open_bucket()

    def put_objects(drafts: list[Draft], *, skip_duplicates: bool) -> list[Any]:
        refused = [draft for draft in drafts if draft.item.path == "a"]
        others = [draft for draft in drafts if draft.item.path != "a"]
        failures = [PutFailure(draft, ItemCorrupt("a is refused.")) for draft in refused]
        return [*failures, *real.put_objects(others, skip_duplicates=skip_duplicates)]

    with running(world, bucket=Watched(real, put_objects=put_objects)) as run:
        counters = create_objects(run, shards(run)[0])
    assert (counters.created, counters.failed) == (1, 1)
    assert world.letters()["a"].error_message == "a is refused."
    assert sorted(world.contents()) == ["b"]


def test_a_bucket_that_is_full_ends_the_work_and_commits_nothing_of_the_unit(world: World) -> None:
    world.put("a", "b")

    def full(*_args: Any, **_kwargs: Any) -> Any:
        raise StoreUnavailable("the disk is full.")

    with running(world, bucket=Watched(world.open_bucket(), put_objects=full)) as run, pytest.raises(StoreUnavailable):
        create_objects(run, shards(run)[0])
    assert world.objects() == {}
    assert len(world.store.open_intents(SYNC)) == 2


def test_an_outage_in_mid_shard_keeps_the_commits_before_it(make_world: Callable[..., World]) -> None:
    world = make_world(batch_size=1, sync_concurrency=1)
    world.put(*"abcdefghij")

    def before(verb: str, path: str) -> None:
        if verb == "read":
            world.clock.advance(3)
            if path == "i":
                raise ProviderUnavailable("nobody answers.")

    world.storage.before = before
    with running(world) as run, pytest.raises(ProviderUnavailable):
        create_objects(run, shards(run)[0])
    assert "a" in world.contents()
    assert "i" not in world.contents()
    checkpoint = world.store.load_checkpoint(SYNC)
    assert checkpoint is not None
    assert (checkpoint.cursor, checkpoint.listed_to_end, checkpoint.shards_done) == (None, False, 0)
    assert checkpoint.objects_processed == len(world.contents())


def test_a_shard_beyond_the_cap_is_done_in_part_and_its_position_stays_before_it(
    make_world: Callable[..., World],
) -> None:
    world = make_world(max_objects_per_run=3)
    world.put(*"abcdefgh")
    with running(world) as run:
        (shard,) = shards(run)
        assert create_objects(run, shard).created == 3
        assert create_objects(run, shard) == Counters()
    assert sorted(world.contents()) == ["a", "b", "c"]
    checkpoint = world.store.load_checkpoint(SYNC)
    assert checkpoint is not None
    assert (checkpoint.listed_to_end, checkpoint.shards_done, checkpoint.objects_processed) == (False, 0, 3)


def test_a_shard_done_twice_places_everything_once(world: World) -> None:
    world.put("a", "b")
    with running(world) as run:
        (shard,) = shards(run)
        first = create_objects(run, shard)
        second = create_objects(run, shard)
    assert (first.created, second.replaced) == (2, 0)
    assert world.contents() == {"a": b"a", "b": b"b"}


def test_without_a_pass_under_way_nothing_is_done(world: World) -> None:
    world.put("a")
    with running(world) as run:
        shard = shards(run)[0]
        with world.store._database.write() as tx:
            tx.run("DELETE FROM checkpoints")
        with pytest.raises(Conflict, match="has no pass under way"):
            create_objects(run, shard)


def test_a_pass_that_somebody_else_ended_is_a_lost_lock(world: World) -> None:
    world.put("a")
    with running(world) as run:
        shard = shards(run)[0]
        world.store.finish_run(run.lock, _ended())
        with pytest.raises(LockLost):
            create_objects(run, shard)


def _ended() -> Any:
    from mixsync_dagster.model.progress import Outcome
    from mixsync_dagster.ports.state import RunEnd

    return RunEnd(Outcome.COMPLETED, None, None, "ACTIVE", is_active=True, next_sync_at=None, successful=True)


class Notes:
    """A Reporter that remembers."""

    def __init__(self) -> None:
        self.planned_items: list[tuple[int, int]] = []
        self.done = Counters()

    def planned(self, items: int, size_bytes: int) -> None:
        self.planned_items.append((items, size_bytes))

    def progressed(self, counters: Counters) -> None:
        self.done += counters


def test_the_reporter_hears_of_plan_and_progress(world: World) -> None:
    world.storage.put("a", b"12345")
    world.storage.put("b", b"123")
    notes = Notes()
    with running(world, reporter=notes) as run:
        create_objects(run, shards(run)[0])
    assert notes.planned_items == [(2, 8)]
    assert notes.done == Counters(discovered=2, created=2, bytes=8)


@pytest.mark.parametrize(("sync_width", "limit", "widest"), [(2, 256, 2), (50, 3, 3)])
def test_the_narrower_of_sync_and_limits_bounds_the_transfers(
    make_world: Callable[..., World], sync_width: int, limit: int, widest: int
) -> None:
    import threading
    from dataclasses import replace

    world = make_world(sync_concurrency=sync_width)
    for number in range(20):
        world.storage.put(f"{number:02}", bytes([number]) * 70_000)
    world.limits = replace(world.limits, concurrency=limit)
    lock, now, most = threading.Lock(), 0, 0
    together = threading.Barrier(widest)

    def before(verb: str, path: str) -> None:
        nonlocal now, most
        if verb != "read":
            return
        with lock:
            now += 1
            most = max(most, now)
        if int(path) < widest:
            together.wait(20)
        with lock:
            now -= 1

    world.storage.before = before
    with running(world) as run:
        create_objects(run, shards(run)[0])
    assert most == widest


def test_a_bucket_that_takes_several_units_at_once_gets_them_together(make_world: Callable[..., World]) -> None:
    world = make_world(batch_size=2)
    world.put(*"abcdefgh")
    bucket = Watched(world.open_bucket(), units_at_once=3)
    with running(world, bucket=bucket) as run:
        create_objects(run, shards(run)[0])
    assert [len(drafts) for (drafts,) in bucket.arguments("put_objects")] == [6, 2]
