from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.model.syncs import (
    Reconcile,
    SyncConfiguration,
    SyncCreateRequest,
    SyncMode,
    SyncUpdateRequest,
    new_sync,
    sync_name_for,
    updated_sync,
)
from mixsync_dagster.model.validation import parse
from mixsync_dagster_tests.model.samples import NOW, QUICK, SYNC_REQUESTS, sync_request


def created(**changes):
    return new_sync(
        parse(SyncCreateRequest, sync_request(**changes)),
        sync_config_id="sync_1",
        bucket_id="bkt_1",
        connection_id="conn_abc123",
        internal_id="int_1",
        namespace_id="ns_1",
        created_by_user_id="usr_1",
        source_type=ProviderType.S3,
        now=NOW,
    )


def refusal(data, model=SyncCreateRequest):
    with pytest.raises(InvalidInput) as caught:
        parse(model, data)
    return str(caught.value)


@pytest.mark.parametrize(
    "request_of_the_documentation",
    [
        {
            "batch_size": 50,
            "connection_id": "conn_s3_prod",
            "description": "S3: Continuous video sync with filters",
            "file_filters": {"extensions": [".mp4", ".mov"], "min_size_bytes": 1024},
            "metadata": {"project": "video-analysis"},
            "polling_interval_seconds": 300,
            "source_path": "media-bucket/videos/raw",
            "sync_mode": "continuous",
        },
        {
            "batch_size": 100,
            "connection_id": "conn_gdrive_marketing",
            "description": "Google Drive: One-time folder import",
            "file_filters": {"mime_types": ["image/*", "video/*"]},
            "source_path": "0AH-Xabc123def456",
            "sync_mode": "one_time",
        },
        {
            "batch_size": 100,
            "connection_id": "conn_snowflake_prod",
            "description": "Snowflake: Scheduled table sync",
            "metadata": {"incremental": True},
            "polling_interval_seconds": 900,
            "source_path": "ANALYTICS.PUBLIC.CUSTOMERS",
            "sync_mode": "scheduled",
        },
        {
            "connection_id": "conn_sharepoint_legal",
            "description": "SharePoint: Document library sync",
            "file_filters": {"extensions": [".pdf", ".docx"]},
            "polling_interval_seconds": 600,
            "source_path": "/sites/Legal/Shared Documents/Contracts",
            "sync_mode": "continuous",
        },
        {
            "batch_size": 100,
            "connection_id": "conn_tigris_cdn",
            "description": "Tigris: Global media sync",
            "file_filters": {"include_patterns": ["*.jpg", "*.webp"]},
            "source_path": "cdn-assets/media",
            "sync_mode": "continuous",
        },
        {
            "connection_id": "conn_abc123",
            "source_path": "media/videos",
            "file_filters": {"extensions": [".mp4"]},
            "schema_mapping": {"mappings": {"content": {"target_type": "blob", "source": {"type": "file"}}}},
            "polling_interval_seconds": 300,
            "batch_size": 50,
            "skip_batch_submission": False,
            "skip_duplicates": True,
        },
    ],
)
def test_every_example_of_the_api_is_accepted(request_of_the_documentation):
    request = parse(SyncCreateRequest, request_of_the_documentation)
    assert request.model_dump(mode="json", include={"source_path", "batch_size"})["source_path"]


def test_defaults_of_a_request():
    request = parse(SyncCreateRequest, sync_request())
    assert request.model_dump(mode="json") == {
        "connection_id": "conn_abc123",
        "source_path": "my-bucket/videos",
        "sync_mode": "continuous",
        "file_filters": None,
        "schema_mapping": None,
        "polling_interval_seconds": 300,
        "batch_size": 50,
        "skip_batch_submission": False,
        "skip_duplicates": True,
        "reconcile": {
            "on_delete": True,
            "on_update": True,
            "on_filter_drift": True,
            "re_extract_on_update": True,
            "re_extract_fields": None,
        },
        "sync_from": None,
        "provider_filters": None,
        "batch_collection_ids": None,
        "description": None,
        "max_objects_per_run": 100000,
        "sync_concurrency": None,
        "name": None,
        "metadata": None,
    }


BOUNDS = [
    ("polling_interval_seconds", [30, 900], [29, 901, 0, -30]),
    ("batch_size", [1, 100], [0, 101]),
    ("sync_concurrency", [1, 100], [0, 101]),
    ("max_objects_per_run", [1, 10**9], [0, -1]),
]


