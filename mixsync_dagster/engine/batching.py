"""Stage 7: cut new object versions into batches and hand each over for processing exactly once."""

from __future__ import annotations

from mixsync_dagster.engine.context import SyncRun
from mixsync_dagster.engine.stages import stage
from mixsync_dagster.model.progress import Counters

_PAGE = 100


@stage("submit_batches")
def submit_batches(run: SyncRun) -> Counters:
    """Seal the sync's pending objects into batches and submit every batch that is sealed and not yet submitted.

    A batch's id follows from its members and is its idempotency key, so that a submission repeated after a crash is
    the same submission. Returns the number submitted. Raises what the bucket raises; what is sealed stays to be
    submitted by the next run.
    """
    store, bucket, sync = run.tools.store, run.tools.bucket, run.sync
    if sync.skip_batch_submission:
        return Counters()
    store.seal_batches(run.lock, chunk_size=sync.effective_batch_chunk_size, include_partial=True)
    run.passing("sealed")
    total = Counters()
    while entries := store.pending_submissions(sync.sync_config_id, limit=_PAGE):
        for entry in entries:
            store.claim_submission(run.lock, entry.batch_id)
            run.passing("claimed")
            submitted = run.tools.pacer.call(
                lambda entry=entry: bucket.submit_batch(  # type: ignore[misc]  # the default binds this turn's entry
                    entry.batch_id, store.batch_members(entry.batch_id), idempotency_key=entry.batch_id
                )
            )
            run.passing("submitted")
            step = Counters(batches_created=1)
            store.record_submission(run.lock, entry.batch_id, submitted.task_id, step)
            total += step
    return total
