"""Syncs: every check before one is made, and what may be done to it."""

import pytest

from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster_tests.api.serving import connection_body, run_once


@pytest.fixture
def bucket(ask, source):
    """A bucket, and a connection named media."""
    ask.done("POST", "/v1/connections", connection_body(source.endpoint_url))
    return ask.done("POST", "/v1/buckets", {"bucket_name": "films"})["bucket_id"]


@pytest.fixture
def make(ask, bucket):
    """Make a sync and return it."""

    def made(**more):
        return ask.done(
            "POST", f"/v1/buckets/{bucket}/syncs", {"connection_id": "media", "source_path": BUCKET, **more}
        )

    return made


def problem(answer):
    assert answer.status_code == 422, answer.text
    return answer.json()["error"]["details"]["problems"][0]


def test_a_sync_has_the_defaults_of_the_contract(ask, make, bucket):
    made = make(source_path=f"{BUCKET}/films", metadata={"project": "x"})
    assert made["sync_config_id"].startswith("sync_")
    wanted = {
        "bucket_id": bucket,
        "source_path": f"{BUCKET}/films",
        "sync_mode": "continuous",
        "polling_interval_seconds": 300,
        "batch_size": 50,
        "skip_batch_submission": False,
        "skip_duplicates": True,
        "status": "PENDING",
        "is_active": True,
        "locked": False,
        "paused": False,
        "metadata": {"project": "x"},
        "namespace_id": "ns_default",
        "internal_id": "int_local",
    }
    assert {name: made[name] for name in wanted} == wanted
    assert made["next_sync_at"] is not None
    assert ask.done("GET", f"/v1/buckets/films/syncs/{made['sync_config_id']}") == made


@pytest.mark.parametrize("word", ["continuous", "one_time", "initial_only", "scheduled"])
def test_the_mode_is_told_in_the_word_that_was_given(make, word):
    assert make(sync_mode=word)["sync_mode"] == word


def test_the_vendors_client_sends_these_with_every_sync(make):
    sent = {"polling_interval_seconds": 300, "batch_size": 50, "skip_batch_submission": False, "skip_duplicates": True}
    assert make(**sent)["batch_size"] == 50


def test_extensions_come_back(make):
    assert list(make(file_filters={"extensions": [".txt"]})["file_filters"]["extensions"]) == [".txt"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"source_path": f"{BUCKET}/nothing-here"}, "source_path"),
        ({"source_path": "no-such-bucket-anywhere"}, "source_path"),
        ({"source_path": ""}, "source_path"),
        ({"polling_interval_seconds": 29}, "polling_interval_seconds"),
        ({"polling_interval_seconds": "60"}, "polling_interval_seconds"),
        ({"batch_size": 101}, "batch_size"),
        ({"sync_mode": "sometimes"}, "sync_mode"),
        ({"metadata": {str(number): 1 for number in range(51)}}, "metadata"),
        ({"file_filters": {"extension": [".mp4"]}}, "file_filters.extension"),
        ({"file_filters": {"min_size_bytes": 5, "max_size_bytes": 1}}, "file_filters.min_size_bytes"),
        ({"colour": "blue"}, "colour"),
        ({"ingest_filter": {}}, "ingest_filter"),
        ({"schema_mapping": {"mappings": {"x": None}}}, "schema_mapping.mappings.x"),
        (
            {
                "schema_mapping": {
                    "mappings": {"x": {"target_type": "field", "source": {"type": "column", "name": "a"}}}
                }
            },
            "schema_mapping.mappings.x.source.type",
        ),
        (
            {
                "schema_mapping": {
                    "mappings": {"x": {"target_type": "field", "source": {"type": "filename_regex", "pattern": "("}}}
                }
            },
            "schema_mapping.mappings.x.source.pattern",
        ),
    ],
)
def test_a_sync_that_cannot_work_is_refused_at_the_field(ask, bucket, more, field):
    body = {"connection_id": "media", "source_path": BUCKET, **more}
    told = problem(ask("POST", f"/v1/buckets/{bucket}/syncs", body))
    assert told["field"] == field
    assert told["message"].startswith(field)
    assert ask.done("POST", f"/v1/buckets/{bucket}/syncs/list")["total"] == 0


