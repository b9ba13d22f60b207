"""What every kind of error costs an item, and when failing items are an outage."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from mixsync_dagster import errors
from mixsync_dagster.engine.attempts import BREAKER_RUNS
from mixsync_dagster.errors import (
    AccessDenied,
    AddressRefused,
    BucketDenied,
    ConfigurationError,
    CursorExpired,
    ItemChanged,
    ItemCorrupt,
    ItemError,
    ItemRefused,
    ItemUnanswered,
    ItemUnreadable,
    ItemVanished,
    MappingFailed,
    MixsyncError,
    PathNotFound,
    ProviderUnavailable,
    RateLimited,
    StoreUnavailable,
    Throttled,
)
from mixsync_dagster.model.progress import DeadLetter
from mixsync_dagster_tests.engine.support import SYNC, World

NAMES = tuple(f"{number:02}" for number in range(40))


def failing(world: World, error: BaseException, wanted: Callable[[str], bool] = lambda _path: True) -> None:
    """Make the reads of these paths raise."""

    def before(verb: str, path: str) -> None:
        if verb == "read" and wanted(path):
            raise error

    world.storage.before = before


def healed(world: World) -> None:
    world.storage.before = lambda _verb, _path: None


def run(world: World) -> str:
    """Run and return the status that was recorded."""
    with suppress(MixsyncError):
        world.run()
    return world.store.list_runs(SYNC, limit=1)[0].status


def letter_of(world: World, path: str) -> DeadLetter:
    return world.letters()[path]


OF_THE_RUN = {
    RateLimited("slow down.", retry_after_seconds=1): "interrupted",
    ProviderUnavailable("no answer."): "interrupted",
    Throttled("wait."): "interrupted",
    CursorExpired("the position is refused."): "interrupted",
    AccessDenied("the key is refused."): "failed",
    AddressRefused("the host stands at a private address."): "failed",
    BucketDenied("the service refuses the key."): "failed",
    ConfigurationError("the region is wrong."): "failed",
    PathNotFound("the bucket is gone."): "failed",
    StoreUnavailable("the disk is full."): "interrupted",
}


@pytest.mark.parametrize(("error", "status"), OF_THE_RUN.items(), ids=lambda one: type(one).__name__)
def test_an_error_that_no_item_is_to_blame_for_costs_no_item_anything(
    world: World, error: MixsyncError, status: str
) -> None:
    world.put(*NAMES)
    failing(world, error)
    assert run(world) == status
    assert world.letters() == {}


@pytest.mark.parametrize("error", [one for one in OF_THE_RUN if not isinstance(one, CursorExpired)])
def test_a_retry_that_such_an_error_cuts_short_is_not_counted(world: World, error: MixsyncError) -> None:
    world.put("a", "b")
    failing(world, ItemCorrupt("torn."), lambda path: path == "a")
    world.run()
    failing(world, error)
    for _ in range(4):
        run(world)
        world.store.set_paused(SYNC, False, reason=None, user_id=None)
    letter = letter_of(world, "a")
    assert (letter.state, letter.retry_count, letter.error_type) == ("waiting", 0, "checksum_mismatch")
    healed(world)
    assert run(world) == "completed"
    assert world.letters() == {}


TRANSIENT = {
    ItemError("it failed."): "download_failed",
    ItemCorrupt("torn."): "checksum_mismatch",
    ItemChanged("changed."): "changed_while_reading",
    MappingFailed("a value is missing."): "schema_mismatch",
    MappingFailed("a value is unusable.", error_type="validation_error"): "validation_error",
}


@pytest.mark.parametrize(("error", "reason"), TRANSIENT.items())
def test_a_transient_error_of_an_item_counts_one_try_and_three_retries(
    world: World, error: ItemError, reason: str
) -> None:
    world.put("a", "b")
    failing(world, error, lambda path: path == "a")
    seen = []
    for _ in range(4):
        run(world)
        letter = letter_of(world, "a")
        seen.append((letter.state, letter.retry_count, letter.error_type))
    assert seen == [("waiting", n, reason) for n in range(3)] + [("quarantined", 3, reason)]


@pytest.mark.parametrize("reason", ["archived", "access_denied", "unsupported_name", "refused"])
def test_a_permanent_error_of_an_item_quarantines_it_at_once_with_its_reason(world: World, reason: str) -> None:
    world.put("a", "b")
    failing(world, ItemUnreadable(f"it is {reason}.", error_type=reason), lambda path: path == "a")
    assert run(world) == "completed_with_errors"
    letter = letter_of(world, "a")
    assert (letter.state, letter.retry_count, letter.error_type) == ("quarantined", 0, reason)
    assert letter.error_message == f"it is {reason}."


@pytest.mark.parametrize("reason", ["too_large", "validation_error", "refused"])
def test_what_the_bucket_s_service_does_not_take_is_quarantined_at_once(world: World, reason: str) -> None:
    world.put("a", "b")
    failing(world, ItemRefused("the service says no.", error_type=reason), lambda path: path == "a")
    assert run(world) == "completed_with_errors"
    letter = letter_of(world, "a")
    assert (letter.state, letter.retry_count, letter.error_type) == ("quarantined", 0, reason)


def test_a_key_that_the_bucket_s_service_refuses_pauses_the_sync_at_once(world: World) -> None:
    world.put("a")
    failing(world, BucketDenied("the service refuses the key."))
    assert run(world) == "failed"
    sync = world.store.get_sync(SYNC)
    assert (sync.paused, sync.pause_reason, sync.last_error) == (True, "credential", "the service refuses the key.")


def test_an_item_that_vanished_costs_nothing(world: World) -> None:
    world.put("a", "b")
    failing(world, ItemVanished("gone."), lambda path: path == "a")
    assert run(world) == "completed"
    assert world.letters() == {}


def test_every_class_of_error_has_a_consequence_tested_here() -> None:
    def below(kind: type[MixsyncError]) -> set[type[MixsyncError]]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__() if one.__module__ == errors.__name__))

    tested: set[type[Any]] = {type(one) for one in (*OF_THE_RUN, *TRANSIENT)} | {
        ItemUnreadable,
        ItemVanished,
        ItemUnanswered,
        ItemRefused,
    }
    before_or_after = {
        MixsyncError,
        # Raised before a run begins, or at its end; none of them while an item is tried.
        errors.InvalidInput,
        errors.NotFound,
        errors.Conflict,
        errors.AlreadyLocked,
        errors.LockLost,
        errors.RemovalsRefused,
    }
    assert below(MixsyncError) == tested | before_or_after


def test_a_source_that_fails_for_all_items_for_a_while_leaves_no_dead_letter(world: World) -> None:
    world.put(*NAMES)
    failing(world, ItemCorrupt("torn."))
    assert [run(world) for _ in range(3)] == ["interrupted"] * 3
    assert world.store.list_runs(SYNC, limit=1)[0].error == (
        "40 of 40 items failed, which is treated as an outage of the source: none of them became a dead letter, and "
        "the next run tries them again. The last error was: torn."
    )
    assert world.letters() == {}
    checkpoint = world.store.load_checkpoint(SYNC)
    assert checkpoint is not None
    assert (checkpoint.shards_done, checkpoint.listed_to_end) == (0, False), "the shard is met again"
    healed(world)
    assert run(world) == "completed"
    assert world.contents() == world.source()
    assert list(world.store.list_dead_letters(SYNC, state="resolved")) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_source_that_mostly_fails_loses_nothing_and_blames_nobody(world: World, seed: int) -> None:
    world.put(*NAMES)
    chance = random.Random(seed)
    bad = set(chance.sample(NAMES, 25))
    failing(world, ItemCorrupt("torn."), bad.__contains__)
    assert run(world) == "interrupted"
    assert world.letters() == {}
    assert sorted(world.contents()) == sorted(set(NAMES) - bad), "what was put is committed"
    healed(world)
    assert run(world) == "completed"
    assert world.contents() == world.source()
    assert len(world.batched()) == len(NAMES)


@pytest.mark.parametrize(("failed", "status"), [(20, "completed_with_errors"), (21, "interrupted")])
def test_more_than_half_is_what_counts(world: World, failed: int, status: str) -> None:
    world.put(*NAMES)
    failing(world, ItemCorrupt("torn."), lambda path: path < f"{failed:02}")
    assert run(world) == status
    assert len(world.letters()) == (0 if status == "interrupted" else failed)


def test_of_a_handful_every_one_may_be_bad(world: World) -> None:
    world.put(*NAMES[:19])
    failing(world, ItemCorrupt("torn."))
    assert run(world) == "completed_with_errors"
    assert len(world.letters()) == 19


@pytest.mark.parametrize(
    "error",
    [
        ItemUnreadable("forbidden.", error_type="access_denied"),
        ItemUnreadable("no name.", error_type="unsupported_name"),
        ItemChanged("changed."),
        MappingFailed("a value is missing."),
    ],
)
def test_what_only_tells_of_the_item_is_never_an_outage(world: World, error: ItemError) -> None:
    world.put(*NAMES)
    failing(world, error)
    assert run(world) == "completed_with_errors"
    assert len(world.letters()) == len(NAMES)


def test_retries_are_no_sign_of_an_outage_for_they_may_be_all_there_is(world: World) -> None:
    world.put(*NAMES, *(f"good {name}" for name in NAMES))
    failing(world, ItemCorrupt("torn."), lambda path: not path.startswith("good"))
    states = [run(world) for _ in range(4)]
    assert states == ["completed_with_errors"] * 4
    assert {(one.state, one.retry_count) for one in world.letters().values()} == {("quarantined", 3)}


def test_retries_in_an_outage_are_not_counted(world: World) -> None:
    world.put("a", "b")
    failing(world, ItemCorrupt("torn."), lambda path: path == "a")
    run(world)
    world.put(*NAMES)
    failing(world, ItemCorrupt("torn."))
    for _ in range(4):
        assert run(world) == "interrupted"
    assert {path: (one.state, one.retry_count) for path, one in world.letters().items()} == {"a": ("waiting", 0)}


def test_items_that_stay_bad_hold_up_the_others_for_some_runs_only(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.put(*NAMES)
    failing(world, ItemCorrupt("torn."))
    assert [run(world) for _ in range(BREAKER_RUNS)] == ["interrupted"] * BREAKER_RUNS
    assert run(world) == "completed_with_errors"
    assert len(world.letters()) == len(NAMES)


def test_slow_failures_are_gathered_until_they_can_be_judged(world: World) -> None:
    world.put(*NAMES)

    def before(verb: str, path: str) -> None:
        if verb == "read":
            world.clock.advance(5)
            raise ItemCorrupt(f"{path} is torn.")

    world.storage.before = before
    assert run(world) == "interrupted"
    assert world.letters() == {}


def letter_ids(world: World, *states: str) -> list[str]:
    return [one.dead_letter_id for state in states for one in world.store.list_dead_letters(SYNC, state=state)]


def test_a_requeued_item_is_tried_by_the_next_run_though_it_did_not_change(world: World) -> None:
    world.put("a", "b")
    failing(world, ItemUnreadable("it is archived.", error_type="archived"), lambda path: path == "a")
    run(world)
    healed(world)
    world.forget_requests()
    assert (run(world), world.reads()) == ("completed", [])
    assert world.store.requeue_dead_letters(SYNC, letter_ids(world, "quarantined")) == 1
    assert run(world) == "completed"
    assert world.reads() == ["a"]
    assert (world.letters(), world.contents()) == ({}, world.source())


def test_a_requeued_item_that_fails_on_has_its_retries_again(world: World) -> None:
    world.put("a", "b")
    failing(world, ItemCorrupt("torn."), lambda path: path == "a")
    for _ in range(4):
        run(world)
    world.store.requeue_dead_letters(SYNC, letter_ids(world, "quarantined"))
    seen = []
    for _ in range(3):
        run(world)
        letter = letter_of(world, "a")
        seen.append((letter.state, letter.retry_count))
    assert seen == [("waiting", 1), ("waiting", 2), ("quarantined", 3)]


def test_a_requeued_item_that_the_inventory_has_in_that_version_is_resolved(world: World) -> None:
    world.storage.put("a", b"first", version="v1")
    run(world)
    world.storage.put("a", b"second", version="v2")
    failing(world, ItemUnreadable("it is archived.", error_type="archived"))
    run(world)
    world.store.requeue_dead_letters(SYNC, letter_ids(world, "quarantined"))
    world.storage.put("a", b"first", version="v1")
    world.forget_requests()
    run(world)
    assert (world.letters(), world.reads()) == ({}, [])


def test_a_discarded_item_stays_away_until_its_version_changes(world: World) -> None:
    world.storage.put("a", b"a", version="v1")
    world.put("b")
    failing(world, ItemCorrupt("torn."), lambda path: path == "a")
    run(world)
    world.store.discard_dead_letters(SYNC, letter_ids(world, "waiting"), reason="a draft")
    healed(world)
    world.forget_requests()
    record = world.run()
    assert (record.status, record.counters.quarantined, world.reads()) == ("completed", 1, [])
    assert letter_ids(world, "discarded") != []
    world.storage.put("a", b"a", version="v2")
    assert world.run().counters.created == 1
    assert world.contents() == world.source()
    assert letter_ids(world, "discarded", "waiting", "quarantined") == []


@pytest.mark.parametrize("discarded", [False, True])
def test_a_put_aside_item_that_is_gone_is_resolved(world: World, discarded: bool) -> None:
    world.put("a", "b")
    failing(world, ItemUnreadable("it is archived.", error_type="archived"), lambda path: path == "a")
    run(world)
    if discarded:
        world.store.discard_dead_letters(SYNC, letter_ids(world, "quarantined"), reason="a draft")
    world.storage.delete("a")
    run(world)
    assert len(letter_ids(world, "resolved")) == 1
    assert letter_ids(world, "discarded", "waiting", "quarantined") == []


def test_an_item_that_is_never_answered_does_not_hold_up_the_others(world: World) -> None:
    world.put(*NAMES)
    attempts = 0
    tried_twice, others = threading.Event(), threading.Semaphore(0)

    def before(verb: str, path: str) -> None:
        nonlocal attempts
        if verb != "read":
            return
        if path != "05":
            # Far behind it, others wait for its second attempt, and its third waits for them.
            if path > "10":
                tried_twice.wait(timeout=10)
                others.release()
            return
        attempts += 1
        if attempts == 2:
            tried_twice.set()
        if attempts == 3:
            for _ in range(25):
                assert others.acquire(timeout=10)
        raise ProviderUnavailable("05 gives no answer.")

    world.storage.before = before
    assert run(world) == "completed_with_errors"
    assert letter_of(world, "05").state == "waiting"
    assert letter_of(world, "05").error_type == "no_answer"
    assert len(world.contents()) == len(NAMES) - 1


def test_an_item_alone_that_is_never_answered_is_blamed_after_some_runs(world: World) -> None:
    world.put("a")
    failing(world, ProviderUnavailable("nobody answers."), lambda path: path == "a")
    for _ in range(BREAKER_RUNS):
        assert run(world) == "interrupted"
        assert world.letters() == {}
    assert run(world) == "completed_with_errors"
    assert letter_of(world, "a").error_type == "no_answer"
    healed(world)
    assert run(world) == "completed"
    assert world.contents() == world.source()
