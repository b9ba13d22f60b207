"""File filters, row by row of the contract's table."""

from __future__ import annotations

import fnmatch
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixsync_dagster.engine.verdicts import ItemFilter
from mixsync_dagster_tests.engine.support import items_table, sync_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def verdicts(table: pa.Table, *, root: str = "", sync_from: datetime | None = None, **filters: Any) -> list[str | None]:
    sync = sync_of(file_filters=filters or None, sync_from=sync_from)
    told: list[str | None] = ItemFilter.of(sync, root).verdicts(table).to_pylist()
    return told


def taken(paths: list[str], *, root: str = "", **filters: Any) -> list[str]:
    told = verdicts(items_table(*paths), root=root, **filters)
    return [path for path, verdict in zip(paths, told, strict=True) if verdict is None]


def test_without_filters_everything_passes() -> None:
    assert verdicts(items_table("a", "b/c")) == [None, None]


def test_no_rows_give_no_verdicts() -> None:
    assert verdicts(items_table(), min_size_bytes=1, include_patterns=["*"], exclude_patterns=["x"]) == []


@pytest.mark.parametrize("name", ["include_patterns", "exclude_patterns", "extensions", "mime_types"])
def test_an_empty_list_is_the_same_as_none(name: str) -> None:
    nothing: dict[str, Any] = {name: []}
    assert verdicts(items_table("a"), **nothing) == [None]


@pytest.mark.parametrize(("size", "verdict"), [(9, "min_size_bytes"), (10, None), (20, None), (21, "max_size_bytes")])
def test_size_bounds_are_inclusive(size: int, verdict: str | None) -> None:
    row = {"path": "a", "size_bytes": size}
    assert verdicts(items_table(row), min_size_bytes=10, max_size_bytes=20) == [verdict]


@pytest.mark.parametrize(
    ("modified_at", "verdict"),
    [
        (NOON, "modified_after"),
        (NOON + INSTANT, None),
        (NOON + timedelta(hours=1) - INSTANT, None),
        (NOON + timedelta(hours=1), "modified_before"),
    ],
)
def test_time_bounds_are_strict(modified_at: datetime, verdict: str | None) -> None:
    row = {"path": "a", "modified_at": modified_at}
    filters: dict[str, Any] = {"modified_after": NOON, "modified_before": NOON + timedelta(hours=1)}
    assert verdicts(items_table(row), **filters) == [verdict]


def test_a_time_without_an_offset_is_utc() -> None:
    rows = items_table({"path": "a", "modified_at": NOON}, {"path": "b", "modified_at": NOON + INSTANT})
    assert verdicts(rows, modified_after="2026-03-01T12:00:00") == ["modified_after", None]


def test_a_time_with_an_offset_is_the_same_moment_in_utc() -> None:
    rows = items_table({"path": "a", "modified_at": NOON}, {"path": "b", "modified_at": NOON + INSTANT})
    assert verdicts(rows, modified_after="2026-03-01T14:00:00+02:00") == ["modified_after", None]


def test_sync_from_is_inclusive() -> None:
    rows = items_table({"path": "a", "modified_at": NOON - INSTANT}, {"path": "b", "modified_at": NOON})
    assert verdicts(rows, sync_from=NOON) == ["sync_from", None]


@pytest.mark.parametrize(
    ("column", "filters", "verdict"),
    [
        ("size_bytes", {"min_size_bytes": 0}, "min_size_bytes"),
        ("size_bytes", {"max_size_bytes": 10**9}, "max_size_bytes"),
        ("modified_at", {"modified_after": "1971-01-01"}, "modified_after"),
        ("modified_at", {"modified_before": "2999-01-01"}, "modified_before"),
        ("mime_type", {"mime_types": ["*/*"]}, "mime_types"),
    ],
)
def test_an_unknown_value_fails_the_filter_that_needs_it(column: str, filters: Any, verdict: str) -> None:
    assert verdicts(items_table({"path": "a", column: None}), **filters) == [verdict]


def test_an_unknown_value_is_no_matter_where_no_filter_needs_it() -> None:
    row = {"path": "a.txt", "size_bytes": None, "modified_at": None, "mime_type": None}
    assert verdicts(items_table(row), include_patterns=["*.txt"]) == [None]


def test_a_pattern_without_a_slash_is_the_name_in_any_folder() -> None:
    paths = ["a.mp4", "x/a.mp4", "x/y/a.mp4", "x.mp4/a.txt"]
    assert taken(paths, include_patterns=["*.mp4"]) == ["a.mp4", "x/a.mp4", "x/y/a.mp4"]


def test_a_pattern_without_a_slash_is_the_whole_name() -> None:
    assert taken([".DS_Store", "x/.DS_Store", "x.DS_Store"], include_patterns=[".DS_Store"]) == [
        ".DS_Store",
        "x/.DS_Store",
    ]


