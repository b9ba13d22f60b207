import signal
import subprocess
import sys

import pytest

from mixsync_dagster.commands.running import worker_id
from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.commands.conftest import LIVE
from mixsync_dagster_tests.control.support import applied
from mixsync_dagster_tests.support.s3_servers import ACCESS_KEY, SECRET_KEY


def test_a_run_ends_with_its_counters(live, mixsync):
    live()
    done = mixsync("run", "live", "--json")
    assert done.status == 0
    record = done.lines[0]
    assert (record["status"], record["created"], record["trigger"], record["error"]) == ("completed", 3, "manual", None)
    again = mixsync("run", "live", "--full", "--json").lines[0]
    assert (again["created"], again["unchanged"]) == (0, 3)


def test_a_run_shows_a_table_to_people(live, mixsync):
    live()
    shown = mixsync("run", "live").out
    assert "status" in shown
    assert "completed" in shown


def test_failed_items_make_status_3(live, mixsync):
    live(required="true")
    done = mixsync("run", "live", "--json")
    assert (done.status, done.lines[0]["status"], done.lines[0]["failed"]) == (3, "completed_with_errors", 1)


def test_a_missing_source_path_fails_the_run_with_its_reason(live, mixsync):
    live("no-such-bucket")
    done = mixsync("run", "live", "--json")
    assert (done.status, done.lines[0]["status"]) == (1, "failed")
    assert done.err.startswith("mixsync: ")
    assert "no-such-bucket" in done.err
    assert [run["status"] for run in mixsync("runs", "live", "--json").lines] == ["failed"]


def test_a_sync_that_another_worker_runs_is_status_4(live, mixsync):
    live()
    with Services.open() as services:
        sync_config_id = services.store.get_sync("live").sync_config_id
        services.store.acquire(sync_config_id, "somebody", "run_a", ttl_seconds=60)
    done = mixsync("run", "live")
    assert (done.status, "is being run by worker somebody" in done.err) == (4, True)


def test_a_paused_sync_is_not_run(live, mixsync):
    live()
    mixsync("pause", "live")
    done = mixsync("run", "live")
    assert done.status == 2
    assert "resume it with `mixsync resume live`" in done.err
    assert mixsync("runs", "live", "--json").out == ""


def test_an_unknown_sync_is_told_with_the_nearest_name(media, mixsync):
    assert mixsync("run", "vidoes").err == "mixsync: there is no sync vidoes; did you mean videos?\n"


def test_a_plan_writes_nothing(live, mixsync):
    live()
    told = mixsync("plan", "live", "--json").lines[0]
    assert (told["create"], told["remove"], told["size_bytes"]) == (3, 0, 14)
    shown = mixsync("plan", "live").out
    assert "folder/a.txt" in shown
    assert "14 B to transfer" in shown
    assert mixsync("objects", "bkt_live", "--json").out == ""


def test_check_tests_a_sync_and_a_connection_by_its_syncs(live, mixsync):
    live(f"{BUCKET}/folder")
    for target in ("live", "local-s3"):
        done = mixsync("check", target, "--json")
        assert (done.status, done.lines) == (
            0,
            [
                {
                    "sync": "live",
                    "source_path": f"{BUCKET}/folder",
                    "success": True,
                    "message": "the source path can be listed",
                }
            ],
        )


def test_a_failed_check_is_status_1(live, mixsync):
    live(f"{BUCKET}/absent")
    done = mixsync("check", "live")
    assert done.status == 1
    assert "failed" in done.out


@pytest.fixture
def at(home):
    """Define a sync of a path at an endpoint, with the keys of a test or with others."""

    def define(endpoint_url, source_path=BUCKET, *, key="AKIATEST", secret="a-secret-of-the-test"):
        text = LIVE.format(endpoint_url=endpoint_url, source_path=source_path, required="false")
        with Services.open() as services:
            applied(services, text.replace("{env: MEDIA_KEY}", key).replace("{env: MEDIA_SECRET}", secret))

    return define


def failures(done):
    """What each sync's check came to, and that it is a failure for scripts."""
    assert done.status == 1
    assert not any(line["success"] for line in done.lines)
    return [line["message"] for line in done.lines]


