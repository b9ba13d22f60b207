from datetime import UTC, datetime

from mixsync_dagster.control.presenting import batch_form, dead_letter_form, object_form, run_form
from mixsync_dagster.model.objects import Batch, Blob, StoredObject
from mixsync_dagster.model.progress import Counters, DeadLetter, RunRecord

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 12, 0, 2, 500000, tzinfo=UTC)


def run(**values):
    known = {"sync_run_id": "r", "sync_config_id": "s", "status": "completed", "trigger": "manual"}
    times = {"started_at": NOON, "completed_at": LATER}
    return RunRecord(**known | times | {"counters": Counters(created=2), "error": None} | values)


def test_a_run_shows_its_counters_beside_the_rest():
    form = run_form(run())
    documented = [
        "sync_run_id",
        "sync_config_id",
        "status",
        "trigger",
        "started_at",
        "completed_at",
        "duration_seconds",
        "discovered",
        "filtered",
        "created",
        "replaced",
        "moved",
        "unchanged",
        "removed",
        "failed",
        "bytes",
        "batches_created",
        "rate_limit_hits",
        "error",
    ]
    assert set(documented) <= set(form)
    assert (form["duration_seconds"], form["created"], form["started_at"]) == (2.5, 2, "2026-01-01T12:00:00+00:00")


def test_a_run_under_way_has_no_duration():
    form = run_form(run(completed_at=None, status="running"))
    assert (form["completed_at"], form["duration_seconds"]) == (None, None)


def test_an_object_shows_fields_and_blobs():
    blob = Blob("content", "text", "a.txt", "text/plain", 3, "0" * 64)
    form = object_form(
        StoredObject("obj_a", "bkt_a", "s3", "m/a.txt", "a.txt", "v1", "active", {"k": [1]}, (blob,), None, NOON, LATER)
    )
    assert form["fields"] == {"k": [1]}
    assert form["blobs"] == [
        {
            "property": "content",
            "type": "text",
            "filename": "a.txt",
            "mime_type": "text/plain",
            "size_bytes": 3,
            "sha256": "0" * 64,
        }
    ]
    assert (form["state"], form["batch_id"], form["updated_at"]) == ("active", None, "2026-01-01T12:00:02.500000+00:00")


def test_batches_and_dead_letters_are_json_values():
    batch = batch_form(Batch("btch_a", "s", "bkt_a", 3, "submitted", "task", NOON, None))
    assert (batch["created_at"], batch["submitted_at"], batch["size"]) == ("2026-01-01T12:00:00+00:00", None, 3)
    letter = dead_letter_form(
        DeadLetter("dlq_a", "s", "m/a", "a", "v1", "waiting", 1, "archived", "it is archived", NOON, LATER)
    )
    assert (letter["error_type"], letter["retry_count"], letter["last_seen_at"]) == (
        "archived",
        1,
        "2026-01-01T12:00:02.500000+00:00",
    )