def test_a_star_crosses_folders_in_a_pattern_with_a_slash() -> None:
    paths = ["a/drafts/b", "a/drafts/c/d", "a/final/b"]
    assert taken(paths, exclude_patterns=["*/drafts/*"]) == ["a/final/b"]


def test_a_folder_anywhere_is_also_one_at_the_top() -> None:
    assert taken(["drafts/x", "mydrafts/x", "drafts"], exclude_patterns=["*/drafts/*"]) == ["mydrafts/x", "drafts"]


def test_two_stars_are_the_same_as_one() -> None:
    assert taken(["a/b/c.txt", "c.txt"], include_patterns=["**/*.txt"]) == ["a/b/c.txt", "c.txt"]


def test_a_path_pattern_begins_at_the_source_root() -> None:
    paths = ["thumbs/a", "x/thumbs/a", "thumbs2/a"]
    assert taken(paths, include_patterns=["thumbs/*"]) == ["thumbs/a"]


def test_a_leading_slash_is_the_source_root() -> None:
    assert taken(["thumbs/a", "x/thumbs/a"], include_patterns=["/thumbs/*"]) == ["thumbs/a"]


def test_the_source_root_is_below_the_prefix() -> None:
    paths = ["media/thumbs/a", "media/x/thumbs/a"]
    assert taken(paths, root="media/", include_patterns=["thumbs/*"]) == ["media/thumbs/a"]
    assert taken(paths, root="media/", include_patterns=["media/*"]) == []


def test_globs_are_case_sensitive() -> None:
    assert taken(["A.MP4", "a.mp4"], include_patterns=["*.mp4"]) == ["a.mp4"]


def test_question_marks_and_sets_match_one_character() -> None:
    paths = ["a1", "a22", "ab", "a]"]
    assert taken(paths, include_patterns=["a?"]) == ["a1", "ab", "a]"]
    assert taken(paths, include_patterns=["a[0-9]"]) == ["a1"]
    assert taken(paths, include_patterns=["a[!0-9]"]) == ["ab", "a]"]
    assert taken(["[x]", "x"], include_patterns=["[[]x]"]) == ["[x]"]


def test_regex_characters_in_a_glob_mean_themselves() -> None:
    assert taken(["a.b", "axb", "a+b", "(a|b)"], include_patterns=["a.b", "a+b", "(a|b)"]) == ["a.b", "a+b", "(a|b)"]


def test_one_of_several_patterns_is_enough() -> None:
    assert taken(["a.mp4", "b.mov", "c.txt"], include_patterns=["*.mp4", "*.mov"]) == ["a.mp4", "b.mov"]


def test_exclusion_wins_over_inclusion() -> None:
    told = verdicts(items_table("a.mp4", "b.mp4"), include_patterns=["*.mp4"], exclude_patterns=["a.*"])
    assert told == ["exclude_patterns", None]


@pytest.mark.parametrize("path", ["a\nb.mp4", "a\n.mp4", "x\n/y.mp4"])
def test_a_newline_is_a_character_like_any_other(path: str) -> None:
    assert taken([path], include_patterns=["*.mp4"]) == [path]
    assert taken([path], include_patterns=["*/*"]) == [path]
    assert taken([path], extensions=["mp4"]) == [path]
    assert taken([path], exclude_patterns=["*.mp4"]) == []


def test_a_trailing_newline_is_not_overlooked() -> None:
    assert taken(["a.mp4\n"], extensions=["mp4"]) == []
    assert taken(["a.mp4\n"], include_patterns=["*.mp4"]) == []


@pytest.mark.parametrize("extension", [".mp4", "mp4", "MP4", ".Mp4"])
def test_extensions_have_an_optional_dot_and_no_case(extension: str) -> None:
    assert taken(["a.mp4", "b.MP4", "c.mp3", "mp4", "xmp4", "d.mp4.txt"], extensions=[extension]) == ["a.mp4", "b.MP4"]


def test_an_extension_may_have_two_parts() -> None:
    assert taken(["a.tar.gz", "a.gz", "tar.gz", ".tar.gz", "A.TAR.GZ"], extensions=[".tar.gz"]) == [
        "a.tar.gz",
        ".tar.gz",
        "A.TAR.GZ",
    ]


def test_an_extension_is_that_of_the_file_and_not_of_its_folder() -> None:
    assert taken(["x.mp4/a", "x.mp4/mp4", "x/.mp4"], extensions=["mp4"]) == ["x/.mp4"]


def test_regex_characters_in_an_extension_mean_themselves() -> None:
    assert taken(["a.c++", "a.c", "a.ccc"], extensions=["c++"]) == ["a.c++"]
    assert taken(["a.x y", "a.xy"], extensions=[".x y"]) == ["a.x y"]