def test_a_mapping_that_does_not_fit_the_bucket_is_refused(ask, bucket):
    schema = {"properties": {"content": {"type": "text"}, "year": {"type": "integer", "required": True}}}
    strict = ask.done("POST", "/v1/buckets", {"bucket_name": "strict", "bucket_schema": schema})["bucket_id"]
    mapping = {"mappings": {"content": {"target_type": "blob", "source": {"type": "file"}, "blob_type": "image"}}}
    body = {"connection_id": "media", "source_path": BUCKET, "schema_mapping": mapping}
    assert problem(ask("POST", f"/v1/buckets/{strict}/syncs", body))["field"].startswith("schema_mapping")


@pytest.mark.parametrize("connection", ["conn_000000000000000", "nothing"])
def test_an_unknown_connection_is_absent(ask, bucket, connection):
    answer = ask("POST", f"/v1/buckets/{bucket}/syncs", {"connection_id": connection, "source_path": BUCKET})
    assert answer.status_code == 404


def test_a_connection_that_is_not_active_serves_no_new_sync(ask, bucket):
    ask.done("PATCH", "/v1/connections/media", {"is_active": False})
    answer = ask("POST", f"/v1/buckets/{bucket}/syncs", {"connection_id": "media", "source_path": BUCKET})
    assert problem(answer)["field"] == "connection_id"
    assert "SUSPENDED" in answer.text


def test_a_provider_that_does_not_answer_is_told_at_the_connection(ask, bucket):
    body = connection_body("http://127.0.0.1:9", "silent", test_before_save=False)
    ask.done("POST", "/v1/connections", body)
    answer = ask("POST", f"/v1/buckets/{bucket}/syncs", {"connection_id": "silent", "source_path": BUCKET})
    assert problem(answer)["field"] == "connection_id"


def test_names_of_syncs_are_unique(ask, make, bucket):
    make(name="films")
    body = {"connection_id": "media", "source_path": BUCKET, "name": "films"}
    assert ask("POST", f"/v1/buckets/{bucket}/syncs", body).status_code == 409


def test_lists_are_filtered_and_newest_come_first(ask, make, bucket):
    made = [make(source_path=path)["sync_config_id"] for path in (BUCKET, f"{BUCKET}/films", f"{BUCKET}/other")]
    path = f"/v1/buckets/{bucket}/syncs"
    ask.done("POST", f"{path}/{made[1]}/pause")

    def listed(body=None):
        return [one["sync_config_id"] for one in ask.done("POST", f"{path}/list", body)["results"]]

    assert listed() == made[::-1]
    assert listed({}) == made[::-1]
    assert listed({"is_active": False}) == [made[1]]
    assert listed({"status": "paused"}) == [made[1]]
    assert listed({"status": "PENDING"}) == [made[2], made[0]]
    assert listed({"connection_id": "conn_000000000000000"}) == []
    assert listed({"status": "PENDING", "is_active": False}) == []
    assert problem(ask("POST", f"{path}/list", {"colour": "blue"}))["field"] == "colour"


def test_both_styles_of_paging_see_every_sync_once(ask, make, bucket):
    made = [make()["sync_config_id"] for _ in range(5)][::-1]
    path = f"/v1/buckets/{bucket}/syncs/list"

    def page(**params):
        return ask.done("POST", path, params=params)

    def ids(told):
        return [one["sync_config_id"] for one in told["results"]]

    first = page(page=1, page_size=2, include_total=True)
    assert (ids(first), first["total"]) == (made[:2], 5)
    assert first["pagination"] == {
        "total": 5,
        "page": 1,
        "page_size": 2,
        "total_pages": 3,
        "next_page": "2",
        "previous_page": None,
        "next_cursor": first["pagination"]["next_cursor"],
    }
    assert ids(page(page=3, page_size=2)) == made[4:]
    assert page(page=3, page_size=2)["pagination"]["next_page"] is None
    assert ids(page(limit=2, offset=1)) == made[1:3]
    assert ids(page(limit=2, offset=5)) == []
    assert page(limit=2)["pagination"]["total"] is None
    assert page(limit=5)["pagination"]["next_cursor"] is None
    seen, cursor = [], None
    for name in ("cursor", "after", "next_cursor"):
        told = page(limit=2, **({} if cursor is None else {name: cursor}))
        seen += ids(told)
        cursor = told["pagination"]["next_cursor"]
    assert (seen, cursor) == (made, None)


