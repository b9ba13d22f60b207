from datetime import timedelta

import pytest

from mixsync_dagster.control import syncs
from mixsync_dagster.errors import Conflict, InvalidInput, NotFound
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.model.syncs import SyncCreateRequest, SyncUpdateRequest
from mixsync_dagster.model.validation import parse
from mixsync_dagster_tests.control.support import applied


@pytest.fixture
def store(services):
    applied(services)
    return services.store


def made(store, clock, **values):
    request = parse(SyncCreateRequest, {"connection_id": "media-s3", "source_path": "media/films", **values})
    return syncs.create_sync(store, request, bucket="bkt_media", now=clock.now())


@pytest.mark.parametrize(
    ("mode", "wait"), [("continuous", 0), ("one_time", 0), ("initial_only", 0), ("scheduled", 300)]
)
def test_only_a_scheduled_sync_waits_before_its_first_run(store, clock, mode, wait):
    assert made(store, clock, sync_mode=mode).next_sync_at == clock.now() + timedelta(seconds=wait)


def test_a_sync_without_a_name_gets_one_that_is_free(store, clock):
    assert [made(store, clock).name, made(store, clock).name] == ["media-films", "media-films-2"]


def test_a_taken_name_is_a_conflict(store, clock):
    with pytest.raises(Conflict, match="a sync named videos exists"):
        made(store, clock, name="videos")


def test_an_unknown_bucket_or_connection_is_told_with_the_nearest_name(store, clock):
    with pytest.raises(NotFound, match="there is no connection media-s4; did you mean media-s3"):
        made(store, clock, connection_id="media-s4")
    request = SyncCreateRequest(connection_id="media-s3", source_path="media")
    with pytest.raises(NotFound, match="there is no bucket nowhere; `mixsync export` shows what there is"):
        syncs.create_sync(store, request, bucket="nowhere", now=clock.now())


def test_what_the_provider_cannot_serve_is_refused_field_by_field(store, clock):
    mapping = {"mappings": {"y": {"target_type": "field", "source": {"type": "column", "name": "a"}}}}
    with pytest.raises(InvalidInput) as refused:
        made(store, clock, source_path="Media", schema_mapping=mapping)
    assert [problem.field for problem in refused.value.problems] == [
        "source_path",
        "schema_mapping.mappings.y.source.type",
    ]


UNSERVED = {
    "provider_filters": ({"folder": "a"}, "provider_filters.folder"),
    "batch_collection_ids": (["col_a"], "batch_collection_ids"),
    "reconcile": ({"re_extract_on_update": False}, "reconcile.re_extract_on_update"),
    "schema_mapping": (
        {"mappings": {"c": {"target_type": "blob", "source": {"type": "tag", "key": "url"}}}},
        "schema_mapping.mappings.c.source.type",
    ),
}


@pytest.mark.parametrize("field", sorted(UNSERVED))
def test_what_would_be_ignored_is_refused_at_creation_and_at_a_change(store, clock, field):
    value, path = UNSERVED[field]
    update = parse(SyncUpdateRequest, {field: value})
    for attempt in (
        lambda: made(store, clock, **{field: value}),
        lambda: syncs.update_sync(store, store.get_sync("videos"), update),
    ):
        with pytest.raises(InvalidInput) as refused:
            attempt()
        assert [problem.field for problem in refused.value.problems] == [path]
    assert [sync.name for sync in store.list_syncs()] == ["videos"]


def test_what_clears_such_a_setting_is_taken(store):
    update = parse(SyncUpdateRequest, {"provider_filters": {}, "batch_collection_ids": [], "reconcile": {}})
    assert syncs.update_sync(store, store.get_sync("videos"), update).batch_collection_ids is None


def test_a_new_mapping_has_to_fit_the_schema_of_the_bucket(store):
    schema = {"properties": {"clip": {"type": "video"}}}
    store.save_bucket(parse(BucketDefinition, {"bucket_id": "bkt_media", "bucket_schema": schema}))
    video = {"target_type": "blob", "source": {"type": "file"}}
    update = parse(SyncUpdateRequest, {"schema_mapping": {"mappings": {"content": video}}})
    with pytest.raises(InvalidInput, match=r"schema_mapping\.mappings\.content\.blob_property: content .* one of clip"):
        syncs.update_sync(store, store.get_sync("videos"), update)
    update = parse(SyncUpdateRequest, {"schema_mapping": {"mappings": {"clip": video}}})
    assert syncs.update_sync(store, store.get_sync("videos"), update).schema_mapping == update.schema_mapping


def test_pause_and_resume(store, clock):
    paused = syncs.pause(store, store.get_sync("videos"), reason="maintenance")
    assert (paused.paused, paused.pause_reason, paused.status) == (True, "maintenance", TaskStatus.SUSPENDED)
    assert paused.next_sync_at is None
    clock.advance(10)
    resumed = syncs.resume(store, paused)
    assert (resumed.paused, resumed.status, resumed.next_sync_at) == (False, TaskStatus.PENDING, clock.now())


def test_resuming_what_is_not_paused_does_not_make_it_due(store, clock):
    before = store.get_sync("videos")
    clock.advance(10)
    assert syncs.resume(store, before) == before
    assert store.get_sync("videos") == before


def test_a_trigger_asks_for_a_run(store):
    found = store.get_sync("videos")
    assert syncs.trigger(store, found, full_sync=True).accepted
    assert [one.sync_config_id for one in store.requested_syncs(limit=10)] == [found.sync_config_id]


def test_a_paused_sync_cannot_be_triggered(store):
    with pytest.raises(Conflict, match="paused"):
        syncs.trigger(store, syncs.pause(store, store.get_sync("videos")))


def test_a_running_sync_is_not_triggered_twice(store):
    found = store.get_sync("videos")
    store.acquire(found.sync_config_id, "somebody", "run_a", ttl_seconds=60)
    assert not syncs.trigger(store, found).accepted


def test_unlocking_tells_who_held_the_lock(store):
    found = store.get_sync("videos")
    assert syncs.unlock(store, found) is None
    store.acquire(found.sync_config_id, "somebody", "run_a", ttl_seconds=60)
    assert syncs.unlock(store, found) == "somebody"
    assert not store.get_sync("videos").locked


def test_an_update_changes_and_pauses(store):
    update = SyncUpdateRequest(batch_size=10, is_active=False)
    changed = syncs.update_sync(store, store.get_sync("videos"), update)
    assert (changed.batch_size, changed.paused) == (10, True)
    again = syncs.update_sync(store, changed, SyncUpdateRequest(is_active=True))
    assert (again.batch_size, again.paused) == (10, False)


def test_absent_and_empty_values_are_no_difference():
    assert syncs.differing({"a": None, "b": 1, "c": []}, {"a": {}, "b": 2}, ("a", "b", "c")) == ["b"]


def test_every_field_of_a_sync_either_is_what_it_is_or_may_change():
    known = {*syncs.IMMUTABLE, *syncs.UPDATABLE, "name"}
    assert known == {*SyncCreateRequest.model_fields, "bucket_id"}
