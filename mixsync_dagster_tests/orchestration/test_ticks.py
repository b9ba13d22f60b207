"""Ticks of sensors on a real state store, with Dagster's instance in memory."""

from datetime import timedelta

import dagster as dg
import pytest

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.model.progress import Counters, Outcome, RunRecord
from mixsync_dagster.orchestration import ticks
from mixsync_dagster.orchestration.jobs import PROBE_SYNCS, SYNC_BUCKET, probe_syncs_job
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.orchestration.ticks import Scope, TickCursor, look
from mixsync_dagster.ports.provider import Probe
from mixsync_dagster.ports.state import RunEnd

DISPATCHER = Scope("mixsync_dispatcher", SYNC_BUCKET)


@pytest.fixture
def answers(home, monkeypatch):
    """What probes say, by sync id; the default is that nothing is new."""
    told = {}
    monkeypatch.setattr(
        home.mixsync.services, "probe", lambda sync, _seconds: told.get(sync.sync_config_id, Probe.NOTHING_NEW)
    )
    return told


def has_run(home, sync_id):
    """Let the sync have run a moment ago and be due again, so that only its probe decides."""
    store, now = home.mixsync.store, home.mixsync.services.clock.now()
    lock = store.acquire(sync_id, "w", f"run-of-{sync_id}", ttl_seconds=60)
    store.start_run(lock, RunRecord(f"run-of-{sync_id}", sync_id, "running", "manual", now, None, Counters(), None))
    due = now - timedelta(seconds=1)
    store.finish_run(lock, RunEnd(Outcome.COMPLETED, None, None, "ACTIVE", True, due, successful=True))


def tick(home, instance, cursor=None, scope=DISPATCHER, **options):
    return look(home.mixsync, instance, scope, cursor or TickCursor(), **options)


def test_a_new_sync_is_started_once(home, instance):
    sync_id = home.add()
    (request,) = tick(home, instance).requests
    assert request.run_key == f"{sync_id}:1"
    assert request.run_config == {"sync": sync_id, "full_sync": False}
    assert request.tags["mixsync/sync_config_id"] == sync_id
    assert request.tags["mixsync/dispatch"] == "1"
    assert list(tick(home, instance).requests) == []


def test_an_unchanged_sync_is_no_run_and_due_later(home, instance, answers):
    sync_id = home.add()
    has_run(home, sync_id)
    result = tick(home, instance)
    assert list(result.requests) == []
    assert result.said == "Looked: nothing changed."
    assert tick(home, instance).said == "Nothing is due."
    assert home.mixsync.store.get_sync("videos").next_sync_at > home.mixsync.services.clock.now()


def test_a_tick_says_how_many_syncs_did_not_change(home, instance, answers):
    for name in ("one", "two"):
        has_run(home, home.add(name))
    assert tick(home, instance).said == "Looked at 2 syncs: nothing changed."


def test_a_changed_sync_is_a_run(home, instance, answers):
    sync_id = home.add()
    has_run(home, sync_id)
    answers[sync_id] = Probe.CHANGED
    assert [request.run_key for request in tick(home, instance).requests] == [f"{sync_id}:1"]


def test_what_was_asked_for_is_started_by_the_dispatcher_whoever_serves_the_sync(home, instance, answers):
    sync_id = home.add()
    has_run(home, sync_id)
    home.mixsync.store.postpone(sync_id, home.mixsync.services.clock.now() + timedelta(hours=1))
    home.mixsync.store.request_run(sync_id, full_sync=True)
    others = Scope("d", SYNC_BUCKET, exclude=(sync_id,), requested=True)
    assert list(tick(home, instance, scope=Scope("own", "sync_videos", only=(sync_id,))).requests) == []
    (request,) = tick(home, instance, scope=others).requests
    assert (request.job_name, request.run_config) == (SYNC_BUCKET, {"sync": sync_id, "full_sync": True})
    assert request.tags["mixsync/trigger"] == "manual"
    assert list(tick(home, instance, scope=others).requests) == []


def test_a_named_sync_is_left_to_its_own_sensor(home, instance):
    sync_id = home.add()
    assert list(tick(home, instance, scope=Scope("d", SYNC_BUCKET, exclude=(sync_id,))).requests) == []
    own = tick(home, instance, scope=Scope("continuous_videos", "sync_videos", only=(sync_id,)))
    assert [(request.job_name, request.run_config) for request in own.requests] == [("sync_videos", {})]


def test_what_a_tick_cannot_answer_goes_into_one_probing_run(home, instance, answers):
    ids = [home.add("one"), home.add("two")]
    for sync_id in ids:
        has_run(home, sync_id)
        answers[sync_id] = Probe.UNKNOWN
    result = tick(home, instance)
    (request,) = result.requests
    assert request.job_name == PROBE_SYNCS
    assert sorted(request.run_config["syncs"]) == sorted(ids)
    assert request.run_key == result.cursor.probe