def test_an_empty_body_with_a_content_type_lists_everything(ask, make, bucket):
    make()
    for headers in ({"Content-Type": "application/json"}, {}):
        answer = ask("POST", f"/v1/buckets/{bucket}/syncs/list", headers=headers, content=b"")
        assert answer.json()["total"] == 1


def test_a_change_counts_and_what_a_sync_is_stays(ask, make):
    made = make()
    path = f"/v1/buckets/films/syncs/{made['sync_config_id']}"
    changed = ask.done("PATCH", path, {"batch_size": 10, "description": "all films", "metadata": {"a": 1}})
    assert (changed["batch_size"], changed["description"], changed["metadata"]) == (10, "all films", {"a": 1})
    assert ask.done("PATCH", path, {"description": ""})["description"] is None
    for field in ("connection_id", "source_path", "sync_mode", "file_filters", "skip_duplicates"):
        answer = ask("PATCH", path, {field: made[field]})
        assert problem(answer)["field"] == field
        assert "create a new sync" in answer.text
    assert ask("PATCH", path, {}).status_code == 400
    assert ask.done("PATCH", path, {"is_active": False})["status"] == "SUSPENDED"
    assert ask.done("PATCH", path, {"status": "ACTIVE"})["paused"] is False


def test_pausing_resuming_and_triggering(ask, make):
    path = f"/v1/buckets/films/syncs/{make()['sync_config_id']}"
    paused = ask.done("POST", f"{path}/pause")
    assert (paused["status"], paused["paused"], paused["is_active"]) == ("SUSPENDED", True, False)
    assert (paused["pause_reason"], paused["next_sync_at"]) == ("user", None)
    refused = ask("POST", f"{path}/trigger")
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "ConflictError")
    assert ask.done("POST", f"{path}/pause")["paused"] is True
    resumed = ask.done("POST", f"{path}/resume")
    assert (resumed["status"], resumed["paused"], resumed["is_active"]) == ("PENDING", False, True)
    assert ask.done("POST", f"{path}/resume")["paused"] is False


def test_a_triggered_run_is_told_of_from_the_start(ask, services, make):
    sync = make()["sync_config_id"]
    path = f"/v1/buckets/films/syncs/{sync}"
    for number in (1, 2):
        told = ask.done("POST", f"{path}/trigger")
        assert (told["status"], told["sync_config_id"], told["full_sync"]) == ("dispatched", sync, False)
        job = f"{path}/jobs/{told['sync_job_id']}"
        queued = ask.done("GET", job)
        assert (queued["status"], queued["phase"], queued["started_at"]) == ("running", "queued", None)
        assert [one.sync_config_id for one in services.store.requested_syncs(limit=5)] == [sync]
        run = run_once(services, sync, f"run_{number}")
        done = ask.done("GET", job)
        assert (done["status"], done["phase"], done["sync_run_id"]) == ("completed", "idle", run)
        assert done["sync_job_id"] == told["sync_job_id"]
    assert ask.done("GET", f"{path}/jobs/job_1")["sync_run_id"] == "run_1"
    for absent in ("job_0", "job_4", "job_", "job_99999999999999", "run_3"):
        assert ask("GET", f"{path}/jobs/{absent}").status_code == 404


@pytest.mark.parametrize("word", ["true", "false"])
def test_a_trigger_of_a_running_sync_is_skipped(ask, services, make, word):
    sync = make()["sync_config_id"]
    services.store.acquire(sync, "there:1", "run_x", ttl_seconds=60)
    path = f"/v1/buckets/films/syncs/{sync}"
    told = ask.done("POST", f"{path}/trigger", params={"full_sync": word})
    assert (told["status"], told["full_sync"]) == ("skipped_already_running", word == "true")
    assert ask.done("GET", path)["pending_full_sync"] is (word == "true")
    assert ask.done("GET", path)["locked"] is True
    unlocked = ask.done("POST", f"{path}/unlock")
    assert unlocked == {"success": True, "was_locked": True, "previous_worker_id": "there:1"}
    assert ask.done("POST", f"{path}/unlock")["was_locked"] is False


def test_a_deleted_sync_is_gone_and_its_objects_stay(own_estate):
    ask, library = own_estate.owner, own_estate.library
    assert ask.done("DELETE", library.sync) == {"message": "Successfully deleted", "success": True}
    assert ask("GET", library.sync).status_code == 404
    assert ask("DELETE", library.sync).status_code == 404
    assert len(ask.done("POST", f"/v1/buckets/{library.bucket_id}/objects/list")["results"]) == 2
