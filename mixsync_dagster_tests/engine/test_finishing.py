"""The end of a run: what the sync is from then on, and when it is due again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mixsync_dagster.engine.finishing import fail_run
from mixsync_dagster.errors import (
    AccessDenied,
    ConfigurationError,
    CursorExpired,
    ItemCorrupt,
    PathNotFound,
    ProviderUnavailable,
    RateLimited,
    StoreUnavailable,
)
from mixsync_dagster_tests.engine.support import START, SYNC, OddProvider, World


def listing_fails(world: World, error: BaseException) -> None:
    def before(verb: str, path: str) -> None:
        if verb == "list":
            raise error

    world.storage.before = before


def healed(world: World) -> None:
    world.storage.before = lambda _verb, _path: None


def failed_run(world: World, error: BaseException) -> None:
    listing_fails(world, error)
    with pytest.raises(type(error)):
        world.run()
    healed(world)


def seconds_until_due(world: World) -> float:
    due = world.sync.next_sync_at
    assert due is not None
    return (due - world.clock.now()).total_seconds()


def test_a_completed_run_moves_the_last_sync_to_its_start(world: World) -> None:
    world.put("a")
    world.storage.before = lambda verb, _path: world.clock.advance(30 if verb == "read" else 0)
    record = world.run()
    sync = world.sync
    assert record.started_at == START + timedelta(seconds=60)
    assert record.completed_at == START + timedelta(seconds=90)
    assert (sync.last_sync_at, sync.status, sync.is_active) == (record.started_at, "ACTIVE", True)
    assert (sync.last_error, sync.resume_cursor, sync.locked) == (None, None, False)


def test_a_continuous_sync_is_due_one_interval_after_its_end(make_world: Callable[..., World]) -> None:
    world = make_world(polling_interval_seconds=100)
    world.put("a")
    world.storage.before = lambda verb, _path: world.clock.advance(30 if verb == "read" else 0)
    world.run()
    assert world.sync.next_sync_at == START + timedelta(seconds=60 + 30 + 100)


@pytest.mark.parametrize(("began", "due"), [(60, 100), (99, 100), (100, 200), (101, 200), (250, 300), (1000, 1100)])
def test_a_scheduled_sync_keeps_the_rhythm_of_its_creation(
    make_world: Callable[..., World], began: float, due: float
) -> None:
    world = make_world(sync_mode="scheduled", polling_interval_seconds=100)
    world.clock.advance(began - 60)
    world.run()
    assert world.sync.next_sync_at == START + timedelta(seconds=due)


@pytest.mark.parametrize("word", ["one_time", "initial_only"])
def test_a_one_time_sync_ends_completed_and_is_never_due_again(make_world: Callable[..., World], word: str) -> None:
    world = make_world(sync_mode=word)
    world.put("a")
    assert world.run().status == "completed"
    sync = world.sync
    assert (sync.status, sync.is_active, sync.next_sync_at) == ("COMPLETED", False, None)
    assert list(world.store.due_syncs(limit=10)) == []


def read_fails(world: World, path: str) -> None:
    def before(verb: str, asked: str) -> None:
        if (verb, asked) == ("read", path):
            raise ItemCorrupt(f"{path} is torn.")

    world.storage.before = before


def test_a_one_time_sync_goes_on_while_retries_are_due_and_then_ends_with_errors(
    make_world: Callable[..., World],
) -> None:
    world = make_world(sync_mode="one_time", polling_interval_seconds=100)
    world.put("a", "b")
    read_fails(world, "a")
    for _ in range(3):
        world.run()
        assert (world.sync.status, world.sync.is_active) == ("ACTIVE", True)
        assert seconds_until_due(world) == 100
    world.run()
    sync = world.sync
    assert (sync.status, sync.is_active, sync.next_sync_at) == ("COMPLETED_WITH_ERRORS", False, None)


def test_a_one_time_sync_whose_file_heals_ends_completed(make_world: Callable[..., World]) -> None:
    world = make_world(sync_mode="one_time")
    world.put("a")
    read_fails(world, "a")
    world.run()
    healed(world)
    world.run()
    assert (world.sync.status, world.sync.next_sync_at) == ("COMPLETED", None)


def test_a_one_time_sync_whose_failing_file_is_deleted_ends(make_world: Callable[..., World]) -> None:
    world = make_world(sync_mode="one_time")
    world.put("a", "b")
    read_fails(world, "a")
    world.run()
    world.storage.delete("a")
    for _ in range(5):
        world.run()
    assert world.sync.next_sync_at is None


def test_a_one_time_sync_that_hit_its_cap_is_not_over(make_world: Callable[..., World]) -> None:
    world = make_world(sync_mode="one_time", max_objects_per_run=1)
    world.put("a", "b")
    world.run()
    assert (world.sync.status, world.sync.next_sync_at) == ("ACTIVE", world.clock.now())
    world.run()
    assert world.sync.status == "COMPLETED"


OUTAGES = [ProviderUnavailable("nobody answers."), RateLimited("slow down."), StoreUnavailable("the disk is full.")]


@pytest.mark.parametrize("error", OUTAGES, ids=lambda error: type(error).__name__)
def test_an_outage_interrupts_a_run_and_is_no_failure_of_the_sync(
    make_world: Callable[..., World], error: Exception
) -> None:
    world = make_world(polling_interval_seconds=100)
    failed_run(world, error)
    record = world.store.get_run("run-1")
    sync = world.sync
    assert (record.status, record.error) == ("interrupted", str(error))
    assert (sync.status, sync.is_active, sync.consecutive_failures) == ("ACTIVE", True, 0)
    assert (sync.last_error, sync.last_sync_at) == (str(error), None)
    assert seconds_until_due(world) == 100


def test_a_named_wait_longer_than_the_interval_is_kept(make_world: Callable[..., World]) -> None:
    world = make_world(polling_interval_seconds=100)
    failed_run(world, RateLimited("slow down.", retry_after_seconds=5000.0))
    assert seconds_until_due(world) == 5000


@pytest.mark.parametrize("seconds", [100_000.0, 1e12, float("inf")])
def test_a_wait_beyond_reason_does_not_silence_a_sync(make_world: Callable[..., World], seconds: float) -> None:
    world = make_world(polling_interval_seconds=100)
    failed_run(world, RateLimited("slow down.", retry_after_seconds=seconds))
    assert world.store.get_run("run-1").status == "interrupted"
    assert seconds_until_due(world) == 86_400


@pytest.mark.parametrize("error", [ProviderUnavailable("nobody answers."), StoreUnavailable("the disk is full.")])
def test_outages_never_pause_a_sync(world: World, error: Exception) -> None:
    for _ in range(10):
        failed_run(world, error)
    assert (world.sync.paused, world.sync.consecutive_failures) == (False, 0)


FAILURES: list[Exception] = [
    AccessDenied("the key is refused."),
    PathNotFound("the path does not exist."),
    ConfigurationError("it is set up wrong."),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_any_other_error_fails_the_run_and_is_counted(make_world: Callable[..., World], error: Exception) -> None:
    world = make_world(polling_interval_seconds=100)
    failed_run(world, error)
    sync = world.sync
    assert world.store.get_run("run-1").status == "failed"
    assert (sync.status, sync.is_active, sync.consecutive_failures) == ("FAILED", True, 1)
    assert sync.last_error == str(error)
    assert seconds_until_due(world) == 100


def test_the_text_of_foreign_errors_is_not_kept(world: World) -> None:
    failed_run(world, ValueError("https://user:secret@host/"))
    assert world.sync.last_error == "unexpected ValueError"


def test_a_signal_is_told_in_words(world: World) -> None:
    failed_run(world, KeyboardInterrupt())
    assert world.store.get_run("run-1").error == "the run was interrupted by a signal; the next run resumes it."


def test_a_long_error_is_cut(world: World) -> None:
    failed_run(world, AccessDenied("x" * 5000))
    assert len(str(world.sync.last_error)) == 1000


def test_five_failures_in_a_row_pause_the_sync(world: World) -> None:
    for failures in range(1, 6):
        assert not world.sync.paused
        failed_run(world, ConfigurationError("the folder is gone."))
        assert world.sync.consecutive_failures == failures
    sync = world.sync
    assert (sync.paused, sync.pause_reason, sync.status) == (True, "consecutive_failures", "SUSPENDED")
    assert (sync.is_active, sync.next_sync_at) == (False, None)


def test_a_success_in_between_begins_the_count_anew(world: World) -> None:
    for _ in range(4):
        failed_run(world, AccessDenied("the key is refused."))
    world.run()
    assert (world.sync.consecutive_failures, world.sync.status, world.sync.last_error) == (0, "ACTIVE", None)
    failed_run(world, AccessDenied("the key is refused."))
    assert (world.sync.consecutive_failures, world.sync.paused) == (1, False)


def test_a_capped_run_in_between_begins_the_count_anew(make_world: Callable[..., World]) -> None:
    world = make_world(max_objects_per_run=1)
    world.put("a", "b")
    for _ in range(4):
        failed_run(world, AccessDenied("the key is refused."))
    world.run()
    assert world.sync.consecutive_failures == 0


def test_a_failed_run_is_gone_on_with(world: World) -> None:
    world.put(*"abcdefgh")
    lists = 0

    def before(verb: str, path: str) -> None:
        nonlocal lists
        if verb == "list":
            world.clock.advance(2.5)
            lists += 1
            if lists == 3:
                raise AccessDenied("the key is refused.")

    world.storage.before = before
    with pytest.raises(AccessDenied):
        world.run()
    healed(world)
    world.forget_requests()
    world.run()
    assert world.storage.requests[0] == ("list", "f")
    assert world.contents() == world.source()


class Forgetful(OddProvider):
    """Refuses every position."""

    def list_pages(self, after: Any = None, *, hints: Any = ()) -> Any:
        """List from the start only."""
        if after is not None:
            raise CursorExpired("the position is no longer known; the listing starts again.")
        return super().list_pages(None, hints=hints)


def test_a_refused_position_makes_the_next_run_begin_anew(make_world: Callable[..., World]) -> None:
    world = make_world(max_objects_per_run=2)
    world.provider = Forgetful(world.storage)
    world.storage.before = lambda verb, _path: world.clock.advance(2.5 if verb == "list" else 0)
    world.put(*"abcdefgh")
    for _ in range(20):
        try:
            world.run()
        except CursorExpired:
            assert world.store.load_checkpoint(SYNC) is None
            assert (world.sync.consecutive_failures, world.sync.status) == (0, "ACTIVE")
    assert world.contents() == world.source()


def test_a_provider_that_refuses_every_position_leaves_no_position_behind(world: World) -> None:
    failed_run(world, CursorExpired("the position is no longer known; the listing starts again."))
    assert world.store.get_run("run-1").status == "interrupted"
    assert world.store.load_checkpoint(SYNC) is None
    assert (world.sync.status, world.sync.consecutive_failures) == ("ACTIVE", 0)
    assert seconds_until_due(world) == 300


def test_the_end_of_a_run_whose_lock_is_lost_writes_nothing(world: World) -> None:
    from mixsync_dagster.engine.beginning import begin_run
    from mixsync_dagster.model.progress import Trigger

    tools = world.tools()
    ticket = begin_run(tools, SYNC, worker_id="w", sync_run_id="r", trigger=Trigger.MANUAL, full_sync=False)
    world.store.unlock(SYNC)
    assert fail_run(tools, ticket, AccessDenied("the key is refused.")) is None
    assert world.store.get_run("r").status == "running"
    assert world.sync.consecutive_failures == 0


class Unordered(OddProvider):
    """Lists in no order that it could say spans of."""

    def list_pages(self, after: Any = None, *, hints: Any = ()) -> Any:
        """Leave the spans out."""
        for page in super().list_pages(after, hints=hints):
            yield replace(page, span=None)


def test_an_unordered_listing_removes_what_it_did_not_hold(world: World) -> None:
    unordered = Unordered(world.storage)
    unordered.changes = {"ordered_listing": False}
    world.provider = unordered
    world.put(*"abcdefgh")
    world.run()
    world.storage.delete("a")
    world.storage.delete("h")
    world.storage.before = lambda verb, _path: world.clock.advance(2.5 if verb == "list" else 0)
    assert world.run().counters.removed == 2
    assert sorted(world.contents()) == list("bcdefg")
    assert world.run().counters.unchanged == 6


def test_a_full_sync_asked_for_during_a_run_is_due_at_once(world: World) -> None:
    world.put("a")

    def before(verb: str, path: str) -> None:
        if verb == "read":
            assert not world.store.request_run(SYNC, full_sync=True)

    world.storage.before = before
    world.run()
    assert world.sync.pending_full_sync
    assert seconds_until_due(world) == 0