@pytest.mark.parametrize(("field", "accepted", "refused"), BOUNDS)
@pytest.mark.parametrize("model", [SyncCreateRequest, SyncUpdateRequest])
def test_bounds_of_numbers(model, field, accepted, refused):
    base = sync_request() if model is SyncCreateRequest else {}
    for value in accepted:
        assert getattr(parse(model, {**base, field: value}), field) == value
    for value in [*refused, "50", 50.0, True, [50]]:
        assert refusal({**base, field: value}, model).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("field", "accepted", "refused"),
    [
        ("batch_chunk_size", [1, 1000], [0, 1001]),
        ("max_batch_chunk_size", [1, 1000], [0, 1001]),
        ("resume_checkpoint_frequency", [100, 10000], [99, 10001]),
        ("consecutive_failures", [0, 7], [-1]),
        ("total_bytes_synced", [0, 2**63 - 1], [-1, 2**63]),
        ("sync_run_counter", [0], [-1]),
    ],
)
def test_bounds_of_a_stored_sync(field, accepted, refused):
    stored = created().model_dump(mode="json")
    for value in accepted:
        assert getattr(parse(SyncConfiguration, {**stored, field: value}), field) == value
    for value in refused:
        assert refusal({**stored, field: value}, SyncConfiguration).startswith(f"{field}: {value} is not accepted")


def test_an_interval_out_of_bounds_is_told_in_one_sentence():
    with pytest.raises(InvalidInput) as caught:
        parse(SyncCreateRequest, sync_request(polling_interval_seconds=29), where="syncs.videos")
    assert str(caught.value) == (
        "syncs.videos.polling_interval_seconds: 29 is not accepted; give a whole number from 30 to 900 (seconds)."
    )


@pytest.mark.parametrize(("keys", "accepted"), [(50, True), (51, False)])
def test_metadata_has_at_most_50_keys(keys, accepted):
    data = sync_request(metadata={str(number): number for number in range(keys)})
    if accepted:
        assert len(parse(SyncCreateRequest, data).metadata) == keys
    else:
        assert refusal(data) == "metadata: a mapping is not accepted; give at most 50 keys, not 51."


@pytest.mark.parametrize("value", [float("inf"), float("nan"), {1: 2}, {1, 2}, b"x", NOW, "a\x00b", object()])
def test_metadata_that_is_no_json_is_refused(value):
    assert refusal(sync_request(metadata={"k": value})).startswith("metadata")


@pytest.mark.parametrize(("length", "accepted"), [(500, True), (501, False)])
def test_a_description_has_at_most_500_characters(length, accepted):
    data = sync_request(description="d" * length)
    if accepted:
        assert parse(SyncCreateRequest, data).description == "d" * length
    else:
        assert "give text of at most 500 characters" in refusal(data)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "n" * 101, "a\n"])
def test_a_name_holds_letters_digits_dots_underscores_and_hyphens(name):
    assert "give 1 to 100 letters, digits, dots, underscores or hyphens" in refusal(sync_request(name=name))


@pytest.mark.parametrize("missing", ["connection_id", "source_path"])
def test_a_required_key_is_asked_for(missing):
    data = sync_request()
    del data[missing]
    assert refusal(data).startswith(f"{missing} is missing; give ")
    assert refusal({**data, missing: ""}).startswith(f'{missing}: "" is not accepted; give ')


def test_the_retriever_gate_is_not_offered():
    assert refusal(sync_request(ingest_filter={"x": 1})) == (
        "ingest_filter: it is not offered; choose items by file_filters and leave it out."
    )


def test_when_an_object_exists_cannot_be_chosen():
    sentence = (
        "create_object_on_confirm: it cannot be chosen and is always true, for an object exists as soon as its bytes "
        "do; leave it out."
    )
    assert refusal(sync_request(create_object_on_confirm=False)) == sentence
    with pytest.raises(InvalidInput) as refused:
        parse(SyncUpdateRequest, {"create_object_on_confirm": False})
    assert str(refused.value) == sentence
    with pytest.raises(InvalidInput, match="create_object_on_confirm: false is not accepted; give true: an object"):
        parse(SyncConfiguration, {**json.loads(created().model_dump_json()), "create_object_on_confirm": False})


@pytest.mark.parametrize(
    ("word", "mode"),
    [
        ("continuous", SyncMode.CONTINUOUS),
        ("one_time", SyncMode.ONE_TIME),
        ("initial_only", SyncMode.ONE_TIME),
        ("scheduled", SyncMode.SCHEDULED),
    ],
)
def test_a_mode_reads_back_as_the_word_that_was_sent(word, mode):
    sync = created(sync_mode=word)
    assert sync.mode is mode
    assert json.loads(sync.model_dump_json())["sync_mode"] == word


@pytest.mark.parametrize("word", ["CONTINUOUS", "manual", "", None, 1])
def test_another_mode_is_refused(word):
    assert "give continuous, one_time, initial_only or scheduled" in refusal(sync_request(sync_mode=word))


