from __future__ import annotations

import pytest
import yaml

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.documents import ConfigDocument, plain_secrets
from mixsync_dagster.model.secrets import EnvReference
from mixsync_dagster.model.validation import parse
from mixsync_dagster_tests.model.samples import connection_request

DOCUMENT = """
connections:
  media-s3:
    provider_type: s3
    provider_config:
      region: us-east-1
      endpoint_url: http://127.0.0.1:9000
      use_ssl: false
      credentials: {type: access_key, access_key_id: {env: MEDIA_KEY}, secret_access_key: {env: MEDIA_SECRET}}
buckets:
  bkt_media: {description: Media library}
  bkt_empty:
syncs:
  videos:
    bucket_id: bkt_media
    connection_id: media-s3
    source_path: media/videos
    sync_mode: continuous
    polling_interval_seconds: 60
    file_filters: {extensions: [.mp4, .mov], exclude_patterns: ["*/drafts/*"]}
    schema_mapping:
      mappings:
        content: {target_type: blob, source: {type: file}, blob_type: auto}
        category: {target_type: field, source: {type: tag, key: category}, transform: lowercase}
"""


def refusal(data):
    with pytest.raises(InvalidInput) as caught:
        parse(ConfigDocument, data)
    return str(caught.value)


def test_the_example_document_is_read():
    document = parse(ConfigDocument, yaml.safe_load(DOCUMENT))
    connection = document.connections["media-s3"]
    assert connection.name == "media-s3"
    assert connection.provider_config.credentials.secret_access_key == EnvReference(env="MEDIA_SECRET")
    assert document.buckets["bkt_empty"].bucket_id == "bkt_empty"
    assert (document.syncs["videos"].name, document.syncs["videos"].bucket_id) == ("videos", "bkt_media")
    assert plain_secrets(document) == []


def test_secrets_given_as_they_are_can_be_warned_of():
    document = parse(ConfigDocument, {"connections": {"m": connection_request(name="m")}})
    assert plain_secrets(document) == ["connections.m.provider_config.credentials.secret_access_key"]


@pytest.mark.parametrize("data", [{}, {"syncs": None}, {"connections": {}, "buckets": None}])
def test_sections_may_be_absent_or_empty(data):
    assert parse(ConfigDocument, data) == ConfigDocument()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"sync": {}}, "sync is not a known key; the accepted keys are connections, buckets, syncs."),
        (None, "the input: null is not accepted; give a mapping of keys to values."),
        ({"syncs": []}, "syncs: a list is not accepted; give a mapping of keys to values."),
        ({"syncs": {"a b": {}}}, "syncs.a b"),
        ({"syncs": {"v": None}}, "syncs.v.bucket_id is missing"),
        ({"syncs": {1: {}}}, "syncs.1: 1 is not accepted; give text."),
        ({"buckets": {"b": {"bucket_id": "c"}}}, "buckets.b.bucket_id: c is not accepted; give b (its key), or leave"),
        ({"connections": {"c": "x"}}, "connections.c: x is not accepted; give a mapping of keys to values."),
    ],
)
def test_a_bad_document_is_refused_by_the_path_of_the_field(data, sentence):
    assert sentence in refusal(data)


def test_every_problem_of_a_document_is_told_at_once():
    data = yaml.safe_load(DOCUMENT)
    data["syncs"]["videos"].update(polling_interval_seconds=29, batch_size=101)
    data["buckets"]["bkt_media"]["colour"] = "red"
    assert [line.split(" ")[0].rstrip(":") for line in refusal(data).splitlines()] == [
        "buckets.bkt_media.colour",
        "syncs.videos.polling_interval_seconds",
        "syncs.videos.batch_size",
    ]
