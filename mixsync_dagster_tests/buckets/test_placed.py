from __future__ import annotations

from mixsync_dagster.buckets.placed import PlacedContents, contents_of
from mixsync_dagster.model.objects import StoredBlob
from mixsync_dagster_tests.buckets.drafts import draft_of


def test_the_first_object_with_some_content_owns_it() -> None:
    placed = PlacedContents()
    placed.remember("obj_1", frozenset({"x"}))
    placed.remember("obj_2", frozenset({"x", "y"}))
    assert [placed.owner_of(content) for content in ("x", "y", "z")] == ["obj_1", "obj_2", None]


def test_an_object_gives_up_what_it_does_not_get_again() -> None:
    placed = PlacedContents()
    placed.remember("obj_1", frozenset({"x", "y"}))
    placed.remember("obj_1", frozenset({"y"}))
    assert (placed.owner_of("x"), placed.owner_of("y")) == (None, "obj_1")
    assert not placed.still_owns("obj_1", "x", {})
    assert placed.still_owns("obj_1", "y", {})


def test_an_object_that_was_never_put_here_keeps_what_the_catalog_says() -> None:
    assert PlacedContents().still_owns("obj_1", "x", {})
    assert not PlacedContents().still_owns("obj_1", "x", {"obj_1": frozenset({"y"})})


def test_only_the_latest_twenty_thousand_objects_are_remembered() -> None:
    placed = PlacedContents()
    for number in range(20_001):
        placed.remember(f"obj_{number}", frozenset({str(number)}))
    assert [placed.owner_of(content) for content in ("0", "1", "20000")] == [None, "obj_1", "obj_20000"]


def test_empty_blobs_are_no_content() -> None:
    assert contents_of(draft_of("a", "1", StoredBlob("e", 0), StoredBlob("x", 1))) == frozenset({"x"})
