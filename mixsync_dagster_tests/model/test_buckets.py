from __future__ import annotations

import json

import pytest

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.buckets import BucketDefinition, Destination, SchemaType
from mixsync_dagster.model.validation import parse

HOSTED = {"namespace": "ns_demo", "api_key": {"env": "MIXPEEK_KEY"}}
SCHEMA = {
    "properties": {
        "content": {"type": "video", "required": True},
        "tags": {"type": "array", "items": {"type": "string"}},
        "info": {"type": "object", "properties": {"age": {"type": "integer", "default": 3, "enum": [3, None]}}},
    }
}


def refusal(data):
    with pytest.raises(InvalidInput) as caught:
        parse(BucketDefinition, data)
    return str(caught.value)


def test_a_bucket_is_embedded_unless_it_says_otherwise():
    bucket = parse(BucketDefinition, {"bucket_id": "bkt_media", "description": "Media library"})
    assert bucket.destination is Destination.EMBEDDED
    assert bucket.metadata == {}


def test_a_hosted_bucket_says_how_the_service_is_reached():
    bucket = parse(BucketDefinition, {"bucket_id": "b", "destination": "mixpeek", "mixpeek": HOSTED})
    assert bucket.mixpeek.base_url == "https://api.mixpeek.com"
    assert bucket.mixpeek.api_key.env == "MIXPEEK_KEY"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"bucket_id": "b", "destination": "mixpeek"}, "mixpeek is missing; give a mapping of base_url, namespace and"),
        ({"bucket_id": "b", "mixpeek": HOSTED}, "destination: embedded is not accepted; give mixpeek, or leave out"),
        ({"bucket_id": "b", "destination": "s3"}, "destination: s3 is not accepted; give embedded or mixpeek"),
        ({"bucket_id": "a/b"}, "bucket_id: a/b is not accepted; give 1 to 100 letters"),
        ({}, "bucket_id is missing; give 1 to 100 letters, digits"),
        ({"name": "日本"}, "bucket_id is missing; give 1 to 100 letters, digits"),
        (
            {"bucket_id": "b", "bucket_schema": {"properties": {"c": {"type": "VIDEO"}}}},
            "bucket_schema.properties.c.type: VIDEO is not accepted; give string, number, integer, float, boolean,",
        ),
        ({"bucket_id": "b", "bucket_schema": {}}, "bucket_schema.properties is missing"),
    ],
)
def test_a_bad_bucket_is_refused(data, sentence):
    assert sentence in refusal(data)


def test_an_id_is_made_from_the_name():
    assert parse(BucketDefinition, {"name": "Media Library 2"}).bucket_id == "bkt_media_library_2"


def test_six_of_the_types_are_blobs():
    assert [str(kind) for kind in SchemaType if kind.is_blob] == ["text", "image", "audio", "video", "pdf", "excel"]
    assert len(SchemaType) == 15


def test_a_bucket_survives_being_written_and_read():
    data = {
        "bucket_id": "b",
        "destination": "mixpeek",
        "mixpeek": HOSTED,
        "bucket_schema": SCHEMA,
        "metadata": {"a": 1},
    }
    bucket = parse(BucketDefinition, data)
    assert parse(BucketDefinition, json.loads(bucket.model_dump_json())) == bucket
    assert BucketDefinition.model_validate(bucket.model_dump()) == bucket
