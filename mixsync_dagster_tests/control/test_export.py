import yaml

from mixsync_dagster.control.export import export_definitions, placeholders, to_yaml
from mixsync_dagster_tests.control.support import MEDIA, VARIABLES, applied, changes, with_line

RICH = """\
connections:
  media-s3:
    provider_type: s3
    description: The library
    metadata: {team: media}
    provider_config:
      endpoint_url: http://127.0.0.1:9000
      dialect: minio
      credentials: {type: access_key, access_key_id: AKIAPLAIN, secret_access_key: plain-secret}
  9-tigris:
    provider_type: tigris
    provider_config:
      credentials: {access_key_id: {env: MEDIA_KEY}, secret_access_key: {env: MEDIA_SECRET}}
buckets:
  bkt_media: {name: Media, description: Media library, metadata: {a: [1, 2]}}
  bkt_plain:
syncs:
  videos:
    bucket_id: bkt_media
    connection_id: media-s3
    source_path: media/videos
    sync_mode: initial_only
    file_filters: {extensions: [.mp4], min_size_bytes: 0, modified_after: 2024-01-31}
    schema_mapping:
      mappings:
        content: {target_type: blob, source: {type: file}}
        nothing: {target_type: field, source: {type: constant, value: null}}
        year: {target_type: field, source: {type: filename_regex, pattern: '_(\\d+)_', default: ""}, required: true}
    reconcile: {on_delete: false, on_update: false}
    metadata: {project: films}
    skip_duplicates: false
    max_objects_per_run: 5
  all.of_it:
    bucket_id: bkt_plain
    connection_id: 9-tigris
    source_path: other
"""


def test_what_is_exported_is_taken_back_without_change(services):
    variables = {**VARIABLES, "MEDIA_S3_SECRET_ACCESS_KEY": "plain-secret"}
    applied(services, RICH, variables)
    text = to_yaml(export_definitions(services.store))
    assert set(changes(applied(services, text, variables)).values()) == {"unchanged"}


def test_an_export_makes_the_same_definitions_elsewhere(services):
    variables = {**VARIABLES, "MEDIA_S3_SECRET_ACCESS_KEY": "plain-secret"}
    applied(services, RICH, variables)
    first = to_yaml(export_definitions(services.store))
    applied(services, "{}", prune=True)
    assert set(changes(applied(services, first, variables)).values()) == {"created", "unchanged"}
    assert to_yaml(export_definitions(services.store)) == first


def test_no_secret_is_exported(services):
    applied(services, RICH)
    document = export_definitions(services.store)
    assert "plain-secret" not in to_yaml(document)
    credentials = document["connections"]["media-s3"]["provider_config"]["credentials"]
    assert credentials == {
        "type": "access_key",
        "access_key_id": "AKIAPLAIN",
        "secret_access_key": {"env": "MEDIA_S3_SECRET_ACCESS_KEY"},
    }
    assert placeholders(document) == ["MEDIA_KEY", "MEDIA_SECRET", "MEDIA_S3_SECRET_ACCESS_KEY"]


def test_a_stand_in_variable_with_another_value_is_a_new_secret(services):
    applied(services, RICH)
    text = to_yaml(export_definitions(services.store))
    done = applied(services, text, {**VARIABLES, "MEDIA_S3_SECRET_ACCESS_KEY": "rotated"})
    assert changes(done)["connection media-s3"] == "updated"


def test_defaults_are_left_out(services):
    applied(services)
    assert yaml.safe_load(to_yaml(export_definitions(services.store)))["syncs"] == {
        "videos": {
            "bucket_id": "bkt_media",
            "connection_id": "media-s3",
            "source_path": "media/videos",
            "sync_mode": "continuous",
        }
    }


def test_live_state_is_not_exported(services):
    applied(services, with_line("polling_interval_seconds: 60"))
    services.store.set_paused(services.store.get_sync("videos").sync_config_id, True, reason="user", user_id="usr_a")
    exported = export_definitions(services.store)["syncs"]["videos"]
    assert set(exported) == {"bucket_id", "connection_id", "source_path", "sync_mode", "polling_interval_seconds"}


def test_an_empty_store_exports_an_empty_document(services):
    assert to_yaml(export_definitions(services.store)) == "{}\n"
    assert list(changes(applied(services, "{}\n"))) == []


def test_the_media_definitions_keep_their_references(services):
    applied(services)
    text = to_yaml(export_definitions(services.store))
    assert yaml.safe_load(text)["connections"]["media-s3"]["provider_config"]["credentials"] == {
        "type": "access_key",
        "access_key_id": {"env": "MEDIA_KEY"},
        "secret_access_key": {"env": "MEDIA_SECRET"},
    }
    assert "MEDIA_SECRET" in MEDIA
