"""Parts of every list, by both styles of paging."""

import pytest

from mixsync_dagster.demo.samples import Sample
from mixsync_dagster_tests.api.serving import connection_body, run_once


def all_ids(ask, path, key, size):
    """What the cursors of a list lead through."""
    seen, cursor = [], None
    while True:
        page = ask.done("POST", path, params={"limit": size} | ({} if cursor is None else {"cursor": cursor}))
        seen += [one[key] for one in page["results"]]
        cursor = page["pagination"]["next_cursor"]
        if cursor is None:
            return seen


def numbered(ask, path, key, size, count):
    """What the pages of a list tell."""
    pages = [
        ask.done("POST", path, params={"page": number, "page_size": size, "include_total": True})
        for number in range(1, -(-count // size) + 1)
    ]
    assert {page["pagination"]["total"] for page in pages} == {count}
    assert [page["pagination"]["next_page"] is None for page in pages] == [False] * (len(pages) - 1) + [True]
    return [one[key] for page in pages for one in page["results"]]


def test_connections_are_paged(ask, source):
    made = [
        ask.done("POST", "/v1/connections", connection_body(source.endpoint_url, f"c{number}", test_before_save=False))
        for number in range(5)
    ]
    newest = [one["connection_id"] for one in made][::-1]
    path = "/v1/connections/list"
    assert all_ids(ask, path, "connection_id", 2) == numbered(ask, path, "connection_id", 2, 5) == newest
    ask.done("DELETE", "/v1/connections/c2")
    ask.done("PATCH", "/v1/connections/c4", {"is_active": False})
    assert ask.done("POST", path)["total"] == 4
    assert [one["name"] for one in ask.done("POST", path, {"is_active": False})["results"]] == ["c4"]
    assert ask.done("POST", path, {"status": "ACTIVE", "provider_type": "s3"})["total"] == 3
    assert ask.done("POST", path, {"provider_type": "tigris"})["total"] == 0


def test_buckets_are_paged(ask):
    made = sorted(ask.done("POST", "/v1/buckets", {"bucket_name": f"b{n}"})["bucket_id"] for n in range(5))
    path = "/v1/buckets/list"
    assert all_ids(ask, path, "bucket_id", 2) == numbered(ask, path, "bucket_id", 2, 5) == made


def test_jobs_and_batches_are_paged(own_estate):
    ask, library = own_estate.owner, own_estate.library
    runs = [run_once(own_estate.services, library.sync_id, f"run_{number}") for number in range(4)]
    path = f"{library.sync}/jobs"
    wanted = [*runs[::-1], library.run_id]
    assert all_ids(ask, path, "sync_job_id", 2) == numbered(ask, path, "sync_job_id", 2, 5) == wanted
    assert ask.done("POST", path, {"status": "completed"})["total"] == 5
    assert ask.done("POST", path, {"status": "running"})["total"] == 0
    batches = f"/v1/buckets/{library.bucket_id}/batches/list"
    assert all_ids(ask, batches, "batch_id", 1) == [library.batch_id]
    assert ask.done("POST", batches, {"status": "COMPLETED", "sync_config_id": library.sync_id})["total_count"] == 1
    assert ask.done("POST", batches, {"status": "PENDING"})["total_count"] == 0
    assert ask.done("POST", batches, {"status": "ACTIVE"})["total_count"] == 0
    assert ask("POST", batches, {"sync_config_id": "sync_000000000000000"}).status_code == 404


def test_dead_letters_are_paged_on_request(own_estate, source):
    ask, library = own_estate.owner, own_estate.library
    for number in range(2):
        source.put(Sample(f"other/without-owner-{number}.txt", b"x", "text/plain"))
    try:
        run_once(own_estate.services, library.sync_id, "run_second")
    finally:
        for number in range(2):
            source.delete(f"other/without-owner-{number}.txt")
    path = f"{library.sync}/dlq"
    whole = ask.done("POST", path)
    assert (whole["total"], len(whole["results"]), whole["pagination"]["next_cursor"]) == (3, 3, None)
    assert all_ids(ask, path, "dlq_id", 2) == [one["dlq_id"] for one in whole["results"]]
    assert ask("POST", path, params={"limit": 1001}).status_code == 422
    assert ask("POST", path, params={"offset": 1}).status_code == 422


def test_objects_are_filtered(estate):
    path = f"/v1/buckets/{estate.library.bucket_id}/objects/list"

    def listed(**body):
        told = estate.owner.done("POST", path, body, params={"include_total": True})
        assert told["pagination"]["total"] == len(told["results"])
        return {one["source_path"] for one in told["results"]}

    both = {"films/a.txt", "films/b [x].txt"}
    assert listed(source_path_prefix="films/") == listed(batch_id=estate.library.batch_id) == both
    assert listed(source_path_prefix="films/b [") == {"films/b [x].txt"}
    assert listed(updated_before="2020-01-01T00:00:00Z") == set()
    assert listed(updated_after="2020-01-01T00:00:00Z") == both
    assert estate.owner("POST", path, {"batch_id": "btch_none"}).status_code == 404
    assert estate.owner("POST", path, {"updated_after": "yesterday"}).status_code == 422


@pytest.mark.parametrize("of", ["/v1/connections/list", "/batches/list", "/syncs/list", "/jobs"])
def test_a_cursor_of_another_list_is_refused(estate, of):
    library = estate.library
    bucket = f"/v1/buckets/{library.bucket_id}"
    path = {"/jobs": f"{library.sync}/jobs"}.get(of, of if of.startswith("/v1") else bucket + of)
    cursor = estate.owner.done("POST", f"{bucket}/objects/list", params={"limit": 1})["pagination"]["next_cursor"]
    answer = estate.owner("POST", path, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "cursor"])
