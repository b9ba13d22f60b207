"""What does not happen is told at every look, without a run; the clock is moved on, nothing waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from mixsync_dagster.orchestration.instance import prepare_instance
from mixsync_dagster.orchestration.location import build_definitions
from mixsync_dagster.orchestration.monitoring import WatchCursor, monitor, watch
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.orchestration.conftest import Home

ASSET = dg.AssetKey("videos")
HOUR = 3600.0


class Monitor:
    """A home with one sync, and looks at it some seconds from now."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.sync_id = home.add()
        self.cursor = WatchCursor()
        self.warnings: list[str] = []

    def look(self, seconds: float = 0.0) -> dict[str, bool]:
        """Return the new answers by the check's name."""
        mixsync = MixsyncServices(home=str(self.home.path))
        clock = SimulatedClock(datetime.now(UTC) + timedelta(seconds=seconds))
        mixsync._services = Services.open(self.home.settings, clock=clock)
        try:
            watched = watch(mixsync, {self.sync_id: ASSET}, self.cursor)
        finally:
            mixsync.close()
        self.cursor, self.warnings = watched.cursor, list(watched.warnings)
        assert {one.asset_key for one in watched.evaluations} <= {ASSET}
        return {one.check_name: one.passed for one in watched.evaluations}

    def change(self, statement: str, *values: object) -> None:
        with self.home.mixsync.store._database.write() as tx:  # type: ignore[attr-defined]  # the store behind the port
            tx.run(statement, *values)


@pytest.fixture
def watched(home: Home) -> Monitor:
    return Monitor(home)


def test_a_sync_that_is_well_is_said_to_be_once(watched: Monitor) -> None:
    assert watched.look() == {"outbox": True, "stuck": True}
    assert watched.look(60) == {}
    assert watched.warnings == []


def test_a_sync_that_is_never_run_is_told_as_stuck_without_any_run(watched: Monitor) -> None:
    assert watched.look() == {"outbox": True, "stuck": True}
    assert watched.look(HOUR) == {"stuck": False}
    [warning] = watched.warnings
    assert warning.startswith("Sync videos: its run is due for ")
    # Not again, though it is warned of in every tick.
    assert watched.look(HOUR + 60) == {}
    assert len(watched.warnings) == 1
    watched.home.mixsync.store.postpone(watched.sync_id, datetime.now(UTC) + timedelta(days=1))
    assert watched.look(HOUR) == {"stuck": True}
    assert watched.warnings == []


def test_the_lock_of_a_worker_that_is_gone_is_told_without_any_run(watched: Monitor) -> None:
    store = watched.home.mixsync.store
    store.acquire(watched.sync_id, "somebody", "run_a", ttl_seconds=60)
    assert watched.look(120) == {"outbox": True, "stuck": True}
    store.postpone(watched.sync_id, datetime.now(UTC) + timedelta(days=1))
    assert watched.look(600) == {"stuck": False}
    [warning] = watched.warnings
    assert "a worker that is gone holds the lock" in warning


def test_a_batch_that_waits_is_told_without_any_run(watched: Monitor) -> None:
    watched.home.mixsync.store.postpone(watched.sync_id, datetime.now(UTC) + timedelta(days=1))
    at = int(datetime.now(UTC).timestamp() * 1_000_000)
    watched.change(
        "INSERT INTO outbox (batch_id, sync_config_id, bucket_id, attempts, created_at, position)"
        " VALUES ('btch_a', ?, 'bkt_media', 0, ?, 1)",
        watched.sync_id,
        at,
    )
    assert watched.look(300) == {"outbox": True, "stuck": True}
    assert watched.look(HOUR) == {"outbox": False}
    [warning] = watched.warnings
    assert "a batch has waited for" in warning
    watched.change("DELETE FROM outbox")
    assert watched.look(HOUR) == {"outbox": True}


def test_a_sync_without_an_asset_is_warned_of(watched: Monitor) -> None:
    watched.home.add("unnamed")
    assert watched.look(HOUR).keys() == {"outbox", "stuck"}
    assert {warning.split(":")[0] for warning in watched.warnings} == {"Sync videos", "Sync unnamed"}


def test_a_paused_sync_is_not_stuck(watched: Monitor) -> None:
    watched.home.mixsync.store.set_paused(watched.sync_id, True, reason="user", user_id=None)
    assert watched.look(HOUR) == {"outbox": True, "stuck": True}


def test_a_cursor_that_cannot_be_read_reports_everything_again() -> None:
    assert WatchCursor.read("no JSON") == WatchCursor.read('{"version": 2}') == WatchCursor.read(None) == WatchCursor()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    prepare_instance(tmp_path / "dagster")
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as made:
        yield made


def test_what_the_sensor_reports_is_the_answer_of_the_assets_check(home: Home, instance: dg.DagsterInstance) -> None:
    sync_id = home.add()
    definitions = build_definitions(home.mixsync)
    [check] = definitions.asset_checks or ()
    keys = {key.name: key for key in check.check_keys}  # type: ignore[union-attr]
    sensor = monitor({sync_id: keys["stuck"].asset_key})
    assert sensor.name in {one.name for one in definitions.sensors or ()}
    home.mixsync.store.postpone(sync_id, datetime.now(UTC) - timedelta(hours=2))
    with dg.build_sensor_context(instance=instance, resources={"mixsync": home.mixsync}) as context:
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        for event in result.asset_events:
            instance.report_runless_asset_event(event)
    assert "its run is due for" in str(result.skip_reason)
    told = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys.values()))
    answers = {key.name: record.evaluation.passed for key, record in told.items()}  # type: ignore[union-attr]
    assert answers == {"outbox": True, "stuck": False}
    assert instance.get_runs_count() == 0


def test_the_sensor_says_how_to_make_a_state_store(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    absent = MixsyncServices(home=str(tmp_path / "absent"))
    with dg.build_sensor_context(instance=instance, resources={"mixsync": absent}) as context:
        said = monitor({})(context)
    assert isinstance(said, dg.SkipReason)
    assert "run `mixsync init`" in str(said.skip_message)