def test_a_missing_bucket_fails_the_check(live, mixsync):
    live("no-such-bucket")
    assert failures(mixsync("check", "live", "--json")) == [
        "The bucket no-such-bucket does not exist at this endpoint (status 404 NoSuchBucket)."
    ]


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"key": ACCESS_KEY, "secret": "another-secret"}, "SignatureDoesNotMatch"),
        ({"key": "AKIDOTHER00000000001", "secret": SECRET_KEY}, "InvalidAccessKeyId"),
    ],
)
def test_wrong_keys_fail_check_and_run_in_one_sentence(at, mixsync, seaweedfs_bucket, keys, code):
    at(seaweedfs_bucket.server.endpoint_url, seaweedfs_bucket.name, **keys)
    sentence = f"The service does not accept the access key, its secret or its session token (status 403 {code})."
    assert failures(mixsync("check", "live", "--json")) == [sentence]
    done = mixsync("run", "live", "--json")
    assert (done.status, done.lines[0]["status"], done.err) == (1, "failed", f"mixsync: {sentence}\n")


def test_an_endpoint_where_nothing_listens_fails_the_check(at, mixsync):
    at("http://127.0.0.1:9")
    assert failures(mixsync("check", "local-s3", "--json")) == [
        "127.0.0.1 cannot be reached or does not answer (NewConnectionError)."
    ]


def test_an_endpoint_where_nothing_listens_fails_the_run_within_the_time_that_it_promises(at, mixsync, monkeypatch):
    at("http://127.0.0.1:9")
    clock = SimulatedClock()
    monkeypatch.setattr("mixsync_dagster.wiring.SystemClock", lambda: clock)
    done = mixsync("run", "live", "--json")
    assert (done.status, done.err) == (
        1,
        "mixsync: 127.0.0.1 cannot be reached or does not answer (NewConnectionError).\n",
    )
    assert done.lines[0]["error"] is not None
    assert len(clock.slept) == 5
    assert done.lines[0]["duration_seconds"] <= 31


def test_an_endpoint_that_never_answers_fails_the_check_in_time(at, mixsync, silent_endpoint, monkeypatch):
    monkeypatch.setenv("MIXSYNC_CHECK_SECONDS", "0.2")
    at(silent_endpoint)
    assert failures(mixsync("check", "live", "--json")) == [
        "There was no answer within 0.2 seconds (MIXSYNC_CHECK_SECONDS)."
    ]


def test_a_connection_that_is_suspended_fails_the_check_without_a_request(live, mixsync):
    live()
    with Services.open() as services:
        connection = services.store.get_connection("local-s3")
        suspended = connection.model_copy(update={"status": TaskStatus.SUSPENDED})
        services.store.save_connection(suspended, credentials=None)
    assert failures(mixsync("check", "live", "--json")) == [
        "connection local-s3 is SUSPENDED and may not be used; activate it first."
    ]


def test_check_of_an_unknown_name_is_told(media, mixsync):
    assert mixsync("check", "media-s4").status == 2


def test_a_worker_is_called_by_host_and_process():
    import os

    assert worker_id().endswith(f":{os.getpid()}")


def test_a_signal_leaves_an_interrupted_run_that_the_next_one_completes(live, mixsync, many, monkeypatch):
    live(many)
    monkeypatch.setenv("MIXSYNC_SYNC_CONCURRENCY", "1")
    command = [sys.executable, "-m", "mixsync_dagster.cli", "run", "live", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with Services.open() as services:
        sync_config_id = services.store.get_sync("live").sync_config_id
        while services.store.load_checkpoint(sync_config_id) is None:
            assert process.poll() is None, process.stderr.read()
            services.clock.sleep(0.02)
        services.clock.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, "")
        assert err == "mixsync: interrupted; the state is consistent and the next run goes on from it.\n"
        assert services.store.list_runs(sync_config_id)[0].status == "interrupted"
        assert not services.store.get_sync("live").locked
    record = mixsync("run", "live", "--json").lines[0]
    assert record["status"] == "completed"
    assert len(mixsync("objects", "bkt_live", "--limit", "1000", "--json").lines) == 200
