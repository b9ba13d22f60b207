"""Runs whose worker is gone, on a stored instance; the clock of the state store is moved on, nothing waits."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from mixsync_dagster.model.progress import Trigger
from mixsync_dagster.orchestration import jobs
from mixsync_dagster.orchestration.instance import prepare_instance
from mixsync_dagster.orchestration.location import build_definitions
from mixsync_dagster.orchestration.processes import this_process
from mixsync_dagster.orchestration.reaping import Ours, reap, reaper
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.orchestration.running import running
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.wiring import Services

OURS = Ours(frozenset({"sync_bucket", "sync_videos"}), frozenset({dg.AssetKey("videos")}))
GONE = f"{(this_process() or '').partition(':')[0]}:1:0"
"""Process 1 of this machine, which did not start at the boot's first tick."""


@pytest.fixture
def stored_instance(tmp_path):
    prepare_instance(tmp_path / "dagster")
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        yield instance


class Reaped:
    """A home with one sync, an instance, and a reaper that looks at them some seconds from now."""

    def __init__(self, home, instance):
        self.home, self.instance = home, instance
        self.sync_id = home.add()

    def run(
        self,
        *,
        job="sync_bucket",
        process=None,
        begun=True,
        sync_id=None,
        status=dg.DagsterRunStatus.STARTED,
        tags=None,
    ):
        """Make a run as one that Dagster started and that took its lock."""
        tags = {"mixsync/sync_config_id": sync_id or self.sync_id, **(tags or {})}
        if process is not None:
            tags["mixsync/process"] = process
        run = self.instance.add_run(dg.DagsterRun(job_name=job, status=status, tags=tags))
        if begun:
            self.begin(run.run_id)
        return run.run_id

    def begin(self, run_id):
        from mixsync_dagster.engine.beginning import begin_run

        store = self.home.mixsync.store
        tools = self.home.mixsync.tools(store.load_sync(self.sync_id))
        return begin_run(
            tools,
            self.sync_id,
            worker_id="dagster:test",
            sync_run_id=run_id,
            trigger=Trigger.SCHEDULED,
            full_sync=False,
            dagster_run_id=run_id,
        )

    def reap(self, seconds):
        """Look at everything with clocks that are ahead."""
        mixsync = MixsyncServices(home=str(self.home.path))
        clock = SimulatedClock(datetime.now(UTC) + timedelta(seconds=seconds))
        mixsync._services = Services.open(self.home.settings, clock=clock)
        try:
            return reap(mixsync, self.instance, OURS)
        finally:
            mixsync.close()

    def status(self, run_id):
        return self.instance.get_run_by_id(run_id).status.value


@pytest.fixture
def world(home, stored_instance):
    return Reaped(home, stored_instance)


def test_a_run_is_failed_as_soon_as_its_lock_is_over_when_its_process_has_ended(world):
    run_id = world.run(process=GONE)
    assert world.reap(30) == []
    (said,) = world.reap(62)
    assert said == (
        f"Run {run_id[:8]} of sync_bucket: the run's worker is gone: its process has ended. The sync's next run "
        "goes on from the last commit."
    )
    assert world.status(run_id) == "FAILURE"
    store = world.home.mixsync.store
    assert (store.get_run(run_id).status, store.get_sync("videos").locked) == ("interrupted", False)
    assert world.reap(62) == []


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING])
def test_every_state_that_holds_a_place_is_looked_at(world, status):
    run_id = world.run(process=GONE, status=status)
    assert len(world.reap(62)) == 1
    assert world.status(run_id) == "FAILURE"


@pytest.mark.parametrize("process", [None, "another/1:2:3", this_process()])
def test_a_worker_that_is_not_known_to_have_ended_may_be_silent_for_minutes(world, process):
    run_id = world.run(process=process)
    # A lock of 60 seconds, and five minutes.
    assert world.reap(350) == []
    assert len(world.reap(370)) == 1
    assert world.status(run_id) == "FAILURE"


def test_a_long_lease_lengthens_the_silence(world, monkeypatch):
    monkeypatch.setenv("MIXSYNC_LEASE_SECONDS", "600")
    world.home.mixsync.close()
    world.home.settings = world.home.mixsync.settings()
    run_id = world.run()
    assert world.reap(600 + 1100) == []
    assert len(world.reap(600 + 1210)) == 1
    assert world.status(run_id) == "FAILURE"


