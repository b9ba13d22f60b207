"""Plans, why items are or are not in the bucket, and what a run did with each."""

import pytest

from mixsync_dagster.demo.samples import Sample
from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster_tests.api.serving import connection_body, run_once


@pytest.fixture
def explain(estate):
    def explained(path, **params):
        return estate.owner.done("GET", f"{estate.library.sync}/explain", params={"path": path, **params})

    return explained


def test_a_plan_tells_what_a_run_would_do(estate):
    told = estate.owner.done("GET", f"{estate.library.sync}/plan")
    assert told == estate.owner.done("POST", f"{estate.library.sync}/plan")
    counts = {name: told[name] for name in ("complete", "discovered", "create", "replace", "unchanged")}
    assert counts == {"complete": True, "discovered": 3, "create": 1, "replace": 0, "unchanged": 2}
    assert told["examples"]["create"] == ["other/c.txt"]


def test_a_plan_says_when_it_is_of_a_part(estate, monkeypatch):
    from mixsync_dagster.api import explaining
    from mixsync_dagster.engine import dry_run
    from mixsync_dagster.engine.listing import list_items

    monkeypatch.setattr(explaining, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(dry_run, "list_items", lambda view, cursor: cut(list_items(view, cursor)))
    assert estate.owner.done("GET", f"{estate.library.sync}/plan")["complete"] is False


def cut(shards):
    """As if the listing went on behind the first shard."""
    from dataclasses import replace

    yield replace(next(iter(shards)), cursor="further")
    raise AssertionError


def test_few_requests_list_their_sources_at_once(estate):
    from mixsync_dagster.api import explaining

    for _ in range(explaining.LOOKS_AT_ONCE):
        explaining._LOOKS.acquire()
    try:
        path = f"{estate.library.sync}/explain"
        for answer in (
            estate.owner("GET", f"{estate.library.sync}/plan"),
            estate.owner("GET", path, params={"path": "x", "from_source": True}),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
            assert int(answer.headers["Retry-After"]) > 0
        # What asks the store alone waits for nobody.
        assert estate.owner("GET", path, params={"path": "x"}).status_code == 200
    finally:
        for _ in range(explaining.LOOKS_AT_ONCE):
            explaining._LOOKS.release()
    assert estate.owner("GET", f"{estate.library.sync}/plan").status_code == 200


def test_an_item_in_the_bucket_tells_how_it_was_mapped(explain, estate):
    told = explain("films/a.txt")
    assert (told["standing"], told["in_bucket"], told["reason"]) == ("in_bucket", True, "It is in the bucket.")
    assert told["listed"] is None
    values = {one["target"]: one["value"] for one in told["mapping"]}
    assert values == {"owner": "ana", "content": {"filename": "a.txt", "mime_type": "text/plain", "size_bytes": 10}}
    assert explain(told["source_object_id"])["object_id"] == told["object_id"]


def test_an_item_that_failed_tells_why(explain):
    told = explain("other/c.txt", from_source=True)
    assert (told["standing"], told["in_bucket"], told["dead_letter"]["error_type"]) == (
        "failed",
        False,
        "schema_mismatch",
    )
    assert "owner" in told["reason"]
    assert told["listed"]["size_bytes"] == 5


def test_what_the_source_does_not_have_is_told(explain):
    assert explain("films/nowhere.txt")["standing"] == "unknown"
    told = explain("films/nowhere.txt", from_source=True)
    assert (told["standing"], told["listed"]["found"], told["listed"]["complete"]) == ("not_listed", False, True)


def test_an_item_that_a_filter_takes_out_names_the_rule(ask, source):
    ask.done("POST", "/v1/connections", connection_body(source.endpoint_url))
    bucket = ask.done("POST", "/v1/buckets", {"bucket_name": "films"})["bucket_id"]
    filters = {"extensions": [".txt"], "exclude_patterns": ["films/b*"], "min_size_bytes": 6}
    body = {"connection_id": "media", "source_path": BUCKET, "file_filters": filters}
    sync = ask.done("POST", f"/v1/buckets/{bucket}/syncs", body)["sync_config_id"]

    def explained(path, **params):
        return ask.done("GET", f"/v1/buckets/{bucket}/syncs/{sync}/explain", params={"path": path, **params})

    told = explained("films/b [x].txt")
    assert (told["standing"], told["filtered_by"]) == ("filtered", "exclude_patterns")
    assert {one["rule"]: one["passed"] for one in told["filters"]} == {
        "min_size_bytes": None,
        "extensions": True,
        "exclude_patterns": False,
    }
    assert explained("other/c.txt", from_source=True)["filtered_by"] == "min_size_bytes"
    assert explained("films/a.txt", from_source=True)["standing"] == "waiting"
    assert explained("films/a.png")["filtered_by"] == "extensions"


@pytest.mark.parametrize("path", ["", "x" * 4097])
def test_paths_have_bounds(estate, path):
    assert estate.owner("GET", f"{estate.library.sync}/explain", params={"path": path}).status_code == 422
    assert estate.owner("GET", f"{estate.library.sync}/explain").status_code == 422


def test_a_report_tells_what_became_of_each_item(own_estate, source):
    ask, library = own_estate.owner, own_estate.library
    path = f"{library.sync}/runs/{{}}/report"
    first = ask.done("GET", path.format(library.run_id), params={"include_total": True})
    told = {one["source_path"]: one["outcome"] for one in first["results"]}
    assert told == {"films/a.txt": "created", "films/b [x].txt": "created", "other/c.txt": "failed"}
    assert (first["pagination"]["total"], first["counters"]["created"]) == (3, 2)
    failed = next(one for one in first["results"] if one["outcome"] == "failed")
    assert (failed["error_type"], failed["object_id"]) == ("schema_mismatch", None)
    pages, cursor = [], None
    for _ in range(3):
        params = {"limit": 1} | ({} if cursor is None else {"cursor": cursor})
        page = ask.done("GET", path.format(library.run_id), params=params)
        pages += page["results"]
        cursor = page["pagination"]["next_cursor"]
    assert (pages, cursor) == (first["results"], None)
    try:
        source.put(Sample("films/a.txt", b"another one", "text/plain", metadata={"owner": "ana"}))
        run_once(own_estate.services, library.sync_id, "run_second")
    finally:
        source.put(Sample("films/a.txt", b"0123456789", "text/plain", metadata={"owner": "ana"}))
    second = ask.done("GET", path.format("job_2"))["results"]
    assert {one["source_path"]: one["outcome"] for one in second} == {
        "films/a.txt": "updated",
        "other/c.txt": "failed",
    }
    assert [one["source_path"] for one in ask.done("GET", path.format("job_1"))["results"]] == ["films/b [x].txt"]
    assert ask("GET", path.format("job_3")).status_code == 404


def test_removed_items_are_reported(own_estate, source):
    ask, library = own_estate.owner, own_estate.library
    source.put(Sample("films/z.txt", b"last", "text/plain", metadata={"owner": "zoe"}))
    try:
        run_once(own_estate.services, library.sync_id, "run_second")
    finally:
        source.delete("films/z.txt")
    ask.done("PATCH", library.sync, {"reconcile": {"on_delete": True}})
    run_once(own_estate.services, library.sync_id, "run_third")
    told = ask.done("GET", f"{library.sync}/runs/run_third/report")["results"]
    assert ("films/z.txt", "removed") in {(one["source_path"], one["outcome"]) for one in told}


@pytest.mark.parametrize("cursor", ["b2JqX2E", "Y3JlYXRlZDp4"])
def test_a_cursor_of_another_list_is_refused(estate, cursor):
    path = f"{estate.library.sync}/runs/{estate.library.run_id}/report"
    assert estate.owner("GET", path, params={"cursor": cursor}).status_code == 422
