"""What a run would do, without doing it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mixsync_dagster.engine.dry_run import DryRun, plan_sync
from mixsync_dagster_tests.engine.support import OddProvider, World, mapping_of
from mixsync_dagster_tests.engine.test_finishing import Unordered


def told(world: World) -> DryRun:
    return plan_sync(world.tools(), world.sync)


def test_an_empty_source_needs_one_request(world: World) -> None:
    assert told(world) == DryRun(requests=1, examples={"create": [], "replace": [], "move": []})


def test_every_kind_of_change_is_told(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters={"exclude_patterns": ["*.tmp"]})
    odd = OddProvider(world.storage, page_rows=100)
    world.provider = odd
    world.put("a", "b", "c", "d")
    world.run()
    world.storage.put("a", b"12345")
    world.storage.delete("b")
    odd.metadata_versions["c"] = "m2"
    world.storage.put("e", b"123")
    world.storage.put("f.tmp", b"")
    world.storage.put("g", b"1234567", unreadable="archived")
    assert told(world) == DryRun(
        discovered=6,
        create=1,
        replace=1,
        move=1,
        remove=1,
        unchanged=1,
        rejected={"exclude_patterns": 1, "archived": 1},
        size_bytes=8,
        requests=3,
        examples={"create": ["e"], "replace": ["a"], "move": ["c"], "remove": ["b"]},
    )


def test_what_is_told_is_what_the_run_does(world: World) -> None:
    world.put("a", "b", "c")
    world.run()
    world.storage.put("a", b"new")
    world.storage.delete("b")
    world.put("d", "e")
    plan = told(world)
    counters = world.run().counters
    assert (plan.create, plan.replace, plan.remove) == (counters.created, counters.replaced, counters.removed)
    assert (plan.discovered, plan.unchanged, plan.size_bytes) == (
        counters.discovered,
        counters.unchanged,
        counters.bytes,
    )


def test_what_an_unordered_listing_no_longer_holds_is_told_as_the_run_removes_it(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixsync_dagster.engine.dry_run.SHARD_ROWS", 2)
    world = make_world(file_filters={"exclude_patterns": ["*.tmp"]})
    unordered = Unordered(world.storage, page_rows=2)
    unordered.changes = {"ordered_listing": False}
    world.provider = unordered
    world.put(*"abcdefg")
    world.run()
    for path in "bdg":
        world.storage.delete(path)
    world.put("h")
    plan = told(world)
    assert (plan.create, plan.remove, plan.unchanged) == (1, 3, 4)
    assert plan.examples["remove"] == ["b", "d", "g"]
    world.storage.before = lambda verb, _path: world.clock.advance(2.5 if verb == "list" else 0)
    cut_short = plan_sync(world.tools(), world.sync, seconds=0.0)
    assert (cut_short.complete, cut_short.remove) == (False, 0)
    counters = world.run().counters
    assert (counters.created, counters.removed) == (1, 3)


def test_at_most_five_paths_are_shown_for_each_kind(world: World) -> None:
    world.put(*"abcdefghij")
    world.storage.before = lambda verb, _path: world.clock.advance(2.5 if verb == "list" else 0)
    plan = told(world)
    assert plan.create == 10
    assert plan.examples["create"] == ["a", "b", "c", "d", "e"]


def test_attributes_are_estimated_and_not_read(make_world: Callable[..., World]) -> None:
    mapping = mapping_of(
        team={"source": {"type": "tag", "key": "team"}},
        camera={"source": {"type": "metadata", "key": "camera"}},
        content={"blob": True},
    )
    world = make_world(schema_mapping=mapping)
    world.put("a", "b", "c")
    # One listing, and for each file its bytes and two kinds of attributes.
    assert told(world).requests == 1 + 3 * 3
    assert world.storage.count("attributes") == 0


def test_quarantined_files_are_counted_and_left_alone(world: World) -> None:
    world.storage.put("a", b"a", unreadable="archived")
    world.run()
    plan = told(world)
    assert (plan.quarantined, plan.create, plan.rejected) == (1, 0, {})


def test_nothing_is_written_or_read(world: World) -> None:
    world.put("a")
    before = world.sync
    told(world)
    assert world.sync == before
    assert world.objects() == {}
    assert world.reads() == []