def test_a_run_that_works_is_left_alone_and_between_its_steps_as_well(world):
    run_id = world.run(process=GONE, begun=False)
    ticket = world.begin(run_id)
    mixsync = world.home.mixsync
    with running(mixsync, ticket.as_dict()):
        pass
    assert list(mixsync._keepers) == [world.sync_id]
    with running(mixsync, ticket.as_dict()):
        assert not mixsync._keepers, "the step renews the lock itself"
    assert world.reap(30) == []
    mixsync.close()
    assert not mixsync._keepers


@pytest.mark.slow
def test_the_lock_is_renewed_between_steps(world, monkeypatch):
    monkeypatch.setenv("MIXSYNC_LEASE_SECONDS", "5")
    world.home.mixsync.close()
    mixsync = world.home.mixsync
    ticket = world.begin(world.run(begun=False))
    with running(mixsync, ticket.as_dict()):
        pass
    before = mixsync.store.get_sync("videos").lock_expires_at
    deadline = time.monotonic() + 10
    while mixsync.store.get_sync("videos").lock_expires_at == before:
        assert time.monotonic() < deadline, "nobody renewed the lock"
        time.sleep(0.1)


def test_a_run_of_which_nothing_was_heard_since_it_started_is_failed(world):
    run_id = world.run(begun=False)
    assert world.reap(290) == []
    assert len(world.reap(310)) == 1
    assert world.status(run_id) == "FAILURE"


def launched_by(address):
    return {".dagster/grpc_info": json.dumps({"host": "localhost", "socket": str(address)})}


def test_a_run_whose_launcher_has_ended_before_its_first_step_is_failed_after_the_locks_time(world, tmp_path):
    run_id = world.run(begun=False, tags=launched_by(tmp_path / "gone"))
    assert world.reap(58) == []
    (said,) = world.reap(62)
    assert "what launched it has ended, and its first step did not begin" in said
    assert world.status(run_id) == "FAILURE"


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
def test_a_run_whose_launcher_lives_may_take_minutes_for_its_first_step(world, status, tmp_path):
    address = tmp_path / "server"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        server.listen()
        world.run(begun=False, tags=launched_by(address), status=status)
        assert world.reap(290) == []
    assert len(world.reap(62)) == 1


def test_a_run_that_began_is_not_judged_by_its_launcher(world, tmp_path):
    world.run(tags=launched_by(tmp_path / "gone"))
    assert world.reap(350) == []


def test_what_the_run_was_started_for_is_asked_for_again(world, tmp_path):
    store = world.home.mixsync.store
    store.request_run(world.sync_id, full_sync=True)
    claim = store.claim_dispatch(world.sync_id, expected_number=store.dispatch_number(world.sync_id))
    assert store.take_up_dispatch(world.sync_id, claim.number)
    asked = {"mixsync/dispatch": str(claim.number), "mixsync/trigger": "manual", "mixsync/full_sync": "true"}
    world.run(begun=False, tags={**launched_by(tmp_path / "gone"), **asked})
    assert store.requested_syncs(limit=10) == []
    assert len(world.reap(62)) == 1
    assert [(one.name, one.pending_full_sync) for one in store.requested_syncs(limit=10)] == [("videos", True)]


def test_a_claim_whose_run_was_never_made_is_given_up(world):
    store = world.home.mixsync.store
    claim = store.claim_dispatch(world.sync_id, expected_number=0)
    assert world.reap(15) == []
    assert world.reap(25) == [f"Sync {world.sync_id}: its run {claim.number} was never made; it is due again."]
    assert [one.name for one in store.due_syncs(limit=10)] == ["videos"]


def test_a_claim_whose_run_waits_to_be_started_is_kept(world):
    store = world.home.mixsync.store
    claim = store.claim_dispatch(world.sync_id, expected_number=0)
    waiting = {"mixsync/dispatch": str(claim.number)}
    world.run(begun=False, tags=waiting, status=dg.DagsterRunStatus.NOT_STARTED)
    assert world.reap(25) == []
    assert store.due_syncs(limit=10) == []


