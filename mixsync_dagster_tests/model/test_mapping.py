from __future__ import annotations

import json

import pytest
from hypothesis import given

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.mapping import (
    SchemaMapping,
    check_blobs_offered,
    check_mapping_fits,
    compile_pattern,
    default_mapping,
)
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.validation import parse
from mixsync_dagster_tests.model.samples import MAPPINGS, QUICK


def refusal(entry):
    with pytest.raises(InvalidInput) as caught:
        parse(SchemaMapping, {"mappings": {"x": entry}})
    return str(caught.value)


def field(source, **more):
    return {"target_type": "field", "source": source, **more}


@pytest.mark.parametrize(
    "mappings",
    [
        {
            "category": {"source": {"key": "category", "type": "tag"}, "target_type": "field"},
            "content": {"blob_type": "auto", "source": {"type": "file"}, "target_type": "blob"},
        },
        {
            "content": {"blob_type": "video", "source": {"type": "file"}, "target_type": "blob"},
            "project": {
                "source": {"segment": 0, "type": "folder_path"},
                "target_type": "field",
                "transform": "lowercase",
            },
        },
        {"a": field({"type": "constant", "value": None}), "b": field({"type": "constant", "value": {"env": ["prod"]}})},
        {"a": field({"type": "column", "name": "CATEGORY"}), "b": field({"type": "drive_property", "key": "starred"})},
        {"a": field({"type": "filename_regex", "pattern": r"\.(\w+)$", "default": "unknown"}, required=True)},
        {},
    ],
)
def test_these_mappings_are_accepted(mappings):
    assert parse(SchemaMapping, {"mappings": mappings})


def test_a_blob_fills_the_property_of_its_key_unless_another_is_given():
    mapping = parse(
        SchemaMapping,
        {
            "mappings": {
                "profile_image": {"target_type": "blob", "source": {"type": "file"}},
                "poster": {"target_type": "blob", "source": {"type": "file"}, "blob_property": "content"},
            }
        },
    )
    assert [entry.blob_property for entry in mapping.blobs.values()] == ["profile_image", "content"]
    assert mapping.source_types == {"file"}


def test_two_blobs_cannot_fill_one_property():
    blob = {"target_type": "blob", "source": {"type": "file"}}
    with pytest.raises(
        InvalidInput, match=r"mappings\.b\.blob_property: a is not accepted; give a property of its own"
    ):
        parse(SchemaMapping, {"mappings": {"a": blob, "b": {**blob, "blob_property": "a"}}})


def test_a_null_entry_is_refused():
    assert refusal(None) == "mappings.x: null is not accepted; give a mapping of keys to values."


def test_a_field_cannot_be_the_file():
    assert refusal(field({"type": "file"})) == (
        "mappings.x.source.type: file is not accepted; give another source for a field; the source file is for "
        "target_type: blob."
    )


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(?<=a)(b)", "a pattern without look-behind, which RE2 does not support"),
        (r"(?<!a)(b)", "a pattern without look-behind, which RE2 does not support"),
        (r"(?=a)(b)", "a pattern without look-ahead, which RE2 does not support"),
        (r"(\d+)(?!x)", "a pattern without look-ahead, which RE2 does not support"),
        (r"(a)\1", "a pattern without back-references, which RE2 does not support"),
        (r"(?P<n>a)(?P=n)", "a pattern without back-references, which RE2 does not support"),
        (r"(", "a valid RE2 pattern (missing ): ()"),
        (r"abc", "a pattern with exactly one capture group, not 0; (?:...) groups without capturing"),
        (r"(a)(b)", "a pattern with exactly one capture group, not 2; (?:...) groups without capturing"),
    ],
)
def test_a_bad_pattern_is_refused_with_its_reason(pattern, reason):
    sentence = refusal(field({"type": "filename_regex", "pattern": pattern}))
    assert sentence == f"mappings.x.source.pattern: {pattern} is not accepted; give {reason}."


@pytest.mark.parametrize(("length", "accepted"), [(512, True), (513, False)])
def test_a_pattern_has_at_most_512_characters(length, accepted):
    entry = field({"type": "filename_regex", "pattern": "(" + "a" * (length - 2) + ")"})
    if accepted:
        assert parse(SchemaMapping, {"mappings": {"x": entry}})
    else:
        assert "text of 1 to 512 characters" in refusal(entry)


