"""Random worlds: whatever happens between and during runs, the bucket ends up as the source is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixsync_dagster.engine.context import RunLimits
from mixsync_dagster.errors import ItemCorrupt, MixsyncError, ProviderUnavailable
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster_tests.engine.support import BUCKET, SYNC, Crash, MortalStore, World

PATHS = st.sampled_from(["a", "b", "B", "c/d", "c/e", "c//e", "f", "g.txt", "z"])
CONTENTS = st.sampled_from([b"", b"one", b"two", b"three"])
PUT = st.tuples(st.just("put"), PATHS, CONTENTS)
DELETE = st.tuples(st.just("delete"), PATHS, st.just(b""))
CHANGES = st.lists(st.one_of(PUT, PUT, DELETE), max_size=6)
FAULT = st.sampled_from(["outage", "corrupt", "put", "delete"])
STEP = st.fixed_dictionaries(
    {
        "changes": CHANGES,
        "faults": st.dictionaries(st.integers(0, 12), st.tuples(FAULT, PATHS, CONTENTS), max_size=3),
        "crash": st.none() | st.integers(1, 15),
        "hard": st.booleans(),
    }
)
SETTINGS = st.fixed_dictionaries(
    {
        "skip_duplicates": st.booleans(),
        "batch_size": st.integers(1, 3),
        "max_objects_per_run": st.sampled_from([2, 5, 100]),
        "resume_enabled": st.booleans(),
    }
)


def change(world: World, verb: str, path: str, content: bytes) -> None:
    if verb == "put":
        world.storage.put(path, content)
    else:
        world.storage.files.pop(path, None)


def live_through(world: World, step: dict[str, Any], *, page_per_shard: bool) -> None:
    """Run with faults at some requests and perhaps an end in mid-run."""
    requests = points = 0
    store = MortalStore(world.store)

    def before(verb: str, path: str) -> None:
        nonlocal requests
        requests += 1
        if page_per_shard and verb == "list":
            world.clock.advance(2.5)
        kind, other, content = step["faults"].get(requests, ("", "", b""))
        if kind == "outage":
            raise ProviderUnavailable("nobody answers.")
        if kind == "corrupt" and verb == "read":
            raise ItemCorrupt(f"{path} is torn.")
        if kind in {"put", "delete"}:
            change(world, kind, other, content)

    def passing(_name: str) -> None:
        nonlocal points
        points += 1
        if points == step["crash"]:
            if step["hard"]:
                store.dead.set()
            raise Crash

    world.storage.before = before
    try:
        world.run(world.tools(store=store, passing=passing, pacer=Retrier(world.clock, outage_attempts=1)))
    except (MixsyncError, Crash):
        world.clock.advance(world.limits.lease_seconds + 1)
    finally:
        world.storage.before = lambda _verb, _path: None


def expect_the_source(world: World, *, skip_duplicates: bool) -> None:
    contents, source = world.contents(), world.source()
    assert contents.items() <= source.items()
    left_out = source.keys() - contents.keys()
    if not skip_duplicates:
        assert left_out == set()
    # What was left out has bytes that another object has, and no two objects have the same bytes for no reason.
    assert all(source[path] in contents.values() and source[path] for path in left_out)
    batched = world.batched()
    assert len(batched) == len(set(batched))
    assert {(stored.object_id, stored.version) for stored in world.objects().values()} <= set(batched)
    assert set(world.handler.calls) == {batch.batch_id for batch in world.store.list_batches(BUCKET, limit=1000)}
    assert list(world.store.open_intents(SYNC)) == []
    world.forget_requests()
    assert world.run().counters.unchanged == len(source)
    assert world.reads() == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=1, max_size=3), chosen=SETTINGS, page_per_shard=st.booleans())
def test_whatever_happens_the_bucket_ends_up_as_the_source_with_each_object_once(
    make_world: Callable[..., World], steps: Sequence[dict[str, Any]], chosen: dict[str, Any], page_per_shard: bool
) -> None:
    world = make_world(batch_chunk_size=2, **chosen)
    world.limits = RunLimits(removal_guard_percent=100.0)
    for step in steps:
        for verb, path, content in step["changes"]:
            change(world, verb, path, content)
        live_through(world, step, page_per_shard=page_per_shard)
    world.runs_until_settled()
    expect_the_source(world, skip_duplicates=chosen["skip_duplicates"])
    world.close()
