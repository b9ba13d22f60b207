"""Batches: drafts that are submitted once, processed in the background, or taken away when nobody submits them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixsync_dagster.testing.mixpeek_simulator.answers import Answer, Refused, Request
from mixsync_dagster.testing.mixpeek_simulator.books import DRAFT_SECONDS, Batch, Bucket, Task, token, told

if TYPE_CHECKING:
    from mixsync_dagster.testing.mixpeek_simulator.simulator import MixpeekSimulator


def create(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Make a draft of objects that exist."""
    object_ids = request.json().get("object_ids")
    if not isinstance(object_ids, list) or not object_ids or not all(isinstance(one, str) for one in object_ids):
        raise Refused(422, "ValidationError", "object_ids: give at least one")
    missing = [one for one in object_ids if one not in bucket.objects]
    if missing and request.query.get("skip_validation") != "true":
        raise Refused(404, "NotFoundError", f"object {missing[0]} does not exist")
    now = simulator.now()
    record = {
        "batch_id": token("btch_", 12),
        "bucket_id": bucket.record["bucket_id"],
        "status": "DRAFT",
        "object_ids": object_ids,
        "type": "BUCKET",
        "task_id": None,
        "error": None,
        "metadata": {},
        "created_at": told(now),
        "updated_at": told(now),
    }
    bucket.batches[record["batch_id"]] = Batch(record, now)
    return Answer.of(record)


def get(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Return one batch."""
    return Answer.of(_batch_of(simulator, bucket, request).record)


def listing(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Return batches of a status, newest first; what is younger than the lag is not told."""
    _reap(simulator, bucket)
    body = request.json()
    offset, limit, status = body.get("offset", 0), body.get("limit", 100), body.get("status")
    if not isinstance(limit, int) or not 1 <= limit <= 1000 or not isinstance(offset, int) or offset < 0:  # noqa: PLR2004
        raise Refused(422, "ValidationError", "offset or limit is not accepted")
    seen_before = simulator.now() - simulator.faults.list_lag_seconds
    found = [
        one.record
        for one in reversed(bucket.batches.values())
        if one.created_at <= seen_before and status in (None, one.record["status"])
    ]
    return Answer.of({"results": found[offset : offset + limit], "total_count": len(found)})


def delete(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Delete one batch."""
    batch = _batch_of(simulator, bucket, request)
    del bucket.batches[batch.record["batch_id"]]
    return Answer.of({"message": "Successfully deleted", "success": True})


def submit(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Begin the processing of a draft; anything else cannot be submitted."""
    batch = _batch_of(simulator, bucket, request)
    batch.submit_requests += 1
    if batch.record["status"] != "DRAFT":
        raise Refused(400, "BadRequestError", f"batch {batch.record['batch_id']} is {batch.record['status']}")
    now = simulator.now()
    batch.submitted_at = now
    record: dict[str, Any] = {
        "task_id": token("task_", 16),
        "task_type": "api_buckets_batches_process",
        "status": "PENDING",
        "inputs": [batch.record["batch_id"]],
        "additional_data": {"batch_id": batch.record["batch_id"]},
    }
    batch.record.update(status="PENDING", task_id=record["task_id"], updated_at=told(now))

    def work() -> str:
        status = "FAILED" if simulator.faults.failing_batches else "COMPLETED"
        error = "the simulated processing failed" if status == "FAILED" else None
        batch.record.update(status=status, error=error)
        record.update(error=error)
        for object_id in batch.record["object_ids"]:
            if object_id in bucket.objects:
                bucket.objects[object_id]["status"] = status
        return status

    simulator.begin_task(Task(record, now + simulator.faults.batch_seconds, work))
    return Answer.of(dict(record))


def get_task(simulator: MixpeekSimulator, request: Request) -> Answer:
    """Return one task; nothing but the key is needed for it."""
    task = simulator.tasks.get(request.groups["id"])
    if task is None:
        raise Refused(404, "NotFoundError", f"task {request.groups['id']} does not exist")
    return Answer.of(task.record)


def _batch_of(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Batch:
    _reap(simulator, bucket)
    batch = bucket.batches.get(request.groups["id"])
    if batch is None:
        raise Refused(404, "NotFoundError", f"batch {request.groups['id']} does not exist")
    return batch


def _reap(simulator: MixpeekSimulator, bucket: Bucket) -> None:
    """Take away drafts that nobody submitted in time."""
    oldest = simulator.now() - DRAFT_SECONDS
    late: list[Any] = [
        batch_id
        for batch_id, one in bucket.batches.items()
        if one.record["status"] == "DRAFT" and one.created_at < oldest
    ]
    for batch_id in late:
        simulator.reaped.append(batch_id)
        del bucket.batches[batch_id]
