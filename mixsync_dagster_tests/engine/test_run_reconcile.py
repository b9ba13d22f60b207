"""Whole runs over objects that are more than one thing: duplicates that move, two syncs of one bucket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mixsync_dagster.engine.run import run_sync
from mixsync_dagster.model.progress import RunRecord
from mixsync_dagster_tests.engine.support import OddProvider, World, sync_of

BLUE = {"metadata_filters": [{"field": "team", "operator": "equals", "value": "blue"}]}


def test_a_duplicate_whose_metadata_changes_stays_a_duplicate(world: World) -> None:
    odd = OddProvider(world.storage)
    world.provider = odd
    odd.metadata_versions.update(a="m1", b="m1")
    world.storage.put("a", b"same")
    world.storage.put("b", b"same")
    world.run()
    odd.metadata_versions.update(b="m2")
    world.run()
    assert world.contents() == {"a": b"same"}
    assert world.run().counters.unchanged == 2


def test_an_item_that_no_longer_passes_the_metadata_filters_loses_its_object(
    make_world: Callable[..., World],
) -> None:
    world = make_world(file_filters=BLUE)
    world.storage.put("a", b"a", metadata={"team": "blue"})
    world.run()
    world.storage.put("a", b"new", metadata={"team": "red"})
    world.run()
    assert world.contents() == {}


def other_run(world: World, number: int) -> RunRecord:
    return run_sync(world.tools(), "sync_2", worker_id="worker", sync_run_id=f"other-{number}")


def test_an_object_that_another_sync_still_holds_stays(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters={"max_size_bytes": 3})
    world.store.create_sync(sync_of(sync_config_id="sync_2", name="other"))
    world.storage.put("a", b"abc")
    world.run()
    assert other_run(world, 1).counters.created == 1
    world.storage.put("a", b"abcd")
    assert world.run().counters.removed == 1
    assert world.contents() == {"a": b"abc"}
    assert other_run(world, 2).counters.replaced == 1
    assert world.contents() == {"a": b"abcd"}
    world.storage.delete("a")
    other_run(world, 3)
    assert world.contents() == {}


def test_a_version_that_two_syncs_place_is_in_one_batch(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.store.create_sync(sync_of(sync_config_id="sync_2", name="other"))
    world.put("a", "b")
    world.run()
    other_run(world, 1)
    assert len(world.batched()) == len(set(world.batched())) == 2


def test_bytes_that_no_object_needs_any_more_stay_until_the_grace_period_ends(world: World) -> None:
    world.put("a", "b")
    world.run()
    world.storage.delete("a")
    world.run()
    kept = [path for path in Path(world.folder, "blobs").rglob("*") if path.is_file()]
    assert len(kept) == 2


def test_a_capped_run_in_which_items_failed_says_so(make_world: Callable[..., World]) -> None:
    world = make_world(max_objects_per_run=1)
    world.storage.put("a", b"a", unreadable="archived")
    world.put("b")
    assert world.run().status == "completed_with_errors"
    assert world.run().status == "completed"
