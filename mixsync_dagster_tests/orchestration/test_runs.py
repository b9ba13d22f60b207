"""Runs through Dagster, in this process, against an S3 server on loopback."""

import pickle
from datetime import timedelta

import dagster as dg
import pytest

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.orchestration.location import build_definitions
from mixsync_dagster.orchestration.parquet_io import Spool
from mixsync_dagster.ports.provider import Probe
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.wiring import Services


@pytest.fixture
def sync_id(live_home, source):
    """A sync of the storage bucket's video files."""
    return live_home.add(source_path=f"{source.name}/videos", file_filters="{extensions: [.mp4]}")


def run(home, instance, config=None, *, job="sync_bucket", **options):
    definitions = build_definitions(home.mixsync)
    given = {"sync": "videos"} if config is None and job == "sync_bucket" else config or {}
    return definitions.resolve_job_def(job).execute_in_process(
        run_config=given, instance=instance, raise_on_error=False, **options
    )


def metadata_of(result, step):
    events = result.filter_events(lambda event: event.event_type_value == "HANDLED_OUTPUT" and event.step_key == step)
    materialized = result.filter_events(lambda event: event.is_step_materialization and event.step_key == step)
    if materialized:
        return {key: entry.value for key, entry in materialized[0].materialization.metadata.items()}
    return {key: entry.value for event in events for key, entry in event.event_specific_data.metadata.items()}


def steps_of(result):
    return [event.step_key for event in result.filter_events(lambda event: event.is_step_success)]


def sentence_of(result):
    failures = result.filter_events(lambda event: event.is_step_failure)
    return [event.event_specific_data.user_failure_data.description for event in failures]


def test_a_run_passes_every_stage_and_fills_the_bucket(live_home, sync_id, instance):
    result = run(live_home, instance)
    assert result.success
    assert steps_of(result) == [
        "begin_run",
        "list_items",
        "filter_items[shard_0]",
        "plan_changes[shard_0]",
        "map_schema[shard_0]",
        "create_objects[shard_0]",
        "submit_batches",
        "finish_run",
    ]
    store = live_home.mixsync.store
    assert store.count_objects("bkt_media") == 2
    record = store.get_run(result.run_id)
    assert (record.status, record.dagster_run_id, record.worker_id) == (
        "completed",
        result.run_id,
        f"dagster:{result.run_id[:8]}",
    )
    tags = instance.get_run_by_id(result.run_id).tags
    assert (tags["mixsync/sync_config_id"], tags["mixsync/sync"]) == (sync_id, "videos")


def test_a_second_run_without_change_creates_nothing(live_home, sync_id, instance):
    run(live_home, instance)
    result = run(live_home, instance)
    output = result.output_for_node("finish_run")
    assert (output["unchanged"], output["created"], output["status"]) == (2, 0, "completed")


def test_the_numbers_are_metadata_of_the_asset(live_home, sync_id, instance):
    result = run(live_home, instance, job="sync_videos")
    assert result.success
    told = metadata_of(result, "videos.finish_run")
    numbers = {name: told[name] for name in ("discovered", "created", "filtered", "failed", "bytes", "batches_created")}
    assert numbers == {"discovered": 3, "created": 2, "filtered": 1, "failed": 0, "bytes": 32, "batches_created": 1}
    assert told["dagster/row_count"] == 2
    assert told["duration_seconds"] >= 0
    assert "| filtered by extensions | 1 |" in told["summary"]


def test_the_checks_are_made_after_the_run(live_home, sync_id, instance):
    result = run(live_home, instance, job="sync_videos")
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert {name: one.passed for name, one in checks.items()} == {
        "dead_letters": True,
        "failure_rate": True,
        "staleness": True,
        "outbox": True,
        "stuck": True,
    }
    assert checks["outbox"].metadata["allowed"].value == "10 minutes"
    assert checks["stuck"].metadata["lag_seconds"].value == 0.0
    assert checks["staleness"].metadata["allowed"].value == "10 minutes"
    assert checks["staleness"].metadata["seconds_since_last_sync"].value < 60
    assert checks["dead_letters"].metadata == {"dead_letters": dg.MetadataValue.int(0)}


