"""Handing over objects for processing, each version once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mixsync_dagster.errors import ItemCorrupt, ProviderUnavailable, StoreUnavailable
from mixsync_dagster.model.objects import Batch
from mixsync_dagster_tests.engine.support import BUCKET, SYNC, World


class Unwilling:
    """A BatchHandler that fails as often as told, before or after taking the batch."""

    def __init__(self, errors: list[Exception]) -> None:
        self.errors = errors
        self.calls: list[str] = []

    def handle(self, batch_id: str, manifest: str, *, idempotency_key: str) -> str | None:
        """Take the batch, then fail if there is an error left."""
        assert batch_id == idempotency_key
        self.calls.append(batch_id)
        if self.errors:
            raise self.errors.pop()
        return f"task-{batch_id}"


def batches(world: World) -> list[Batch]:
    return list(world.store.list_batches(BUCKET, limit=1000))


def with_handler(world: World, *errors: Exception) -> Unwilling:
    handler = Unwilling(list(errors))
    world.handler = handler
    return handler


def test_a_submitted_batch_has_its_task(world: World) -> None:
    world.put("a")
    world.run()
    (batch,) = batches(world)
    assert (batch.state, batch.size, batch.task_id) == ("submitted", 1, f"task-{batch.batch_id}")
    assert (batch.sync_config_id, batch.bucket_id, batch.submitted_at) == (SYNC, BUCKET, world.clock.now())


def test_a_refused_submission_is_repeated_with_the_same_batch(world: World) -> None:
    world.put("a")
    handler = with_handler(world, ProviderUnavailable("nobody answers."))
    assert world.run().status == "completed"
    assert len(handler.calls) == 2
    assert len(set(handler.calls)) == 1


def test_a_submission_that_fails_is_made_by_the_next_run(world: World) -> None:
    world.put("a")
    handler = with_handler(world, StoreUnavailable("the disk is full."))
    with pytest.raises(StoreUnavailable):
        world.run()
    assert [batch.state for batch in batches(world)] == ["sealed"]
    assert [entry.attempts for entry in world.store.pending_submissions(SYNC, limit=10)] == [1]
    record = world.run()
    assert (record.status, record.counters.batches_created) == ("completed", 1)
    assert [batch.state for batch in batches(world)] == ["submitted"]
    assert len(set(handler.calls)) == 1


def test_what_was_sealed_before_a_failure_is_not_mixed_with_later_objects(world: World) -> None:
    world.put("a")
    with_handler(world, StoreUnavailable("the disk is full."))
    with pytest.raises(StoreUnavailable):
        world.run()
    world.put("b")
    world.run()
    assert [(batch.size, batch.state) for batch in batches(world)] == [(1, "submitted"), (1, "submitted")]


def test_more_batches_than_one_page_are_all_submitted(make_world: Callable[..., World]) -> None:
    world = make_world(batch_chunk_size=1)
    world.put(*(f"{number:03}" for number in range(130)))
    assert world.run().counters.batches_created == 130
    assert {batch.state for batch in batches(world)} == {"submitted"}
    assert len(world.handler.calls) == len(set(world.handler.calls)) == 130


def test_failed_items_are_in_no_batch(world: World) -> None:
    world.put("a", "b")

    def before(verb: str, path: str) -> None:
        if (verb, path) == ("read", "a"):
            raise ItemCorrupt("a is torn.")

    world.storage.before = before
    world.run()
    assert world.batched() == [(world.objects()["b"].object_id, world.objects()["b"].version)]
