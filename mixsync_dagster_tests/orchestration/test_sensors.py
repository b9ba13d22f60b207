"""Sensors and schedules as Dagster evaluates them."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from mixsync_dagster.model.syncs import SyncMode
from mixsync_dagster.orchestration import jobs
from mixsync_dagster.orchestration.instance import prepare_instance
from mixsync_dagster.orchestration.location import build_definitions
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.orchestration.sensors import cron_of, dispatcher, tick_seconds
from mixsync_dagster_tests.orchestration.test_translator import named


def scheduled(seconds, minute=0, second=0):
    created_at = datetime(2024, 1, 1, 10, minute, second, tzinfo=UTC)
    return named(mode=SyncMode.SCHEDULED, interval_seconds=seconds, created_at=created_at)


@pytest.mark.parametrize(
    ("sync", "cron"),
    [
        (scheduled(60), "* * * * *"),
        (scheduled(300), "*/5 * * * *"),
        (scheduled(300, minute=12), "2-59/5 * * * *"),
        (scheduled(300, minute=12, second=1), "3-59/5 * * * *"),
        (scheduled(300, minute=14, second=59), "*/5 * * * *"),
        (scheduled(600, minute=14), "4,14,24,34,44,54 * * * *"),
        (scheduled(720, minute=12), "*/12 * * * *"),
        (scheduled(900, minute=50), "5,20,35,50 * * * *"),
    ],
)
def test_whole_minutes_that_divide_an_hour_are_a_schedule_in_step_with_the_creation(sync, cron):
    assert cron_of(sync) == cron
    assert dg.ScheduleDefinition(name="s", job_name="j", cron_schedule=cron).cron_schedule == cron


@pytest.mark.parametrize("seconds", [45, 90, 420, 480])
def test_an_interval_that_cron_cannot_say_is_served_by_a_sensor(seconds):
    assert cron_of(scheduled(seconds)) is None


def test_only_scheduled_syncs_have_schedules():
    assert cron_of(named(interval_seconds=60)) is None
    assert cron_of(named(mode=SyncMode.ONE_TIME, interval_seconds=60)) is None


@pytest.mark.parametrize(("interval", "seconds"), [(30, 5), (60, 10), (120, 20), (900, 30)])
def test_a_sensor_looks_often_against_its_interval(interval, seconds):
    assert tick_seconds(named(interval_seconds=interval)) == seconds


def evaluated(sensor, instance, mixsync, cursor=None):
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources={"mixsync": mixsync}) as context:
        return sensor(context)


@pytest.fixture
def sensor():
    return dispatcher(jobs.sync_bucket_job(), jobs.probe_syncs_job(), [])


def test_the_dispatcher_starts_a_sync_and_remembers_little(home, instance, sensor):
    sync_id = home.add()
    result = evaluated(sensor, instance, home.mixsync)
    assert [request.run_key for request in result.run_requests] == [f"{sync_id}:1"]
    assert result.cursor == '{"version":1,"probe":null}'


def test_the_dispatcher_says_how_to_make_a_state_store(instance, sensor, tmp_path):
    result = evaluated(sensor, instance, MixsyncServices(home=str(tmp_path / "absent")))
    assert result.run_requests in (None, [])
    assert "run `mixsync init`" in result.skip_reason.skip_message


def test_every_sensor_and_schedule_runs_by_default(home):
    home.add("always")
    home.add("often", sync_mode="scheduled", polling_interval_seconds=45)
    home.add("hourly", sync_mode="scheduled", polling_interval_seconds=300)
    home.add("once", sync_mode="one_time")
    definitions = build_definitions(home.mixsync)
    sensors = {sensor.name: sensor.default_status for sensor in definitions.sensors}
    assert sensors == dict.fromkeys(
        [
            "mixsync_dispatcher",
            "mixsync_reaper",
            "mixsync_monitor",
            "mixsync_processing",
            "continuous_always",
            "scheduled_often",
            "one_time_once",
        ],
        dg.DefaultSensorStatus.RUNNING,
    )
    assert [(s.name, s.default_status) for s in definitions.schedules] == [
        ("scheduled_hourly", dg.DefaultScheduleStatus.RUNNING),
        # What it removes is gone, so a person starts it.
        ("collect_garbage_daily", dg.DefaultScheduleStatus.STOPPED),
    ]


@pytest.fixture
def stored_instance(tmp_path):
    """An instance that another process could open, as contexts of schedules want it."""
    prepare_instance(tmp_path / "dagster")
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        yield instance


def test_a_schedule_starts_the_syncs_own_job(home, stored_instance):
    sync_id = home.add("hourly", sync_mode="scheduled", polling_interval_seconds=300)
    schedule, _collecting = build_definitions(home.mixsync).schedules
    tick = {"instance": stored_instance, "scheduled_execution_time": datetime(2024, 1, 1, tzinfo=UTC)}
    with dg.build_schedule_context(**tick, resources={"mixsync": home.mixsync}) as context:
        assert isinstance(schedule(context), dg.SkipReason)
        home.mixsync.store.postpone(sync_id, datetime(2024, 1, 1, tzinfo=UTC))
        (request,) = schedule(context)
    assert (request.run_key, request.tags["mixsync/dispatch"]) == (f"{sync_id}:1", "1")
