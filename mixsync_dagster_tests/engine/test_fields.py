"""Schema mapping: sources, transforms, blobs."""

from __future__ import annotations

from typing import Any

import pytest

from mixsync_dagster.engine.fields import ItemMapping
from mixsync_dagster.errors import ConfigurationError, InvalidInput, MappingFailed
from mixsync_dagster.model.objects import StoredBlob
from mixsync_dagster.ports.provider import Capabilities
from mixsync_dagster_tests.engine.support import item_of, mapping_of, sync_of

EVERYTHING = Capabilities(ordered_listing=True, attribute_kinds=frozenset({"tag", "metadata", "column"}))
STORED = StoredBlob("0" * 64, 7)


def compiled(mapping: Any, provider: str = "s3", capabilities: Capabilities = EVERYTHING) -> ItemMapping:
    return ItemMapping.of(sync_of(schema_mapping=mapping), provider, capabilities)


def fields(
    source: dict[str, Any],
    *,
    path: str = "Marketing/Campaigns/Q4-2024/videos/clip_042_final.mp4",
    attributes: Any = None,
    provider: str = "s3",
    **entry: Any,
) -> dict[str, Any]:
    mapping = compiled(mapping_of(x={"source": source, **entry}), provider)
    return mapping.fields_of(item_of(path), attributes or {})


@pytest.mark.parametrize("value", ["acme", 7, 1.5, True, None, ["a", 1], {"a": {"b": []}}])
def test_a_constant_is_the_same_for_every_item(value: Any) -> None:
    assert fields({"type": "constant", "value": value}) == {"x": value}


def test_a_constant_null_is_a_value_and_not_missing() -> None:
    assert fields({"type": "constant", "value": None}, required=True) == {"x": None}


@pytest.mark.parametrize(
    ("pattern", "value"),
    [(r"_(\d+)_", "042"), (r"\.(\w+)$", "mp4"), (r"^(clip)", "clip"), (r"(?i)(CLIP)", "clip"), (r"()", "")],
)
def test_a_regex_is_searched_anywhere_in_the_file_name(pattern: str, value: str) -> None:
    assert fields({"type": "filename_regex", "pattern": pattern}) == {"x": value}


def test_a_regex_does_not_see_the_folders() -> None:
    assert fields({"type": "filename_regex", "pattern": "(Marketing)"}) == {}


@pytest.mark.parametrize("pattern", [r"(zzz)", r"clip(_zzz)?"])
def test_a_regex_without_a_match_gives_the_default(pattern: str) -> None:
    assert fields({"type": "filename_regex", "pattern": pattern, "default": "none"}) == {"x": "none"}


def test_a_regex_without_a_match_and_without_a_default_leaves_the_field_out() -> None:
    assert fields({"type": "filename_regex", "pattern": "(zzz)"}) == {}


def test_an_empty_default_is_a_value() -> None:
    assert fields({"type": "filename_regex", "pattern": "(zzz)", "default": ""}, required=True) == {"x": ""}


@pytest.mark.parametrize(
    ("segment", "value"),
    [(0, "Marketing"), (1, "Campaigns"), (-1, "videos"), (3, "videos"), (-4, "Marketing")],
)
def test_a_folder_is_counted_from_either_end(segment: int, value: str) -> None:
    assert fields({"type": "folder_path", "segment": segment}) == {"x": value}


@pytest.mark.parametrize("segment", [4, -5, 1023, -1024])
def test_a_folder_out_of_range_is_missing(segment: int) -> None:
    assert fields({"type": "folder_path", "segment": segment}) == {}


def test_the_immediate_parent_is_the_folder_when_none_is_named() -> None:
    assert fields({"type": "folder_path"}) == {"x": "videos"}


def test_the_full_path_has_no_file_name() -> None:
    assert fields({"type": "folder_path", "full_path": True}) == {"x": "Marketing/Campaigns/Q4-2024/videos"}


@pytest.mark.parametrize("source", [{"segment": 0}, {"segment": -1}, {}, {"full_path": True}])
def test_a_file_without_folders_has_none_of_them(source: dict[str, Any]) -> None:
    assert fields({"type": "folder_path", **source}, path="clip.mp4") == {}


def test_leading_and_doubled_slashes_are_no_folders() -> None:
    assert fields({"type": "folder_path", "segment": 0}, path="/a//b/c.txt") == {"x": "a"}
    assert fields({"type": "folder_path", "segment": 1}, path="/a//b/c.txt") == {"x": "b"}


def test_a_tag_is_found_by_its_exact_key() -> None:
    tags = {"tag": {"Team": "blue"}}
    assert fields({"type": "tag", "key": "Team"}, attributes=tags) == {"x": "blue"}
    assert fields({"type": "tag", "key": "team"}, attributes=tags) == {}


def test_a_metadata_key_has_no_case() -> None:
    metadata = {"metadata": {"camera": "X1"}}
    assert fields({"type": "metadata", "key": "Camera"}, attributes=metadata) == {"x": "X1"}


def test_a_column_is_read_by_name() -> None:
    assert fields({"type": "column", "name": "PRICE"}, attributes={"column": {"PRICE": 7}}, provider="snowflake") == {
        "x": 7
    }


def test_a_drive_property_is_read_by_key() -> None:
    attributes = {"drive_property": {"starred": True}}
    source = {"type": "drive_property", "key": "starred"}
    assert fields(source, attributes=attributes, provider="google_drive") == {"x": True}


def test_a_tag_is_not_taken_from_the_metadata() -> None:
    assert fields({"type": "tag", "key": "a"}, attributes={"metadata": {"a": "1"}}) == {}


