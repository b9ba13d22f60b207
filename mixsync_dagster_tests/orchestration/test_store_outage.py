"""A state store that fails in the midst of a Dagster run: one sentence in the UI, and the next run makes it good."""

from __future__ import annotations

import dagster as dg
import pytest

from mixsync_dagster.orchestration.location import build_definitions
from mixsync_dagster.state import database
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster_tests.orchestration.conftest import Home
from mixsync_dagster_tests.support.s3_servers import TestBucket
from mixsync_dagster_tests.support.store_faults import Writer


def test_a_store_that_another_process_keeps_locked_fails_the_step_with_a_sentence_and_pauses_nothing(
    live_home: Home, source: TestBucket, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.1)
    sync_id = live_home.add(source_path=f"{source.name}/videos")
    store = live_home.mixsync.store
    job = build_definitions(live_home.mixsync).resolve_job_def("sync_bucket")
    real = SqlStateStore.record_intents
    writers: list[Writer] = []

    def keep_locked(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        writers.append(Writer(live_home.path / "state.db"))

    with monkeypatch.context() as patch:
        patch.setattr(SqlStateStore, "record_intents", keep_locked)
        failed = job.execute_in_process(run_config={"sync": "videos"}, instance=instance, raise_on_error=False)
    for writer in writers:
        writer.let_go()

    assert not failed.success
    (event,) = failed.filter_events(lambda event: event.is_step_failure)
    assert event.step_key == "create_objects[shard_0]"
    assert event.event_specific_data.user_failure_data.description == (
        "the state store did not do it and nothing was written: database is locked."
    )
    assert store.count_objects("bkt_media") == 0
    # Its lock would end by itself.
    assert store.unlock(sync_id) == f"dagster:{failed.run_id[:8]}"
    resumed = job.execute_in_process(run_config={"sync": "videos"}, instance=instance)
    told = resumed.output_for_node("finish_run")
    assert (told["status"], told["created"], store.count_objects("bkt_media")) == ("completed", 3, 3)
    sync = store.get_sync("videos")
    assert (sync.paused, sync.consecutive_failures, sync.total_files_synced) == (False, 0, 3)
    assert [run.status for run in store.list_runs(sync_id)] == ["completed", "interrupted"]