def test_a_pattern_is_searched_anywhere_in_the_name():
    assert compile_pattern(r"_(\d+)_").search("IMG_0042_final.jpg").group(1) == "0042"


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        (field({"type": "tag", "key": ""}), "source.key"),
        (field({"type": "tag", "key": "k" * 129}), "source.key"),
        (field({"type": "metadata", "key": "k" * 1025}), "source.key"),
        (field({"type": "column", "name": ""}), "source.name"),
        (field({"type": "constant"}), "source.value"),
        (field({"type": "constant", "value": float("nan")}), "source.value"),
        (field({"type": "folder_path", "segment": "1"}), "source.segment"),
        (field({"type": "folder_path", "segment": 1, "full_path": True}), "source.segment"),
        (field({"type": "rss_field", "field": "title"}), "source.type"),
        (field({"key": "category"}), "source.type"),
        (field({"type": "tag", "key": "a"}, transform="reverse"), "transform"),
        ({"source": {"type": "file"}}, "target_type"),
        ({"target_type": "blob", "source": {"type": "file"}, "blob_type": "document"}, "blob_type"),
        ({"target_type": "blob", "source": {"type": "file"}, "mime_type_override": "jpeg"}, "mime_type_override"),
        ({"target_type": "blob", "source": {"type": "file"}, "blob_property": ""}, "blob_property"),
    ],
)
def test_a_bad_entry_is_refused_by_the_path_of_its_field(entry, path):
    assert refusal(entry).partition(" ")[0].rstrip(":") == f"mappings.x.{path}"


@pytest.mark.parametrize("provider", ["s3", "tigris", "google_drive", "sharepoint"])
def test_a_file_becomes_the_content_blob_by_default(provider):
    assert default_mapping(ProviderType(provider)).model_dump(mode="json") == {
        "mappings": {
            "content": {
                "target_type": "blob",
                "source": {"type": "file"},
                "blob_type": "auto",
                "blob_property": "content",
                "mime_type_override": None,
            }
        }
    }


def test_rows_have_no_entry_by_default():
    assert default_mapping(ProviderType.SNOWFLAKE).mappings == {}


@pytest.mark.parametrize("provider", list(ProviderType))
def test_the_default_mapping_fits_its_provider(provider):
    assert check_mapping_fits(default_mapping(provider), provider) is None


@pytest.mark.parametrize(
    ("source", "fitting"),
    [
        ({"type": "tag", "key": "a"}, {"s3", "tigris"}),
        ({"type": "metadata", "key": "a"}, {"s3", "tigris"}),
        ({"type": "column", "name": "a"}, {"snowflake"}),
        ({"type": "drive_property", "key": "a"}, {"google_drive"}),
        ({"type": "sharepoint_column", "key": "Team"}, {"sharepoint"}),
        ({"type": "folder_path"}, {"s3", "tigris", "google_drive", "sharepoint"}),
        ({"type": "constant", "value": 1}, {"s3", "tigris", "google_drive", "sharepoint", "snowflake"}),
    ],
)
def test_a_source_that_the_provider_has_not_is_refused(source, fitting):
    mapping = parse(SchemaMapping, {"mappings": {"category": field(source)}})
    for provider in ProviderType:
        if provider in fitting:
            check_mapping_fits(mapping, provider)
        else:
            with pytest.raises(
                InvalidInput, match=f"schema_mapping.mappings.category.source.type: {source['type']} is"
            ):
                check_mapping_fits(mapping, provider)


@QUICK
@given(MAPPINGS)
def test_a_mapping_survives_being_written_and_read(mapping):
    first = parse(SchemaMapping, mapping)
    assert parse(SchemaMapping, json.loads(first.model_dump_json())) == first
    assert SchemaMapping.model_validate(first.model_dump()) == first


def test_a_blob_is_the_file_or_what_a_column_names():
    linked = {"target_type": "blob", "source": {"type": "metadata", "key": "url"}}
    content = {"target_type": "blob", "source": {"type": "file"}}
    photo = {"target_type": "blob", "source": {"type": "column", "name": "PHOTO_URL"}}
    check_blobs_offered(parse(SchemaMapping, {"mappings": {"content": content, "photo": photo}}))
    check_blobs_offered(parse(SchemaMapping, {"mappings": {"content": content, "url": field({"type": "folder_path"})}}))
    with pytest.raises(InvalidInput) as refused:
        check_blobs_offered(parse(SchemaMapping, {"mappings": {"content": content, "x": linked}}))
    assert str(refused.value) == (
        "schema_mapping.mappings.x.source.type: metadata is not accepted, for a blob's URL is not fetched; give file "
        "or column, or map the value as a field."
    )
