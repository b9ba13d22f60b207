"""Batches at the service: made, remembered, submitted once each, and no draft left, whatever answers get lost."""

import pytest

from mixsync_dagster.errors import StoreUnavailable
from mixsync_dagster.model.identifiers import object_id_for
from mixsync_dagster.model.objects import BatchMember
from mixsync_dagster_tests.buckets.mixpeek.drafting import BUCKET, draft, passing_time, put


def test_an_outage_while_a_batch_is_submitted_is_no_outage_of_the_source(service, harness):
    put(harness, draft(harness, "a.txt"))
    service.faults.add("batch_create", status=503, times=None)
    with pytest.raises(StoreUnavailable, match="failed to answer"):
        submit(harness, "btch_1", "a.txt")


def submit(harness, batch_id, *paths, version="1"):
    members = [BatchMember(object_id_for(BUCKET, "s3", path), version) for path in paths]
    harness.catalog.attempts[batch_id] = harness.catalog.attempts.get(batch_id, 0) + 1
    return harness.bucket.submit_batch(batch_id, members, idempotency_key=batch_id)


def test_a_batch_takes_two_calls(service, harness):
    put(harness, draft(harness, "a.txt"))
    service.forget_exchanges()
    task_id = submit(harness, "btch_1", "a.txt").task_id
    assert [one.kind for one in service.exchanges] == ["batch_create", "batch_submit"]
    assert [one.record["task_id"] for one in harness.there.batches.values()] == [task_id]


@pytest.mark.parametrize("kind", ["batch_create", "batch_submit"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_answer_submits_no_second_batch_and_leaves_no_draft(service, harness, kind, times):
    service.faults.list_lag_seconds = 1.5
    passing_time(service, harness)
    put(harness, draft(harness, "a.txt"))
    service.faults.add(kind, lost=True, times=times)
    first = submit(harness, "btch_1", "a.txt")
    harness.reopen()
    assert submit(harness, "btch_1", "a.txt") == first
    assert [(one.record["status"], one.submit_requests) for one in harness.there.batches.values()] == [("COMPLETED", 1)]


def test_a_draft_that_a_crash_left_is_found_and_submitted(service, harness):
    put(harness, draft(harness, "a.txt"))
    service.faults.add("batch_create", lost=True)
    service.faults.add("batch_list", status=500, times=None)
    with pytest.raises(StoreUnavailable):
        submit(harness, "btch_1", "a.txt")
    service.faults.clear()
    harness.reopen()
    submit(harness, "btch_1", "a.txt")
    assert [one.record["status"] for one in harness.there.batches.values()] == ["PENDING"]


def test_a_draft_that_was_taken_away_is_made_anew(service, harness):
    put(harness, draft(harness, "a.txt"))
    service.faults.add("batch_submit", status=500, times=None)
    with pytest.raises(StoreUnavailable):
        submit(harness, "btch_1", "a.txt")
    service.faults.clear()
    service.advance(31 * 60)
    assert submit(harness, "btch_1", "a.txt").task_id is not None
    assert (len(service.reaped), len(harness.there.batches)) == (1, 1)


def test_members_that_were_replaced_since_are_left_to_the_batch_of_their_replacement(service, harness):
    put(harness, draft(harness, "a.txt"), draft(harness, "b.txt"))
    put(harness, draft(harness, "a.txt", "2", b"world"))
    submit(harness, "btch_1", "a.txt", "b.txt")
    [batch] = harness.there.batches.values()
    assert batch.record["object_ids"] == [harness.catalog.remote[object_id_for(BUCKET, "s3", "b.txt")]]
    assert submit(harness, "btch_2", "a.txt").task_id is None
    assert len(harness.there.batches) == 1