def test_a_missing_value_leaves_the_field_out_and_keeps_the_others() -> None:
    mapping = compiled(
        mapping_of(gone={"source": {"type": "tag", "key": "gone"}}, here={"source": {"type": "constant", "value": 1}})
    )
    assert mapping.fields_of(item_of("a"), {}) == {"here": 1}


def test_a_missing_required_value_is_the_items_failure() -> None:
    with pytest.raises(MappingFailed) as caught:
        fields({"type": "tag", "key": "gone"}, required=True)
    assert caught.value.error_type == "schema_mismatch"
    assert not caught.value.permanent
    assert str(caught.value) == "required field x has no value at the source."


@pytest.mark.parametrize(
    ("transform", "value", "expected"),
    [
        ("lowercase", "AbC", "abc"),
        ("uppercase", "AbC", "ABC"),
        ("trim", "  a b\n", "a b"),
        ("lowercase", ["A", 1, None, "B"], ["a", 1, None, "b"]),
        ("trim", [" a ", "b "], ["a", "b"]),
        ("uppercase", 7, 7),
        ("trim", None, None),
        ("lowercase", {"A": "B"}, {"A": "B"}),
        ("json_parse", '{"a": [1, null]}', {"a": [1, None]}),
        ("json_parse", '"text"', "text"),
        ("json_parse", "null", None),
        ("json_parse", 7, 7),
        ("json_parse", ["1"], ["1"]),
        (None, " A ", " A "),
    ],
)
def test_a_transform_changes_the_value(transform: str | None, value: Any, expected: Any) -> None:
    assert fields({"type": "constant", "value": value}, transform=transform) == {"x": expected}


@pytest.mark.parametrize(
    "text",
    ["", "{", "nothing", "{'a': 1}", "[1,]", "[" * 100_000, "9" * 5000, "NaN", "[Infinity]", "-Infinity", "1e999"],
)
def test_text_that_is_not_json_is_the_items_failure(text: str) -> None:
    with pytest.raises(MappingFailed) as caught:
        fields({"type": "constant", "value": text}, transform="json_parse")
    assert caught.value.error_type == "validation_error"
    assert str(caught.value).startswith("field x: transform json_parse cannot take the value")


def test_a_transform_is_not_asked_about_a_missing_value() -> None:
    assert fields({"type": "tag", "key": "gone"}, transform="json_parse") == {}


def test_only_kinds_that_fields_need_and_the_provider_has_are_read() -> None:
    mapping = mapping_of(
        a={"source": {"type": "tag", "key": "a"}},
        b={"source": {"type": "folder_path"}},
        c={"source": {"type": "constant", "value": 1}},
        content={"blob": True},
    )
    assert compiled(mapping).attribute_kinds == frozenset({"tag"})
    assert compiled(mapping, capabilities=Capabilities(ordered_listing=True)).attribute_kinds == frozenset()


def test_a_source_that_the_provider_has_not_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"schema_mapping\.mappings\.x\.source\.type: tag is not accepted"):
        compiled(mapping_of(x={"source": {"type": "tag", "key": "a"}}), "google_drive")


def test_a_blob_from_another_source_than_the_file_is_refused() -> None:
    mapping = {"mappings": {"x": {"target_type": "blob", "source": {"type": "metadata", "key": "url"}}}}
    with pytest.raises(ConfigurationError, match=r"schema_mapping\.mappings\.x: blobs from source type metadata"):
        compiled(mapping)


def test_without_a_mapping_the_file_is_the_blob_content() -> None:
    mapping = compiled(None)
    assert mapping.fields == ()
    assert mapping.attribute_kinds == frozenset()
    (blob,) = mapping.blobs_of(item_of("x/clip.mp4"), STORED)
    assert (blob.property, blob.type, blob.filename, blob.mime_type) == ("content", "video", "clip.mp4", "video/mp4")
    assert (blob.size_bytes, blob.sha256) == (7, "0" * 64)


def blob_of(path: str, mime_type: str | None = None, **entry: Any) -> tuple[str, str, str]:
    mapping = {"mappings": {"x": {"target_type": "blob", "source": {"type": "file"}, **entry}}}
    (blob,) = compiled(mapping).blobs_of(item_of(path, mime_type=mime_type), STORED)
    return blob.property, blob.type, blob.mime_type


def test_the_key_of_the_mapping_is_the_blob_property() -> None:
    assert blob_of("a.png") == ("x", "image", "image/png")


def test_a_given_blob_property_wins_over_the_key() -> None:
    assert blob_of("a.png", blob_property="content") == ("content", "image", "image/png")


def test_the_type_told_by_the_provider_decides() -> None:
    assert blob_of("a.bin", "application/pdf; x=y") == ("x", "pdf", "application/pdf")


def test_an_override_wins_over_detection() -> None:
    assert blob_of("a.png", mime_type_override="text/csv") == ("x", "excel", "text/csv")


def test_a_named_blob_type_wins_over_the_mime_type() -> None:
    assert blob_of("a.gif", blob_type="video") == ("x", "video", "image/gif")


def test_bytes_of_no_known_type_are_kept_as_binary() -> None:
    assert blob_of("a.unheardof") == ("x", "binary", "application/octet-stream")
    assert blob_of("a.zip") == ("x", "binary", "application/zip")


def test_one_file_may_fill_several_blobs() -> None:
    mapping = compiled(mapping_of(first={"blob": True}, second={"blob": True}))
    blobs = mapping.blobs_of(item_of("a.png"), STORED)
    assert [(blob.property, blob.sha256) for blob in blobs] == [("first", "0" * 64), ("second", "0" * 64)]