def test_extensions_and_patterns_must_both_pass() -> None:
    told = verdicts(items_table("a.mp4", "b.mp4", "a.txt"), extensions=["mp4"], include_patterns=["a*"])
    assert told == [None, "include_patterns", "extensions"]


def test_mime_types_are_guessed_from_the_name() -> None:
    assert taken(["a.mp4", "b.jpg", "c.jpeg", "d.gif", "e"], mime_types=["video/*", "image/jpeg"]) == [
        "a.mp4",
        "b.jpg",
        "c.jpeg",
    ]


def test_a_family_may_be_written_without_its_star() -> None:
    assert taken(["a.mp4", "b.jpg"], mime_types=["video/"]) == ["a.mp4"]


def test_a_family_does_not_reach_into_another_that_begins_alike() -> None:
    row = {"path": "a", "mime_type": "videos/x"}
    assert verdicts(items_table(row), mime_types=["video/*"]) == ["mime_types"]


def test_any_known_type_is_asked_for_by_stars() -> None:
    assert taken(["a.mp4", "b.unheardof", "c"], mime_types=["*/*"]) == ["a.mp4"]


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ("Video/MP4", None),
        ("video/mp4; codecs=avc1", None),
        ("image/png", "mime_types"),
        ("application/octet-stream", None),
        ("binary/octet-stream", None),
        (None, None),
    ],
)
def test_the_told_type_wins_unless_it_says_nothing(told: str | None, verdict: str | None) -> None:
    row = {"path": "a.mp4", "mime_type": told}
    assert verdicts(items_table(row), mime_types=["VIDEO/mp4"]) == [verdict]


def test_the_first_failing_reason_is_counted() -> None:
    row = {"path": "a.txt", "size_bytes": 1, "modified_at": NOON}
    everything: dict[str, Any] = {
        "min_size_bytes": 2,
        "modified_before": NOON,
        "extensions": ["mp4"],
        "mime_types": ["video/*"],
        "include_patterns": ["b*"],
        "exclude_patterns": ["a*"],
    }
    reasons = []
    while everything:
        (reason,) = verdicts(items_table(row), **everything)
        reasons.append(reason)
        assert reason is not None
        del everything[reason]
    assert reasons == [
        "min_size_bytes",
        "modified_before",
        "extensions",
        "mime_types",
        "include_patterns",
        "exclude_patterns",
    ]


def test_each_row_has_its_own_reason() -> None:
    rows = items_table(
        {"path": "a.mp4", "size_bytes": 5},
        {"path": "b.mp4", "size_bytes": 500},
        {"path": "c.txt", "size_bytes": 500},
        {"path": "d.mp4", "size_bytes": None},
        {"path": "e.mp4", "size_bytes": 500},
    )
    told = verdicts(rows, min_size_bytes=10, extensions=["mp4"], exclude_patterns=["e*"])
    assert told == ["min_size_bytes", None, "extensions", "min_size_bytes", "exclude_patterns"]


def test_a_table_in_several_chunks_has_the_same_verdicts() -> None:
    table = pa.concat_tables([items_table("a.mp4", "b.txt"), items_table(), items_table("c.mp4")])
    told = verdicts(table, min_size_bytes=1, extensions=["mp4"], mime_types=["video/*"], include_patterns=["c*"])
    assert told == ["include_patterns", "extensions", None]


PATHS = st.lists(
    st.text("ab./-\nA\u00e9", min_size=1, max_size=8).filter(lambda path: not path.endswith("/")), max_size=12
)
GLOBS = st.text("ab./*?A\u00e9", min_size=1, max_size=6)


def passes(path: str, pattern: str) -> bool:
    """Return the answer of the standard library, one path and one pattern at a time."""
    if "/" not in pattern:
        return fnmatch.fnmatchcase(path.rsplit("/", maxsplit=1)[-1], pattern)
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase("/" + path, pattern)


@settings(deadline=None)
@given(PATHS, st.lists(GLOBS, min_size=1, max_size=3), st.lists(GLOBS, min_size=1, max_size=3))
def test_patterns_agree_with_the_standard_library(paths: list[str], include: list[str], exclude: list[str]) -> None:
    expected = [
        path
        for path in paths
        if any(passes(path, pattern) for pattern in include) and not any(passes(path, one) for one in exclude)
    ]
    assert taken(paths, include_patterns=include, exclude_patterns=exclude) == expected


@settings(deadline=None)
@given(PATHS, st.lists(st.text("ab.A\u00e9", min_size=1, max_size=3).filter(lambda e: e.strip(".")), min_size=1))
def test_extensions_agree_with_text_comparison(paths: list[str], extensions: list[str]) -> None:
    endings = tuple("." + one.lower().removeprefix(".") for one in extensions)
    expected = [path for path in paths if path.split("/")[-1].lower().endswith(endings)]
    assert taken(paths, extensions=extensions) == expected
