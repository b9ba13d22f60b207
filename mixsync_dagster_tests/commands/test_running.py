import signal
import subprocess
import sys

from mixsync_dagster.commands.running import worker_id
from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster.wiring import Services


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