def test_a_run_whose_end_is_recorded_has_minutes_for_its_last_steps(world):
    run_id = world.run()
    world.home.mixsync.store.unlock(world.sync_id)
    world.home.mixsync.store.give_up_run(run_id, error="ended.")
    assert world.reap(290) == []
    assert len(world.reap(310)) == 1


def test_the_run_of_a_sync_of_another_home_is_left_alone(world):
    run_id = world.run(begun=False, sync_id="sync_of_another_home", process=GONE)
    assert world.reap(10_000) == []
    assert world.status(run_id) == "STARTED"


def test_a_run_with_work_of_others_is_left_alone(world):
    assert [world.run(job=job, begun=False, process=GONE) for job in ("nightly", "__ASSET_JOB")]
    assert world.reap(10_000) == []


def test_a_run_from_an_assets_page_is_ours_when_it_has_that_asset_alone():
    def made(*names):
        return dg.DagsterRun(job_name="__ASSET_JOB", asset_selection=frozenset(dg.AssetKey(name) for name in names))

    assert made("videos") in OURS
    assert made("videos", "features") not in OURS
    assert made("features") not in OURS
    assert dg.DagsterRun(job_name="__ASSET_JOB") not in OURS


def test_a_run_that_ended_meanwhile_keeps_its_end(world, monkeypatch):
    run_id = world.run(process=GONE)
    real = world.instance.get_run_by_id

    def ended(asked):
        monkeypatch.undo()
        world.instance.report_run_canceled(real(asked))
        return real(asked)

    monkeypatch.setattr(world.instance, "get_run_by_id", ended)
    assert world.reap(62) == []
    assert world.status(run_id) == "CANCELED"


def test_its_place_at_the_connection_is_free_again(world):
    storage = world.instance.event_log_storage
    storage.set_concurrency_slots("connection_media_s3", 1)
    run_id = world.run(process=GONE)
    storage.claim_concurrency_slot("connection_media_s3", run_id, "list_items")
    assert storage.get_concurrency_info("connection_media_s3").active_slot_count == 1
    world.reap(62)
    assert storage.get_concurrency_info("connection_media_s3").active_slot_count == 0


def test_the_sensor_runs_by_default_every_minute_and_tells(world):
    sensor = reaper(OURS)
    assert (sensor.minimum_interval_seconds, sensor.default_status) == (60, dg.DefaultSensorStatus.RUNNING)
    with dg.build_sensor_context(instance=world.instance, resources={"mixsync": world.home.mixsync}) as context:
        assert sensor(context).skip_message == "No run has lost its worker."
    absent = MixsyncServices(home=str(world.home.path / "absent"))
    with dg.build_sensor_context(instance=world.instance, resources={"mixsync": absent}) as context:
        assert "run `mixsync init`" in sensor(context).skip_message


def test_a_run_whose_process_is_killed_is_failed_and_its_sync_goes_on(make_home, stored_instance, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        home = make_home(f"http://127.0.0.1:{silent.getsockname()[1]}")
        world = Reaped(home, stored_instance)
        (tmp_path / "run.yaml").write_text("sync: videos\n")
        command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "mixsync_dagster.definitions"]
        environment = {**os.environ, "MIXSYNC_HOME": str(home.path), "DAGSTER_HOME": str(tmp_path / "dagster")}
        worker = subprocess.Popen(
            [*command, "-j", "sync_bucket", "-c", "run.yaml"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            # The source takes the connection and answers nothing: the run is in its listing.
            silent.settimeout(60)
            silent.accept()[0].close()
            (record,) = stored_instance.get_run_records()
            run_id = record.dagster_run.run_id
            assert world.reap(62) == [], "the process works: its lock is only late"
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        assert world.status(run_id) == "STARTED"
        assert world.reap(30) == []
        assert len(world.reap(125)) == 1
        assert world.status(run_id) == "FAILURE"
        store = home.mixsync.store
        assert store.get_run(run_id).status == "interrupted"
        assert [one.name for one in store.due_syncs(limit=10)] == ["videos"]


def test_the_reaper_knows_the_jobs_and_assets_of_the_named_syncs(home):
    home.add("videos")
    definitions = build_definitions(home.mixsync)
    assert "mixsync_reaper" in {sensor.name for sensor in definitions.sensors}
    assert jobs.SYNC_BUCKET in {job.name for job in definitions.resolve_all_job_defs()}
