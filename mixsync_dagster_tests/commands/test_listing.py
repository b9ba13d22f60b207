import subprocess
import sys

import pytest


@pytest.fixture
def landed(live, mixsync):
    """Three objects, and a run that made them."""
    live()
    assert mixsync("run", "live").status == 0


def test_empty_lists_say_what_to_do(home, mixsync):
    assert mixsync("syncs").out == "There is no sync yet; `mixsync apply` makes them from YAML files.\n"
    assert mixsync("syncs", "--json").out == ""


def test_a_sync_that_never_ran_is_listed_without_runs(media, mixsync):
    assert mixsync("syncs", "--json").lines[0]["status"] == "PENDING"
    assert mixsync("runs", "videos").out == "Sync videos has not run yet; start it by `mixsync run videos`.\n"
    assert mixsync("dlq", "videos").out == "Sync videos has no dead letters.\n"
    assert mixsync("objects", "bkt_media").out == "Bucket bkt_media is empty.\n"


def test_syncs_of_one_bucket(media, mixsync):
    assert [one["name"] for one in mixsync("syncs", "--bucket", "bkt_media", "--json").lines] == ["videos"]
    assert mixsync("syncs", "--bucket", "bkt_other").status == 2


def test_objects_are_json_lines_with_the_documented_names(landed, mixsync):
    found = mixsync("objects", "bkt_live", "--json").lines
    assert sorted(one["source_path"] for one in found) == ["folder/a.txt", "folder/b [x].txt", "other/c.txt"]
    one = next(one for one in found if one["source_path"] == "folder/a.txt")
    assert one["fields"] == {"owner": "ana"}
    assert [(blob["property"], blob["size_bytes"]) for blob in one["blobs"]] == [("content", 5)]


def test_a_table_shows_names_as_they_are(landed, mixsync):
    table = mixsync("objects", "bkt_live").out
    assert "folder/b [x].txt" in table


def test_objects_go_on_after_an_id(landed, mixsync):
    ids = [one["object_id"] for one in mixsync("objects", "bkt_live", "--json").lines]
    assert ids == sorted(ids)
    rest = mixsync("objects", "bkt_live", "--after", ids[0], "--limit", "1", "--json").lines
    assert [one["object_id"] for one in rest] == [ids[1]]
    assert "1 of 3 objects" in mixsync("objects", "bkt_live", "--limit", "1").out


def test_objects_of_one_sync(landed, mixsync):
    assert len(mixsync("objects", "bkt_live", "--sync", "live", "--json").lines) == 3


def test_runs_and_batches(landed, mixsync):
    runs = mixsync("runs", "live", "--json").lines
    assert [(run["status"], run["created"], run["batches_created"]) for run in runs] == [("completed", 3, 1)]
    batches = mixsync("batches", "bkt_live", "--json").lines
    assert [(batch["state"], batch["size"]) for batch in batches] == [("submitted", 3)]
    assert "completed" in mixsync("runs", "live").out
    assert "submitted" in mixsync("batches", "bkt_live").out


def test_cat_writes_the_bytes(landed, mixsync):
    found = mixsync("objects", "bkt_live", "--json").lines
    object_id = next(one["object_id"] for one in found if one["source_path"] == "folder/a.txt")
    command = [sys.executable, "-m", "mixsync_dagster.cli", "cat", "bkt_live", object_id]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"alpha", b"")


def test_cat_of_what_is_not_there_is_told(landed, mixsync):
    done = mixsync("cat", "bkt_live", "obj_absent")
    assert (done.status, done.err) == (
        2,
        "mixsync: bucket bkt_live has no object obj_absent; `mixsync objects bkt_live` lists them.\n",
    )
    object_id = mixsync("objects", "bkt_live", "--json").lines[0]["object_id"]
    done = mixsync("cat", "bkt_live", object_id, "--blob", "poster")
    assert (done.status, done.err) == (2, f"mixsync: object {object_id} has no blob poster; its blobs are content.\n")


def test_syncs_tell_their_health_as_json(live, mixsync):
    live(required="true")
    assert mixsync("run", "live").status == 3
    [told] = mixsync("syncs", "--json").lines
    health = told["health"]
    assert (health["dead_letters_waiting"], health["dead_letters_quarantined"]) == (1, 0)
    assert (health["lag_seconds"], health["oldest_unsubmitted_seconds"], health["lock_age_seconds"]) == (
        0.0,
        None,
        None,
    )
    assert health["last_full_pass_at"] == told["last_sync_at"].replace("Z", "+00:00")