@pytest.mark.parametrize(("word", "wait"), [("continuous", 0), ("one_time", 0), ("scheduled", 60)])
def test_a_new_sync_is_pending_and_due_now_or_at_its_first_tick(word, wait):
    sync = created(sync_mode=word, polling_interval_seconds=60)
    assert sync.status is TaskStatus.PENDING
    assert sync.next_sync_at == NOW + timedelta(seconds=wait)
    assert sync.name == "my-bucket-videos"
    assert (sync.metadata, sync.locked, sync.paused, sync.is_active) == ({}, False, False, True)
    assert (sync.resume_enabled, sync.resume_checkpoint_frequency, sync.create_object_on_confirm) == (True, 1000, True)
    assert sync.reconcile == Reconcile()


def test_batches_are_capped_by_the_larger_bound():
    stored = created().model_dump()
    assert created().effective_batch_chunk_size == 100
    assert SyncConfiguration.model_validate({**stored, "max_batch_chunk_size": 30}).effective_batch_chunk_size == 30


@pytest.mark.parametrize(
    ("path", "taken", "name"),
    [
        ("my-bucket/videos", [], "my-bucket-videos"),
        ("my-bucket/videos/", ["my-bucket-videos"], "my-bucket-videos-2"),
        ("/sites/Legal/Shared Documents", [], "sites-Legal-Shared-Documents"),
        ("DB.SCHEMA.TABLE", [], "DB.SCHEMA.TABLE"),
        ("日本", [], "sync"),
        ("日本", ["sync", "sync-2"], "sync-3"),
        ("b/" + "x" * 300, [], "b-" + "x" * 88),
    ],
)
def test_a_name_is_made_from_the_source_path(path, taken, name):
    assert sync_name_for(path, taken) == name


@pytest.mark.parametrize("field", ["connection_id", "source_path", "sync_mode", "file_filters", "skip_duplicates"])
def test_what_cannot_be_changed_is_refused_with_the_way_out(field):
    assert refusal({field: "x", "batch_size": 5}, SyncUpdateRequest) == (
        f"{field}: it cannot be changed; create a new sync and delete this one (its objects stay)."
    )


@pytest.mark.parametrize("patch", [{}, {"batch_size": None}])
def test_an_empty_update_is_refused(patch):
    assert "give at least one of the keys description, metadata, status" in refusal(patch, SyncUpdateRequest)


def test_an_update_changes_what_it_gives_and_keeps_the_rest():
    sync = created(description="old", batch_size=7, provider_filters={"prefix": "a/"}, batch_collection_ids=["c"])
    patch = {
        "description": "",
        "metadata": {"a": 1},
        "polling_interval_seconds": 60,
        "reconcile": {"on_delete": False},
        "provider_filters": {},
        "batch_collection_ids": [],
        "is_active": False,
        "schema_mapping": {"mappings": {"c": {"target_type": "field", "source": {"type": "constant", "value": None}}}},
    }
    changed = updated_sync(sync, parse(SyncUpdateRequest, patch), now=NOW + timedelta(seconds=5))
    assert (changed.description, changed.provider_filters, changed.batch_collection_ids) == (None, None, None)
    assert (changed.metadata, changed.polling_interval_seconds, changed.batch_size) == ({"a": 1}, 60, 7)
    assert changed.reconcile.on_delete is False
    assert changed.schema_mapping.mappings["c"].source.value is None
    assert changed.updated_at == NOW + timedelta(seconds=5)
    assert (changed.is_active, changed.sync_config_id) == (True, "sync_1")


@pytest.mark.parametrize(
    ("patch", "active"),
    [
        ({"is_active": False}, False),
        ({"status": "paused"}, False),
        ({"status": "active"}, True),
        ({"status": "suspended", "is_active": False}, False),
        ({"status": "failed"}, None),
        ({"batch_size": 5}, None),
    ],
)
def test_an_update_tells_whether_to_pause_or_resume(patch, active):
    assert parse(SyncUpdateRequest, patch).active is active


@pytest.mark.parametrize(
    "patch", [{"status": "processing"}, {"status": "ARCHIVED"}, {"status": "ACTIVE", "is_active": False}]
)
def test_a_status_that_a_sync_cannot_be_given_is_refused(patch):
    assert "is not accepted" in refusal(patch, SyncUpdateRequest)


@QUICK
@given(SYNC_REQUESTS)
def test_a_sync_survives_being_written_and_read(data):
    request = parse(SyncCreateRequest, data)
    assert parse(SyncCreateRequest, json.loads(request.model_dump_json())) == request
    stored = created(**data)
    assert parse(SyncConfiguration, json.loads(stored.model_dump_json())) == stored
    assert SyncConfiguration.model_validate(stored.model_dump()) == stored


@QUICK
@given(SYNC_REQUESTS)
def test_an_update_survives_being_written_and_read(data):
    kept = {key: value for key, value in data.items() if key in SyncUpdateRequest.model_fields}
    update = parse(SyncUpdateRequest, {**kept, "is_active": True})
    assert parse(SyncUpdateRequest, json.loads(update.model_dump_json())) == update
    assert updated_sync(created(), update, now=NOW).name == "my-bucket-videos"