def test_a_schedule_runs_what_it_cannot_probe_in_time(home, instance, answers):
    sync_id = home.add()
    has_run(home, sync_id)
    answers[sync_id] = Probe.UNKNOWN
    result = tick(home, instance, scope=Scope("s", "sync_videos", only=(sync_id,)), dispatch_undecided=True)
    assert [request.job_name for request in result.requests] == ["sync_videos"]


@pytest.fixture
def asked(home, instance, answers):
    """A sync that is being probed by a run: its id, the cursor, and how to end the run."""
    sync_id = home.add()
    has_run(home, sync_id)
    answers[sync_id] = Probe.UNKNOWN
    result = tick(home, instance)
    run = instance.create_run_for_job(
        _probe_job(),
        run_config=result.requests[0].run_config,
        tags={**result.requests[0].tags, "dagster/run_key": result.cursor.probe},
        status=dg.DagsterRunStatus.STARTED,
    )
    return sync_id, result.cursor, run


def _probe_job():
    definitions = dg.Definitions(jobs=[probe_syncs_job()], resources={"mixsync": MixsyncServices()})
    return definitions.resolve_job_def(PROBE_SYNCS)


def test_a_sync_that_is_being_probed_is_not_probed_again(home, instance, asked):
    _, cursor, _ = asked
    result = tick(home, instance, cursor)
    assert list(result.requests) == []
    assert result.cursor == cursor
    assert result.said == "A run of probe_syncs is still looking; its answer counts at a later tick."


def test_what_the_probing_run_found_changed_is_started(home, instance, asked):
    sync_id, cursor, run = asked
    instance.add_run_tags(run.run_id, {"mixsync/changed": sync_id})
    _end(instance, run, dg.DagsterRunStatus.SUCCESS)
    result = tick(home, instance, cursor)
    assert [request.run_key for request in result.requests] == [f"{sync_id}:1"]
    assert result.cursor == TickCursor()


def test_a_probing_run_that_failed_leaves_its_syncs_to_their_runs(home, instance, asked):
    sync_id, cursor, run = asked
    _end(instance, run, dg.DagsterRunStatus.FAILURE)
    assert [request.run_key for request in tick(home, instance, cursor).requests] == [f"{sync_id}:1"]


def _end(instance, run, status):
    kinds = {
        dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
        dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.RUN_FAILURE,
    }
    instance.report_dagster_event(dg.DagsterEvent(kinds[status].value, run.job_name), run_id=run.run_id)


def waiting_run(instance, sync_id):
    instance.create_run_for_job(
        _probe_job(),
        run_config={"syncs": []},
        tags={"mixsync/sync_config_id": sync_id},
        status=dg.DagsterRunStatus.STARTING,
    )


def test_a_sync_whose_run_waits_in_the_queue_gets_no_second_one(home, instance):
    waiting_run(instance, home.add())
    assert list(tick(home, instance).requests) == []


def test_a_long_queue_holds_the_dispatcher_back(home, instance, monkeypatch):
    monkeypatch.setattr(ticks, "MAX_WAITING", 1)
    home.add("one")
    waiting_run(instance, "sync_of_somebody_else")
    result = tick(home, instance)
    assert (list(result.requests), result.said) == (
        [],
        "1 runs wait in Dagster's queue; no more are started meanwhile.",
    )


def test_a_finished_one_time_sync_is_not_due_again(home, instance):
    sync_id = home.add(sync_mode="one_time")
    store, now = home.mixsync.store, home.mixsync.services.clock.now()
    lock = store.acquire(sync_id, "w", "run", ttl_seconds=60)
    store.start_run(lock, RunRecord("run", sync_id, "running", "manual", now, None, Counters(), None))
    store.finish_run(lock, RunEnd(Outcome.COMPLETED, None, None, "COMPLETED", False, None, successful=True))
    assert list(tick(home, instance).requests) == []


def test_a_cursor_comes_back_as_it_was():
    cursor = TickCursor(probe="probe:x:1")
    assert TickCursor.read(cursor.model_dump_json(), "s") == cursor
    assert TickCursor.read(None, "s") == TickCursor()


@pytest.mark.parametrize("text", ["{", '{"version": 2}', '{"unknown": 1}', "[]"])
def test_an_unreadable_cursor_is_an_error_with_a_way_out(text):
    with pytest.raises(ConfigurationError, match="dagster sensor cursor my_sensor --delete"):
        TickCursor.read(text, "my_sensor")
