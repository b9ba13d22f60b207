"""A real `dagster dev` that ends in one moment, with everything that it started, in the middle of a run."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import dagster as dg
import pytest

from mixsync_dagster.settings import Settings
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.orchestration.test_live import DEFINITIONS, SYNC, environment_of, mixsync
from mixsync_dagster_tests.support.dagster_dev import running_dagster_dev
from mixsync_dagster_tests.support.recording_proxy import Answer, Forward, recording
from mixsync_dagster_tests.support.s3_servers import ACCESS_KEY, SECRET_KEY, S3Server, SeenRequest, new_bucket

FILES = 40
START_SECONDS = 90
RESUME_SECONDS = 60 + 5 + START_SECONDS
"""A tick of the reaper, the lock's time, and what Dagster takes to start again."""


@pytest.mark.slow
@pytest.mark.timeout(450)  # more than all waits below together: each of them says what it waited for
def test_a_run_that_ends_with_everything_else_is_failed_and_its_sync_goes_on(
    moto_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIXSYNC_LEASE_SECONDS", "5")
    monkeypatch.setenv("MIXSYNC_SYNC_CONCURRENCY", "1")
    source = new_bucket(moto_server)
    for number in range(FILES):
        source.put(f"{number:02}.mp4", b"%d" % number)
    slow = threading.Event()
    slow.set()

    def around(request: SeenRequest, forward: Forward) -> Answer:
        if slow.is_set() and request.method == "GET" and ".mp4" in request.target and "tagging" not in request.target:
            time.sleep(0.5)
        return forward()

    with recording(moto_server.endpoint_url) as proxy:
        proxy.around = around
        text = DEFINITIONS.format(endpoint_url=proxy.endpoint_url, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
        (tmp_path / "syncs.yaml").write_text(text + SYNC.format(name="cut", source_path=source.name))
        mixsync(tmp_path, "init")
        mixsync(tmp_path, "apply", "syncs.yaml")
        environment = environment_of(tmp_path)
        with Services.open(Settings.load({"MIXSYNC_HOME": environment["MIXSYNC_HOME"]})) as services:
            store = services.store
            sync_id = store.get_sync("cut").sync_config_id
            with running_dagster_dev(tmp_path, environment) as dagster:
                dagster.wait_until(
                    lambda: store.count_objects("bkt_live") > 0, START_SECONDS, "the run committed something"
                )
                dagster.kill_all()
            before = store.count_objects("bkt_live")
            assert 0 < before < FILES
            [cut] = store.list_runs(sync_id)
            with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
                assert instance.get_run_by_id(cut.sync_run_id).status is dg.DagsterRunStatus.STARTED  # type: ignore[union-attr]
            slow.clear()
            began_at = time.monotonic()
            with running_dagster_dev(tmp_path, environment) as dagster:
                dagster.wait_until(
                    lambda: len(runs := store.list_runs(sync_id)) > 1 and runs[0].status == "completed",
                    RESUME_SECONDS,
                    "the sync went on",
                )
                took = time.monotonic() - began_at
                with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
                    assert instance.get_run_by_id(cut.sync_run_id).status is dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
            resumed, ended = store.list_runs(sync_id)
            assert (ended.sync_run_id, ended.status) == (cut.sync_run_id, "interrupted")
            assert ended.error is not None
            assert "its process has ended" in ended.error
            assert resumed.counters.created + before == FILES == store.count_objects("bkt_live")
            assert mixsync(tmp_path, "verify", "--all") == "No findings.\n"
            print(f"went on {took:.0f} seconds after the restart")  # noqa: T201 - shown by -s
