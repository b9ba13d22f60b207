"""Runs as jobs, and the dead letters that they leave."""

import pytest

from mixsync_dagster_tests.api.serving import run_once


def test_jobs_are_listed_with_their_counts(estate):
    told = estate.owner.done("POST", f"{estate.library.sync}/jobs")
    (job,) = told["results"]
    wanted = {
        "sync_job_id": estate.library.run_id,
        "status": "completed",
        "phase": "idle",
        "total_files": 3,
        "files_synced": 2,
        "files_failed": 1,
        "progress_percent": 100.0,
    }
    assert {name: job[name] for name in wanted} == wanted
    assert told["total"] == 1
    assert estate.owner.done("GET", f"{estate.library.sync}/jobs/{estate.library.run_id}") == job


@pytest.mark.parametrize(("status", "count"), [("completed", 1), ("failed", 0), ("running", 0)])
def test_jobs_are_filtered_by_status(estate, status, count):
    assert estate.owner.done("POST", f"{estate.library.sync}/jobs", {"status": status})["total"] == count


def test_an_unknown_status_is_refused(estate):
    assert estate.owner("POST", f"{estate.library.sync}/jobs", {"status": "done"}).status_code == 422


def test_the_numbers_of_a_sync_say_how_it_does(estate):
    told = estate.owner.done("GET", f"{estate.library.sync}/metrics")
    wanted = {
        "total_files_discovered": 3,
        "total_files_synced": 2,
        "sync_run_counter": 1,
        "stale_after_seconds": 120,
        "is_stale": False,
        "healthy": True,
        "failure_rate": 0.0,
        "dlq_total": 1,
        "dlq_by_error": {"schema_mismatch": 1},
        "running_job": False,
        "stalled": False,
        "stalled_reason": None,
    }
    assert {name: told[name] for name in wanted} == wanted
    assert told["last_job"]["sync_job_id"] == estate.library.run_id
    assert told["seconds_since_last_sync"] >= 0


def test_dead_letters_say_what_failed_and_why(estate):
    told = estate.owner.done("POST", f"{estate.library.sync}/dlq")
    (letter,) = told["results"]
    assert told["total"] == 1
    assert (letter["source_path"], letter["error_type"]) == ("other/c.txt", "schema_mismatch")
    assert (letter["retry_count"], letter["max_retries_reached"]) == (0, False)
    assert "owner" in letter["error_message"]


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"only_max_retries": True}, 0),
        ({"error_types": ["schema_mismatch"]}, 1),
        ({"error_types": ["download_failed", "archived"]}, 0),
    ],
)
def test_dead_letters_are_filtered(estate, body, count):
    assert estate.owner.done("POST", f"{estate.library.sync}/dlq", body)["total"] == count


def test_exhausted_dead_letters_are_requeued(own_estate):
    ask, library = own_estate.owner, own_estate.library
    # Waiting ones are tried again anyway.
    assert ask.done("POST", f"{library.sync}/dlq/requeue") == {"requeued": 0}
    for number in range(2, 5):
        run_once(own_estate.services, library.sync_id, f"run_{number}")
    (letter,) = ask.done("POST", f"{library.sync}/dlq", {"only_max_retries": True})["results"]
    assert (letter["retry_count"], letter["max_retries_reached"]) == (3, True)
    assert ask.done("POST", f"{library.sync}/dlq/requeue", {"error_types": ["archived"]}) == {"requeued": 0}
    assert ask.done("POST", f"{library.sync}/dlq/requeue", {"error_types": ["schema_mismatch"]}) == {"requeued": 1}
    (letter,) = ask.done("POST", f"{library.sync}/dlq")["results"]
    assert (letter["retry_count"], letter["max_retries_reached"]) == (0, False)
    assert letter["requeued_at"] is not None


def test_dead_letters_are_given_up(own_estate):
    ask, path = own_estate.owner, f"{own_estate.library.sync}/dlq"
    assert ask("POST", f"{path}/bulk-mark-failed").status_code == 422
    assert ask("POST", f"{path}/bulk-mark-failed", {"error_types": []}).status_code == 422
    assert ask.done("POST", f"{path}/bulk-mark-failed", {"error_types": ["schema_mismatch"]}) == {"updated": 1}
    assert ask.done("POST", path)["total"] == 0
