"""The header Idempotency-Key: what is sent twice is done once and answered twice."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from mixsync_dagster.api import syncs as syncs_api
from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster.errors import StoreUnavailable
from mixsync_dagster_tests.api.serving import Client, connection_body, make_key, opened_home, run_once

KEY = {"headers": {"Idempotency-Key": "a-key-of-mine"}}
_SERVE = """
import os, sys
from pathlib import Path
from mixsync_dagster.settings import Settings
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.api.serving import serving
home = Path(sys.argv[1])
with Services.open(Settings(home=home, database_url=f"sqlite:///{home / 'state.db'}", check_seconds=5)) as services:
    if sys.argv[2] == "dies":
        def die(*_, **__):
            os._exit(9)
        services.store.finish_request = die
    with serving(services) as url:
        print(url, flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def bucket(ask, source):
    ask.done("POST", "/v1/connections", connection_body(source.endpoint_url))
    return ask.done("POST", "/v1/buckets", {"bucket_name": "films"})["bucket_id"]


def sync_body(**more):
    return {"connection_id": "media", "source_path": BUCKET, **more}


def test_a_repeated_create_is_answered_as_the_first_one_was(ask, bucket):
    path = f"/v1/buckets/{bucket}/syncs"
    first = ask("POST", path, sync_body(), **KEY)
    # The sync is another one meanwhile; the answer is not.
    ask.done("PATCH", f"{path}/{first.json()['sync_config_id']}", {"description": "changed"})
    again = ask("POST", path, sync_body(), **KEY)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert ask.done("POST", f"{path}/list")["total"] == 1


def test_every_create_takes_a_key(ask, source):
    def twice(path, body=None):
        first, second = (ask("POST", path, body, **KEY) for _ in range(2))
        assert (first.status_code, first.content) == (200, second.content), first.text
        return first.json()

    twice("/v1/connections", connection_body(source.endpoint_url))
    keys = [{"headers": {"Idempotency-Key": f"key-{number}"}} for number in range(2)]
    made = [ask("POST", "/v1/buckets", {"bucket_name": "films"}, **keys[0]).json() for _ in range(2)]
    assert made[0] == made[1]
    path = f"/v1/buckets/{made[0]['bucket_id']}/syncs"
    sync = [ask("POST", path, sync_body(), **keys[1]).json() for _ in range(2)]
    assert sync[0] == sync[1]
    assert ask.done("POST", "/v1/connections/list")["total"] == ask.done("POST", "/v1/buckets/list")["total"] == 1


def test_both_paths_of_connections_are_one_operation(ask, source):
    body = connection_body(source.endpoint_url, test_before_save=False)
    first = ask("POST", "/v1/connections", body, **KEY)
    assert ask("POST", "/v1/organizations/connections", body, **KEY).content == first.content


def test_nothing_of_the_request_is_kept_as_it_was(ask, source, services):
    body = connection_body(source.endpoint_url, test_before_save=False)
    ask.done("POST", "/v1/connections", body, **KEY)
    with services.store._database.read() as tx:
        [row] = tx.rows("SELECT * FROM idempotency")
    secret = body["provider_config"]["credentials"]["secret_access_key"]
    assert secret not in json.dumps(row)


def test_a_trigger_that_is_repeated_after_its_run_asks_for_no_other(ask, bucket, services):
    sync = ask.done("POST", f"/v1/buckets/{bucket}/syncs", sync_body())["sync_config_id"]
    path = f"/v1/buckets/{bucket}/syncs/{sync}/trigger"
    first = ask.done("POST", path, **KEY)
    assert (first["status"], first["sync_job_id"]) == ("dispatched", "job_1")
    begin_run(services, sync)
    assert ask.done("POST", path, **KEY) == first
    assert list(services.store.requested_syncs(limit=5)) == []


def begin_run(services, sync):
    """Run what was asked for, as a daemon does."""
    dispatch = services.store.claim_dispatch(sync, expected_number=services.store.dispatch_number(sync))
    assert services.store.take_up_dispatch(sync, dispatch.number)
    run_once(services, sync)


def test_a_trigger_whose_answer_was_lost_asks_for_no_second_run(ask, bucket, services, monkeypatch):
    sync = ask.done("POST", f"/v1/buckets/{bucket}/syncs", sync_body())["sync_config_id"]
    path = f"/v1/buckets/{bucket}/syncs/{sync}/trigger"
    asked = type(services.store).request_run

    def lost(self, *args, **more):
        asked(self, *args, **more)
        raise StoreUnavailable("the answer was lost")

    monkeypatch.setattr(type(services.store), "request_run", lost)
    assert ask("POST", path, **KEY).status_code == 503
    monkeypatch.undo()
    begin_run(services, sync)
    told = ask.done("POST", path, **KEY)
    assert (told["sync_job_id"], told["status"]) == ("job_1", "dispatched")
    assert list(services.store.requested_syncs(limit=5)) == []
    assert ask.done("GET", path.replace("/trigger", "/jobs/job_1"))["status"] == "completed"


def test_a_key_for_another_request_is_refused_at_the_header(ask, bucket):
    path = f"/v1/buckets/{bucket}/syncs"
    ask.done("POST", path, sync_body(), **KEY)
    for other in (sync_body(name="other"), None):
        answer = ask("POST", path, other, **KEY)
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "idempotency_key_reused"
        assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]
    assert ask("POST", "/v1/buckets", sync_body(), **KEY).json()["error"]["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("refused", [{"source_path": "nowhere-at-all"}, {"batch_size": 0}])
def test_a_refused_request_leaves_its_key_free(ask, bucket, refused):
    path = f"/v1/buckets/{bucket}/syncs"
    assert ask("POST", path, sync_body(**refused), **KEY).status_code == 422
    assert "Idempotent-Replayed" not in ask("POST", path, sync_body(), **KEY).headers
    assert ask.done("POST", f"{path}/list")["total"] == 1


def test_a_conflict_is_not_kept(ask, bucket):
    path = f"/v1/buckets/{bucket}/syncs"
    taken = ask.done("POST", path, sync_body(name="films"))["sync_config_id"]
    assert ask("POST", path, sync_body(name="films"), **KEY).status_code == 409
    ask.done("DELETE", f"{path}/{taken}")
    assert ask("POST", path, sync_body(name="films"), **KEY).status_code == 200


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_keys_have_bounds(ask, key):
    answer = ask("POST", "/v1/buckets", {"bucket_name": "x"}, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["header", "Idempotency-Key"])


def test_keys_of_others_are_others(services, url):
    callers = [Client(url, make_key(services, namespace)) for namespace in ("alpha", "alpha", "beta")]
    made = {
        one.done("POST", "/v1/buckets", {"bucket_name": f"b{n}"}, **KEY)["bucket_id"] for n, one in enumerate(callers)
    }
    assert len(made) == 3


def test_a_request_at_the_same_time_is_told_to_wait(ask, bucket, monkeypatch):
    entered, leave = threading.Event(), threading.Event()
    admit = syncs_api.admit_sync

    def slow(*args, **more):
        entered.set()
        assert leave.wait(20)
        return admit(*args, **more)

    monkeypatch.setattr(syncs_api, "admit_sync", slow)
    path = f"/v1/buckets/{bucket}/syncs"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, "POST", path, sync_body(), **KEY)
        assert entered.wait(20)
        second = ask("POST", path, sync_body(), **KEY)
        leave.set()
        assert first.result().status_code == 200
    assert (second.status_code, second.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert second.headers["Retry-After"] == "1"
    assert ask("POST", path, sync_body(), **KEY).content == first.result().content


def test_after_an_outage_the_repeat_finds_what_was_made(ask, bucket, services, monkeypatch):
    created = type(services.store).create_sync

    def lost(self, sync):
        created(self, sync)
        raise StoreUnavailable("the answer was lost")

    path = f"/v1/buckets/{bucket}/syncs"
    monkeypatch.setattr(type(services.store), "create_sync", lost)
    assert ask("POST", path, sync_body(), **KEY).status_code == 503
    monkeypatch.undo()
    assert ask("POST", path, sync_body(), **KEY).status_code == 200
    assert ask.done("POST", f"{path}/list")["total"] == 1


def served(home, how):
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(home), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    return process, Client(process.stdout.readline().strip())


def test_a_second_process_goes_on_where_the_first_one_died(tmp_path):
    with opened_home(tmp_path) as services:
        home = services.settings.home
        dying, first = served(home, "dies")
        living, second = served(home, "lives")
        try:
            body = {"bucket_name": "films"}
            with pytest.raises(httpx.RemoteProtocolError):
                first("POST", "/v1/buckets", body, **KEY)
            assert dying.wait(20) == 9
            assert second("POST", "/v1/buckets", body, **KEY).json()["error"]["code"] == "idempotency_key_in_use"
            with services.store._database.write() as tx:
                # As if the time had passed for which the first process is thought to be at work.
                tx.run("UPDATE idempotency SET held_until = 0")
            done = second.done("POST", "/v1/buckets", body, **KEY)
            assert second.done("POST", "/v1/buckets", body, **KEY) == done
            assert [one["bucket_id"] for one in second.done("POST", "/v1/buckets/list")["results"]] == [
                done["bucket_id"]
            ]
        finally:
            for process in (dying, living):
                process.communicate("stop\n" if process is living else None, timeout=30)