def test_nothing_is_left_in_the_spool_and_nothing_was_pickled(live_home, sync_id, instance, monkeypatch):
    def refused(*_args, **_kwargs):
        raise AssertionError("something was pickled")

    monkeypatch.setattr(pickle, "dump", refused)
    monkeypatch.setattr(pickle, "dumps", refused)
    assert run(live_home, instance).success
    assert [path for path in (live_home.path / "spool").rglob("*") if path.is_file()] == []


def test_a_run_that_cannot_list_fails_with_the_sentence_and_frees_the_lock(live_home, instance):
    live_home.add(source_path="no-such-bucket/videos")
    result = run(live_home, instance)
    assert not result.success
    (sentence,) = sentence_of(result)
    assert "no-such-bucket" in sentence
    store = live_home.mixsync.store
    assert store.get_run(result.run_id).status == "failed"
    sync = store.get_sync("videos")
    assert (sync.locked, sync.consecutive_failures) == (False, 1)


def test_a_table_that_cannot_be_handed_on_frees_the_lock(live_home, sync_id, instance, monkeypatch):
    spool = live_home.path / "spool"
    spool.mkdir(parents=True)
    real = SqlStateStore.start_run

    def full(store, lock, record):
        real(store, lock, record)
        # From now on a file is where the run's shards should go.
        (spool / record.sync_run_id).mkdir()
        (spool / record.sync_run_id / "list_items").write_text("")

    monkeypatch.setattr(SqlStateStore, "start_run", full)
    result = run(live_home, instance)
    assert not result.success
    store = live_home.mixsync.store
    assert store.get_run(result.run_id).status == "failed"
    assert store.get_sync("videos").locked is False


@pytest.mark.parametrize("error", [RuntimeError("whatever"), KeyboardInterrupt()])
def test_a_first_step_that_ends_after_the_run_began_ends_the_run(live_home, sync_id, instance, monkeypatch, error):
    def torn(_spool):
        raise error

    monkeypatch.setattr(Spool, "folders", torn)
    try:
        assert not run(live_home, instance).success
    except KeyboardInterrupt:
        assert isinstance(error, KeyboardInterrupt)
    store = live_home.mixsync.store
    (record,) = store.list_runs(sync_id)
    assert record.status == ("failed" if isinstance(error, RuntimeError) else "interrupted")
    assert store.get_run(record.sync_run_id).completed_at is not None
    assert store.get_sync("videos").locked is False


def test_a_sync_that_another_worker_runs_is_skipped_and_not_failed(live_home, sync_id, instance):
    live_home.mixsync.store.acquire(sync_id, "somebody", "their-run", ttl_seconds=60)
    result = run(live_home, instance)
    assert result.success
    assert steps_of(result) == ["begin_run"]
    skipped = result.filter_events(lambda event: event.event_type_value == "STEP_SKIPPED")
    assert [event.step_key for event in skipped][-1] == "finish_run"


def test_an_unknown_sync_fails_with_the_sentence(live_home, instance):
    assert sentence_of(run(live_home, instance, {"sync": "nowhere"})) == ["sync nowhere does not exist."]


def test_a_paused_sync_is_refused_by_hand_and_skipped_when_dispatched(live_home, sync_id, instance):
    store = live_home.mixsync.store
    dispatch = store.claim_dispatch(sync_id, expected_number=0)
    store.set_paused(sync_id, True, reason="user", user_id=None)
    by_hand = run(live_home, instance)
    assert "is paused" in sentence_of(by_hand)[0]
    dispatched = run(live_home, instance, tags={"mixsync/dispatch": str(dispatch.number)})
    assert dispatched.success
    assert steps_of(dispatched) == ["begin_run"]


