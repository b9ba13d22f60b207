from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.filters import FileFilters
from mixsync_dagster.model.validation import parse
from mixsync_dagster_tests.model.samples import FILTERS, QUICK


def refusal(data):
    with pytest.raises(InvalidInput) as caught:
        parse(FileFilters, data, where="file_filters")
    return str(caught.value)


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"extensions": [".mp4", ".mov"]},
        {"include_patterns": ["*.jpg", "*.png"], "min_size_bytes": 1024},
        {"exclude_patterns": ["*.tmp", "thumbs/*"], "max_size_bytes": 52428800},
        {"mime_types": ["video/*"], "modified_after": "2024-01-01T00:00:00Z"},
        {"include_patterns": [], "extensions": None},
        {"min_size_bytes": 5, "max_size_bytes": 5},
        {"include_patterns": ["[]]x", "[!]]", "[[]", "[a-z]*", "a]b"]},
    ],
)
def test_these_filters_are_accepted(filters):
    assert parse(FileFilters, filters)


@pytest.mark.parametrize("pattern", ["", "[ab", "a[!", "x[]", "[z-a]", "a\nb", "x" * 1025])
def test_a_bad_glob_is_refused(pattern):
    assert refusal({"include_patterns": ["*.ok", pattern]}).startswith("file_filters.include_patterns.1: ")


@pytest.mark.parametrize("extension", ["", ".", " ", "*.mp4", "a/b", ".[ab]"])
def test_a_bad_extension_is_refused(extension):
    assert "give a file extension such as .mp4" in refusal({"extensions": [extension]})


@pytest.mark.parametrize("mime_type", ["", "video", "/mp4", "*/mp4", "a/b/c", "text/plain; charset=utf-8", "vi deo/*"])
def test_a_bad_mime_type_is_refused(mime_type):
    assert "give a MIME type such as" in refusal({"mime_types": [mime_type]})


def test_mime_types_are_lower_cased_and_a_bare_family_means_all_of_it():
    filters = parse(FileFilters, {"mime_types": ["video/", "Image/JPEG", "*/*", "application/vnd.ms-excel"]})
    assert filters.mime_types == ("video/*", "image/jpeg", "*/*", "application/vnd.ms-excel")


def test_suffixes_are_the_extensions_in_lower_case_with_their_dot():
    assert parse(FileFilters, {"extensions": [".MP4", "tar.gz"]}).suffixes == (".mp4", ".tar.gz")
    assert parse(FileFilters, {}).suffixes == ()


def test_a_smallest_size_above_the_largest_is_refused():
    assert refusal({"min_size_bytes": 10, "max_size_bytes": 9}) == (
        "file_filters.min_size_bytes: 10 is not accepted; give at most max_size_bytes, which is 9."
    )


@pytest.mark.parametrize("size", [-1, 2**63, True, 1.5, "10"])
def test_a_size_that_is_no_count_of_bytes_is_refused(size):
    assert "(bytes)" in refusal({"max_size_bytes": size})


@pytest.mark.parametrize("after", ["2024-01-02T00:00:00Z", "2024-01-02T01:00:00+01:00", "2024-01-02"])
def test_after_at_or_past_before_is_refused(after):
    sentence = refusal({"modified_after": after, "modified_before": "2024-01-02T00:00:00Z"})
    assert sentence == (
        "file_filters.modified_after: 2024-01-02T00:00:00+00:00 is not accepted; "
        "give a moment before modified_before, which is 2024-01-02T00:00:00+00:00."
    )


@pytest.mark.parametrize(
    ("given_value", "moment"),
    [
        ("2024-01-01T10:00:00", datetime(2024, 1, 1, 10, tzinfo=UTC)),
        ("2024-01-01T10:00:00+02:00", datetime(2024, 1, 1, 8, tzinfo=UTC)),
        ("2024-01-01", datetime(2024, 1, 1, tzinfo=UTC)),
        (date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_moment_without_offset_is_utc(given_value, moment):
    assert parse(FileFilters, {"modified_after": given_value}).modified_after == moment


@pytest.mark.parametrize("value", [1700000000, "1700000000", "yesterday", True, "0001-01-01T00:00:00+02:00", ""])
def test_what_is_no_iso_8601_moment_is_refused(value):
    assert "give an ISO 8601 date or date and time" in refusal({"modified_before": value})


def test_an_unknown_key_is_refused_with_the_accepted_ones():
    assert refusal({"include": ["*"]}) == (
        "file_filters.include is not a known key; the accepted keys are include_patterns, exclude_patterns, "
        "extensions, min_size_bytes, max_size_bytes, modified_after, modified_before, mime_types, metadata_filters."
    )


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "a"},
        {"field": "a", "operator": "gt", "value": True},
        {"field": "a", "operator": "contains", "value": 3},
        {"field": "a", "operator": "exists", "value": "yes"},
        {"field": "a", "operator": "equals", "value": [1]},
        {"field": "", "value": "x"},
        {"field": "a", "operator": "matches", "value": "x"},
    ],
)
def test_a_metadata_filter_that_cannot_be_meant_is_refused(condition):
    assert refusal({"metadata_filters": [condition]}).startswith("file_filters.metadata_filters.0.")


@QUICK
@given(FILTERS)
def test_filters_survive_being_written_and_read(filters):
    first = parse(FileFilters, filters)
    assert parse(FileFilters, json.loads(first.model_dump_json())) == first
    assert FileFilters.model_validate(first.model_dump()) == first
