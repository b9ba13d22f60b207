"""Rate limits that a run meets: counted for the whole run, whichever process met them."""

from __future__ import annotations

import pytest

from mixsync_dagster.engine.batching import submit_batches
from mixsync_dagster.engine.beginning import begin_run
from mixsync_dagster.engine.context import RunTicket, Toolbox, attached
from mixsync_dagster.engine.creating import create_objects
from mixsync_dagster.engine.filtering import filter_items
from mixsync_dagster.engine.finishing import finish_run
from mixsync_dagster.engine.listing import list_items
from mixsync_dagster.engine.mapping import map_schema
from mixsync_dagster.engine.planning import plan_changes
from mixsync_dagster.errors import LockLost, ProviderUnavailable, RateLimited
from mixsync_dagster.model.progress import Trigger
from mixsync_dagster.testing.memory_provider import MemoryProvider
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster.transport.retrying_provider import retrying
from mixsync_dagster_tests.engine.support import SYNC, World


def refused_at(world: World, verb: str, times: int) -> None:
    """Let the source refuse the next requests of a kind."""
    left = [RateLimited("slow down.", retry_after_seconds=5.0)] * times

    def before(asked: str, _path: str) -> None:
        if asked == verb and left:
            raise left.pop()

    world.storage.before = before


def tools(world: World) -> Toolbox:
    """Return the tools of a process of its own, as the composition root makes them."""
    pacer = Retrier(world.clock, seed=1)
    return world.tools(provider=retrying(MemoryProvider(world.storage), pacer), pacer=pacer)


def begun(world: World) -> RunTicket:
    return begin_run(tools(world), SYNC, worker_id="w", sync_run_id="r", trigger=Trigger.MANUAL, full_sync=False)


def test_rate_limits_are_counted_when_every_step_has_a_process_of_its_own(world: World) -> None:
    world.put("a", "b", "c")
    ticket = begun(world)
    refused_at(world, "list", 2)
    with attached(tools(world), ticket) as run:
        (shard,) = list(list_items(run, ticket.cursor))
    refused_at(world, "read", 3)
    with attached(tools(world), ticket) as run:
        create_objects(run, map_schema(run, plan_changes(run, filter_items(run, shard))))
    assert world.store.get_run("r").counters.rate_limit_hits == 5
    with attached(tools(world), ticket) as run:
        submit_batches(run)
    with attached(tools(world), ticket) as run:
        record = finish_run(run)
    assert (record.status, record.counters.created, record.counters.rate_limit_hits) == ("completed", 3, 5)
    assert world.store.get_run("r").counters.rate_limit_hits == 5


def test_rate_limits_are_counted_once_when_all_steps_share_a_process(world: World) -> None:
    world.put("a", "b", "c")
    shared, ticket = tools(world), begun(world)
    refused_at(world, "list", 2)
    with attached(shared, ticket) as run:
        (shard,) = list(list_items(run, ticket.cursor))
    with attached(shared, ticket) as run:
        create_objects(run, map_schema(run, plan_changes(run, filter_items(run, shard))))
        assert finish_run(run).counters.rate_limit_hits == 2
    assert world.store.get_run("r").counters.rate_limit_hits == 2


def test_rate_limits_of_a_run_that_gives_up_are_counted(world: World) -> None:
    world.put("a")
    refused_at(world, "list", 100)
    with pytest.raises(RateLimited):
        world.run(tools(world))
    record = world.store.get_run("run-1")
    assert (record.status, record.counters.rate_limit_hits) == ("interrupted", 12)


def test_a_count_that_cannot_be_written_hides_no_error(world: World) -> None:
    ticket = begun(world)
    refused_at(world, "list", 1)

    def step() -> None:
        with attached(tools(world), ticket) as run:
            list(list_items(run, ticket.cursor))
            world.store.unlock(SYNC)
            raise ProviderUnavailable("nobody answers.")

    with pytest.raises(ProviderUnavailable):
        step()
    with pytest.raises(LockLost), attached(tools(world), ticket):
        pass