def test_a_dispatch_that_was_overtaken_does_not_run(live_home, sync_id, instance):
    store = live_home.mixsync.store
    first = store.claim_dispatch(sync_id, expected_number=0)
    store.request_run(sync_id, full_sync=False)
    result = run(live_home, instance, tags={"mixsync/dispatch": str(first.number)})
    assert steps_of(result) == ["begin_run"]


def test_a_claim_that_became_void_in_the_queue_is_made_anew(live_home, sync_id, instance):
    store, now = live_home.mixsync.store, live_home.mixsync.services.clock.now()
    store.postpone(sync_id, now - timedelta(minutes=10))
    with Services.open(live_home.settings, clock=SimulatedClock(now - timedelta(minutes=5))) as earlier:
        dispatch = earlier.store.claim_dispatch(sync_id, expected_number=0)
    result = run(live_home, instance, tags={"mixsync/dispatch": str(dispatch.number)})
    assert steps_of(result)[-1] == "finish_run"
    assert store.dispatch_number(sync_id) == 2


def test_credentials_that_are_not_set_fail_the_run_like_any_other_error(live_home, sync_id, instance, monkeypatch):
    def refused(_services, _sync, **_options):
        raise ConfigurationError("connection media-s3: the variable MEDIA_SECRET is not set.")

    monkeypatch.setattr(Services, "tools_for", refused)
    result = run(live_home, instance)
    assert sentence_of(result) == ["connection media-s3: the variable MEDIA_SECRET is not set."]
    assert live_home.mixsync.store.get_sync("videos").consecutive_failures == 1


def test_a_downstream_asset_gets_the_objects_as_a_frame(live_home, sync_id, instance):
    run(live_home, instance, job="sync_videos")
    seen = []

    @dg.asset(ins={"videos": dg.AssetIn(key=["ns_default", "bkt_media", "videos"])})
    def names(videos):
        seen.append(sorted(videos["source_path"]))

    merged = dg.Definitions.merge(build_definitions(live_home.mixsync), dg.Definitions(assets=[names]))
    job = merged.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(asset_selection=[names.key], instance=instance).success
    assert [[path.rsplit("/", 1)[-1] for path in paths] for paths in seen] == [["a.mp4", "b.mp4"]]


def test_a_dry_run_shows_what_would_be_done(live_home, sync_id, instance):
    result = run(live_home, instance, {"sync": "videos"}, job="plan_sync")
    assert result.success
    (event,) = result.filter_events(lambda event: event.event_type_value == "STEP_OUTPUT")
    told = {key: entry.value for key, entry in event.event_specific_data.metadata.items()}
    assert (told["create"], told["remove"]) == (2, 0)
    assert live_home.mixsync.store.count_objects("bkt_media") == 0


def test_a_connection_is_tested_on_a_path(live_home, source, sync_id, instance):
    good = {"connection": "media-s3", "source_path": f"{source.name}/videos"}
    assert run(live_home, instance, good, job="test_connection").success
    bad = {"connection": "media-s3", "source_path": "no-such-bucket"}
    assert "no-such-bucket" in sentence_of(run(live_home, instance, bad, job="test_connection"))[0]


def test_a_long_probe_postpones_the_unchanged_and_names_the_changed(live_home, source, sync_id, instance):
    other = live_home.add("others", source_path=f"{source.name}/other")
    for name in ("videos", "others"):
        assert run(live_home, instance, {"sync": name}).success
    store = live_home.mixsync.store
    for one in (sync_id, other):
        store.postpone(one, live_home.mixsync.services.clock.now() - timedelta(seconds=1))
    source.put("videos/new.mp4", b"new")
    result = run(live_home, instance, {"syncs": [sync_id, other, "sync_gone"]}, job="probe_syncs")
    assert result.success
    assert instance.get_run_by_id(result.run_id).tags["mixsync/changed"] == sync_id
    due = [sync.sync_config_id for sync in store.due_syncs(limit=10)]
    assert due == [sync_id]
    assert live_home.mixsync.services.probe(store.get_sync("others"), 5.0) is Probe.NOTHING_NEW
