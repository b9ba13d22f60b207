"""One Dagster run that materializes several syncs' assets, as "Materialize all" in the UI does."""

from __future__ import annotations

import dagster as dg
import pytest

from mixsync_dagster.orchestration.location import build_definitions
from mixsync_dagster.orchestration.parquet_io import Spool
from mixsync_dagster_tests.orchestration.conftest import Home
from mixsync_dagster_tests.support.s3_servers import TestBucket

NAMES = ("one", "two", "three")


@pytest.fixture
def sync_ids(live_home: Home, source: TestBucket) -> dict[str, str]:
    """Syncs that read one file each."""
    for name in NAMES:
        source.put(f"{name}/a.mp4", name.encode())
    return {name: live_home.add(name, source_path=f"{source.name}/{name}") for name in NAMES}


def materialize_all(home: Home, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = build_definitions(home.mixsync).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, raise_on_error=False)


def test_each_sync_has_a_record_of_its_own_and_gives_its_lock_back(
    live_home: Home, sync_ids: dict[str, str], instance: dg.DagsterInstance
) -> None:
    result = materialize_all(live_home, instance)
    assert result.success
    store = live_home.mixsync.store
    for name, sync_id in sync_ids.items():
        [run] = store.list_runs(sync_id)
        assert (run.sync_run_id, run.dagster_run_id) == (f"{result.run_id}:{sync_id}", result.run_id)
        assert (run.status, run.counters.discovered, run.counters.created) == ("completed", 1, 1)
        sync = store.get_sync(name)
        assert (sync.current_sync_run_id, sync.locked) == (run.sync_run_id, False)
        assert store.count_objects("bkt_media", sync_config_id=sync_id) == 1
    # By the tag of one sync the run would wait for that sync's other runs, and the reaper would take it for its run.
    assert "mixsync/sync_config_id" not in instance.get_run_by_id(result.run_id).tags  # type: ignore[union-attr]
    again = materialize_all(live_home, instance)
    assert again.success
    assert [store.list_runs(sync_id)[0].counters.unchanged for sync_id in sync_ids.values()] == [1, 1, 1]


def test_a_sync_that_another_worker_holds_is_skipped_and_the_others_run(
    live_home: Home, sync_ids: dict[str, str], instance: dg.DagsterInstance
) -> None:
    store = live_home.mixsync.store
    held = store.acquire(sync_ids["two"], "somebody", "run_a", ttl_seconds=60)
    assert materialize_all(live_home, instance).success
    assert {name: len(store.list_runs(sync_id)) for name, sync_id in sync_ids.items()} == {
        "one": 1,
        "two": 0,
        "three": 1,
    }
    store.renew(held, ttl_seconds=60)


def test_a_sync_that_fails_leaves_the_others_alone(
    live_home: Home, sync_ids: dict[str, str], instance: dg.DagsterInstance
) -> None:
    gone = live_home.add("gone", source_path="no-such-bucket/videos")
    assert not materialize_all(live_home, instance).success
    store = live_home.mixsync.store
    assert [run.status for run in store.list_runs(gone)] == ["failed"]
    assert not store.get_sync("gone").locked
    assert [store.list_runs(sync_id)[0].status for sync_id in sync_ids.values()] == ["completed"] * 3


def test_the_next_run_sweeps_up_behind_one_of_several_syncs(
    live_home: Home, sync_ids: dict[str, str], instance: dg.DagsterInstance
) -> None:
    first = materialize_all(live_home, instance)
    spool = Spool(live_home.settings.spool_dir.as_uri())
    assert spool.folders() == [first.run_id]
    job = build_definitions(live_home.mixsync).resolve_job_def("sync_bucket")
    assert job.execute_in_process(run_config={"sync": "one"}, instance=instance).success
    assert spool.folders() == []


def test_every_lock_is_renewed_while_other_syncs_have_their_turn(live_home: Home, sync_ids: dict[str, str]) -> None:
    mixsync = live_home.mixsync
    store = mixsync.store
    for name, sync_id in sync_ids.items():
        lock = store.acquire(sync_id, "somebody", f"run-{name}", ttl_seconds=60)
        mixsync.renew_meanwhile(mixsync.tools(store.load_sync(sync_id)), lock)
    assert set(mixsync._keepers) == set(sync_ids.values())
    mixsync.stop_renewing(sync_ids["two"])
    assert set(mixsync._keepers) == {sync_ids["one"], sync_ids["three"]}
    mixsync.close()
    assert not mixsync._keepers
