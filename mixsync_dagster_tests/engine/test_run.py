"""Whole runs over the real store and bucket: what changes at the source changes in the bucket, once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mixsync_dagster.errors import NotFound, ProviderUnavailable, RateLimited
from mixsync_dagster.model.identifiers import object_id_for
from mixsync_dagster.model.progress import Counters
from mixsync_dagster_tests.engine.support import BUCKET, START, SYNC, OddProvider, World, mapping_of

UGLY = ["A.txt", "a.txt", "a//b", "/a", "a/../b", "..", ".", "a b", "a\nb", "\u00e9", "e\u0301", "%2F", "\x7f"]


def test_the_first_sync_places_all(world: World) -> None:
    world.put("a.txt", "b/c.mp4", "b/d/e", "z")
    record = world.run()
    assert world.contents() == {"a.txt": b"a.txt", "b/c.mp4": b"b/c.mp4", "b/d/e": b"b/d/e", "z": b"z"}
    assert record.status == "completed"
    assert record.counters == Counters(discovered=4, created=4, bytes=18, batches_created=1)
    assert record.started_at == START + timedelta(seconds=60)
    assert record.error is None


def test_an_object_says_what_it_was_made_of(world: World) -> None:
    world.storage.put("b/c.mp4", b"bytes", version="v1")
    world.run()
    (stored,) = world.objects().values()
    assert stored.object_id == object_id_for(BUCKET, "s3", "memory/b/c.mp4")
    assert (stored.source_object_id, stored.version, stored.state) == ("memory/b/c.mp4", "v1", "active")
    assert [(blob.property, blob.type, blob.filename, blob.size_bytes) for blob in stored.blobs] == [
        ("content", "video", "c.mp4", 5)
    ]


def test_an_empty_source_is_a_completed_sync(world: World) -> None:
    record = world.run()
    assert (record.status, record.counters) == ("completed", Counters())


def test_a_second_run_without_change_reads_nothing_and_places_nothing(world: World) -> None:
    world.put("a", "b", "c", "d")
    world.run()
    before = world.objects()
    world.forget_requests()
    counters = world.run().counters
    assert world.storage.requests == [("list", ""), ("list", "c")]
    assert counters == Counters(discovered=4, unchanged=4)
    assert world.objects() == before


def test_a_changed_file_replaces_its_object_and_keeps_its_id(world: World) -> None:
    world.put("a", "b")
    world.run()
    before = world.objects()["a"]
    world.storage.put("a", b"new")
    counters = world.run().counters
    after = world.objects()["a"]
    assert (counters.replaced, counters.created, counters.unchanged) == (1, 0, 1)
    assert after.object_id == before.object_id
    assert after.created_at == before.created_at
    assert world.contents() == {"a": b"new", "b": b"b"}


def test_a_deleted_file_removes_its_object_after_a_complete_listing(world: World) -> None:
    world.put("a", "b", "c")
    world.run()
    world.storage.delete("b")
    assert world.run().counters.removed == 1
    assert world.contents() == {"a": b"a", "c": b"c"}


def test_a_file_that_comes_back_has_its_old_id(world: World) -> None:
    world.put("a", "b")
    world.run()
    before = world.objects()["a"].object_id
    world.storage.delete("a")
    world.run()
    world.put("a")
    assert world.run().counters.created == 1
    assert world.objects()["a"].object_id == before


def test_an_object_stays_when_removals_are_not_wanted(make_world: Callable[..., World]) -> None:
    world = make_world(reconcile={"on_delete": False})
    world.put("a", "b")
    world.run()
    world.storage.delete("b")
    assert world.run().counters.removed == 0
    assert sorted(world.contents()) == ["a", "b"]


def listing_breaks_at(world: World, page: int) -> None:
    """Make every list request from this one on fail, and every page a shard of its own."""
    seen = 0

    def before(verb: str, path: str) -> None:
        nonlocal seen
        if verb == "list":
            world.clock.advance(2.5)
            seen += 1
            if seen >= page:
                raise ProviderUnavailable("nobody answers.")

    world.storage.before = before


def test_an_interrupted_listing_removes_nothing_and_the_next_run_goes_on_at_the_cursor(world: World) -> None:
    world.put(*"abcdefghi")
    world.run()
    world.storage.delete("a")
    world.storage.delete("h")
    world.put("i2")
    listing_breaks_at(world, page=2)
    with pytest.raises(ProviderUnavailable):
        world.run()
    assert sorted(world.contents()) == list("abcdefghi")
    assert world.store.get_run("run-2").status == "interrupted"
    assert world.sync.resume_cursor == "d"

    world.storage.before = lambda _verb, _path: None
    world.forget_requests()
    record = world.run()
    assert next(path for verb, path in world.storage.requests if verb == "list") == "d"
    assert record.counters.removed == 2
    assert world.contents() == world.source()


def test_a_listing_that_breaks_at_once_is_listed_from_the_start(world: World) -> None:
    world.put("a")
    listing_breaks_at(world, page=1)
    with pytest.raises(ProviderUnavailable):
        world.run()
    world.storage.before = lambda _verb, _path: None
    world.run()
    assert world.contents() == {"a": b"a"}


def test_a_full_sync_begins_anew_where_an_interrupted_one_could_go_on(world: World) -> None:
    world.put(*"abcdef")
    listing_breaks_at(world, page=2)
    with pytest.raises(ProviderUnavailable):
        world.run()
    world.storage.before = lambda _verb, _path: None
    world.forget_requests()
    world.run(full_sync=True)
    assert world.storage.requests[0] == ("list", "")
    assert world.contents() == world.source()


def test_without_resuming_an_interrupted_pass_begins_anew(make_world: Callable[..., World]) -> None:
    world = make_world(resume_enabled=False)
    world.put(*"abcdef")
    listing_breaks_at(world, page=2)
    with pytest.raises(ProviderUnavailable):
        world.run()
    world.storage.before = lambda _verb, _path: None
    world.forget_requests()
    world.run()
    assert world.storage.requests[0] == ("list", "")
    assert world.contents() == world.source()


def test_two_files_of_the_same_second_are_both_synced(world: World) -> None:
    moment = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
    world.storage.put("a", b"a", modified_at=moment)
    world.run()
    world.storage.put("b", b"b", modified_at=moment)
    world.run()
    assert sorted(world.contents()) == ["a", "b"]


def test_a_file_with_an_old_time_that_appears_later_is_synced(world: World) -> None:
    world.put("a")
    world.run()
    world.storage.put("b", b"b", modified_at=datetime(1990, 1, 1, tzinfo=UTC))
    world.storage.put("0", b"0", modified_at=datetime(1990, 1, 1, tzinfo=UTC))
    assert world.run().counters.created == 2
    assert sorted(world.contents()) == ["0", "a", "b"]


def test_a_change_that_keeps_size_and_time_is_synced(world: World) -> None:
    world.storage.put("a", b"one")
    world.run()
    world.storage.put("a", b"two")
    assert world.run().counters.replaced == 1
    assert world.contents() == {"a": b"two"}


@pytest.mark.parametrize(("skip", "objects", "duplicates"), [(True, ["a"], 1), (False, ["a", "b"], 0)])
def test_the_same_bytes_under_two_names_are_one_object_only_when_duplicates_are_skipped(
    make_world: Callable[..., World], skip: bool, objects: list[str], duplicates: int
) -> None:
    world = make_world(skip_duplicates=skip)
    world.storage.put("a", b"same")
    world.storage.put("b", b"same")
    assert world.run().counters.duplicates == duplicates
    assert sorted(world.contents()) == objects
    world.forget_requests()
    world.run()
    assert world.reads() == []


def test_a_duplicate_becomes_an_object_of_its_own_when_the_original_goes(world: World) -> None:
    world.storage.put("a", b"same")
    world.storage.put("b", b"same")
    world.run()
    world.storage.delete("a")
    world.runs_until_settled()
    assert world.contents() == {"b": b"same"}
    assert world.objects()["b"].object_id == object_id_for(BUCKET, "s3", "memory/b")


def test_a_duplicate_becomes_an_object_of_its_own_when_the_original_changes(world: World) -> None:
    world.storage.put("a", b"same")
    world.storage.put("b", b"same")
    world.run()
    world.storage.put("a", b"other")
    world.runs_until_settled()
    assert world.contents() == {"a": b"other", "b": b"same"}


def test_removing_a_duplicate_leaves_the_original(world: World) -> None:
    world.storage.put("a", b"same")
    world.storage.put("b", b"same")
    world.run()
    world.storage.delete("b")
    world.runs_until_settled()
    assert world.contents() == {"a": b"same"}


def test_rows_of_a_table_are_never_duplicates(world: World) -> None:
    odd = OddProvider(world.storage)
    odd.changes = {"rows": True}
    world.provider = odd
    world.storage.put("a", b"same")
    world.storage.put("b", b"same")
    world.run()
    assert sorted(world.contents()) == ["a", "b"]


def test_zero_byte_files_are_objects_each(world: World) -> None:
    world.storage.put("a", b"")
    world.storage.put("b", b"")
    assert world.run().counters.created == 2
    assert world.contents() == {"a": b"", "b": b""}


def test_names_that_look_alike_are_distinct_objects(world: World) -> None:
    world.put(*UGLY)
    assert world.run().counters.created == len(UGLY)
    assert world.contents() == {path: path.encode() for path in UGLY}
    assert len({stored.object_id for stored in world.objects().values()}) == len(UGLY)
    world.forget_requests()
    assert world.run().counters.unchanged == len(UGLY)
    assert world.reads() == []


def test_ugly_names_are_removed_one_by_one(world: World) -> None:
    world.put(*UGLY)
    world.run()
    for path in UGLY[::2]:
        world.storage.delete(path)
    world.run()
    assert sorted(world.contents()) == sorted(UGLY[1::2])


def test_a_source_path_below_a_prefix_sees_nothing_else(world: World) -> None:
    world.put("media/a", "media/b", "mediax/c", "d")
    world.provider = OddProvider(world.storage, "media/")
    world.run()
    assert sorted(world.contents()) == ["media/a", "media/b"]


def test_files_that_filters_take_out_are_counted_by_reason(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters={"extensions": ["txt"], "max_size_bytes": 6})
    world.put("a.txt", "b.mp4", "long-name.txt")
    counters = world.run().counters
    assert counters == Counters(
        discovered=3, created=1, bytes=5, filtered={"extensions": 1, "max_size_bytes": 1}, batches_created=1
    )
    assert list(world.contents()) == ["a.txt"]


def test_an_item_that_no_longer_passes_the_filters_loses_its_object(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters={"max_size_bytes": 3})
    world.storage.put("a", b"abc")
    world.storage.put("b", b"bcd")
    world.run()
    world.storage.put("a", b"abcd")
    counters = world.run().counters
    assert (counters.removed, counters.filtered) == (1, {"max_size_bytes": 1})
    assert world.contents() == {"b": b"bcd"}


def test_an_item_that_no_longer_passes_keeps_its_object_when_drift_is_not_reconciled(
    make_world: Callable[..., World],
) -> None:
    world = make_world(file_filters={"max_size_bytes": 3}, reconcile={"on_filter_drift": False})
    world.storage.put("a", b"abc")
    world.run()
    world.storage.put("a", b"abcd")
    assert world.run().counters.removed == 0
    assert world.contents() == {"a": b"abc"}


def test_metadata_filters_choose_by_what_the_listing_does_not_tell(make_world: Callable[..., World]) -> None:
    world = make_world(file_filters={"metadata_filters": [{"field": "team", "operator": "equals", "value": "blue"}]})
    world.storage.put("a", b"a", metadata={"team": "blue"})
    world.storage.put("b", b"b", metadata={"team": "red"})
    world.storage.put("c", b"c")
    counters = world.run().counters
    assert (counters.created, counters.filtered) == (1, {"metadata_filters": 2})
    assert world.contents() == {"a": b"a"}
    assert world.reads() == ["a"]


def test_fields_and_tags_reach_the_object(make_world: Callable[..., World]) -> None:
    mapping = mapping_of(
        team={"source": {"type": "tag", "key": "Team"}, "transform": "lowercase"},
        folder={"source": {"type": "folder_path"}},
        content={"blob": True},
    )
    world = make_world(schema_mapping=mapping)
    world.storage.put("x/a.txt", b"a", tags={"Team": "BLUE"})
    world.run()
    assert world.objects()["x/a.txt"].fields == {"team": "blue", "folder": "x"}
    world.forget_requests()
    world.run()
    assert world.storage.count("attributes") == 0


def test_a_mapping_without_blobs_reads_no_bytes(make_world: Callable[..., World]) -> None:
    world = make_world(schema_mapping=mapping_of(folder={"source": {"type": "folder_path"}}))
    world.put("x/a", "y/b")
    assert world.run().counters.created == 2
    assert {path: stored.fields for path, stored in world.objects().items()} == {
        "x/a": {"folder": "x"},
        "y/b": {"folder": "y"},
    }
    assert world.reads() == []


def test_changed_metadata_moves_an_object_without_reading_its_bytes(make_world: Callable[..., World]) -> None:
    mapping = mapping_of(team={"source": {"type": "tag", "key": "team"}}, content={"blob": True})
    world = make_world(schema_mapping=mapping)
    odd = OddProvider(world.storage)
    world.provider = odd
    odd.metadata_versions["a"] = "m1"
    world.storage.put("a", b"a", tags={"team": "blue"})
    world.run()
    odd.metadata_versions["a"] = "m2"
    world.storage.put("a", b"a", tags={"team": "red"})
    world.forget_requests()
    counters = world.run().counters
    assert (counters.moved, counters.replaced, counters.bytes) == (1, 0, 0)
    assert world.objects()["a"].fields == {"team": "red"}
    assert world.contents() == {"a": b"a"}
    assert world.reads() == []
    assert world.run().counters.unchanged == 1


def test_rate_limits_are_waited_out_and_counted(world: World) -> None:
    world.put("a", "b", "c")
    left = [RateLimited("slow down.", retry_after_seconds=5.0), RateLimited("slow down.")]

    def before(verb: str, path: str) -> None:
        if verb == "read" and left:
            raise left.pop()

    world.storage.before = before
    record = world.run()
    assert (record.status, record.counters.created, record.counters.rate_limit_hits) == ("completed", 3, 2)
    assert world.letters() == {}


def test_a_sync_that_does_not_exist_cannot_run(world: World) -> None:
    from mixsync_dagster.engine.run import run_sync

    with pytest.raises(NotFound):
        run_sync(world.tools(), "sync_2", worker_id="w", sync_run_id="r")


def test_totals_add_up_over_runs(world: World) -> None:
    world.put("a", "b")
    world.run()
    world.put("c")
    world.run()
    sync: Any = world.store.load_sync(SYNC)
    assert (sync.total_files_discovered, sync.total_files_synced, sync.total_bytes_synced) == (5, 3, 3)
    assert (sync.sync_run_counter, sync.current_sync_run_id, sync.batches_created) == (2, "run-2", 2)
