"""Two daemons on one instance, each with sensors of its own: whatever both see is done once."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest

from mixsync_dagster.orchestration.instance import prepare_instance
from mixsync_dagster_tests.orchestration.conftest import Home
from mixsync_dagster_tests.support.dagster_dev import running_dagster_daemon
from mixsync_dagster_tests.support.s3_servers import S3Server, new_bucket

NAMES = ("first", "second", "third")
START_SECONDS = 90
INTERVAL_SECONDS = 75


@pytest.mark.slow
@pytest.mark.timeout(400)  # more than all waits below together: each of them says what it waited for
def test_two_daemons_run_each_sync_once_for_each_change(live_home: Home, moto_server: S3Server, tmp_path: Path) -> None:
    buckets = {name: new_bucket(moto_server) for name in NAMES}
    for name, bucket in buckets.items():
        bucket.put("one.mp4", f"one of {name}".encode())
        live_home.add(name, source_path=bucket.name, polling_interval_seconds=30)
    store = live_home.mixsync.store
    instance_home = tmp_path / "dagster"
    prepare_instance(instance_home)
    environment = {**os.environ, "MIXSYNC_HOME": str(live_home.path), "DAGSTER_HOME": str(instance_home)}

    def runs(name: str) -> list[tuple[str, int, int]]:
        records = store.list_runs(store.get_sync(name).sync_config_id)
        return [(run.status, run.counters.created, run.counters.unchanged) for run in reversed(records)]

    def ended(number: int) -> bool:
        return all(len(made := runs(name)) >= number and made[number - 1][0] != "running" for name in NAMES)

    with (
        running_dagster_daemon(tmp_path, environment, name="daemon-1") as one,
        running_dagster_daemon(tmp_path, environment, name="daemon-2") as two,
    ):
        one.wait_until(lambda: ended(1), START_SECONDS, "each sync had its first run")
        for name, bucket in buckets.items():
            bucket.put("two.mp4", f"two of {name}".encode())
        two.wait_until(lambda: ended(2), INTERVAL_SECONDS, "each sync had its second run")
        logs = [daemon.log.read_text("utf-8", "replace") for daemon in (one, two)]

    # Each was at work: it looked at the sensors of all three syncs.
    assert all(f"sensor: continuous_{name}" in log for log in logs for name in NAMES)
    assert {name: runs(name) for name in NAMES} == {name: [("completed", 1, 0), ("completed", 1, 1)] for name in NAMES}
    assert store.count_objects("bkt_media") == 6
    with dg.DagsterInstance.from_config(str(instance_home)) as instance:
        assert instance.get_runs_count() == 6
