"""Stage 6: stream the bytes of planned items into the bucket, put their objects, and commit what was done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from mixsync_dagster.engine.announcing import Announcing
from mixsync_dagster.engine.attempts import Attempts
from mixsync_dagster.engine.contents import Contents
from mixsync_dagster.engine.context import SyncRun
from mixsync_dagster.engine.mapping import is_vanished
from mixsync_dagster.engine.refusals import refusals_in
from mixsync_dagster.engine.stages import stage
from mixsync_dagster.engine.tasks import Task
from mixsync_dagster.engine.transfers import Transferred, transfer_all
from mixsync_dagster.errors import (
    ConfigurationError,
    Conflict,
    ItemError,
    StoreUnavailable,
    Throttled,
)
from mixsync_dagster.model.items import Shard, SourceItem
from mixsync_dagster.model.objects import Blob, Draft, PutResult, PutStatus
from mixsync_dagster.model.progress import (
    Checkpoint,
    Commit,
    Counters,
    Failure,
    PassKind,
)
from mixsync_dagster.ports.bucket import PutFailure


@stage("create_objects")
def create_objects(run: SyncRun, shard: Shard) -> Counters:
    """Do the shard's work, commit it unit by unit, and return what was done.

    The position after the shard is committed with its last unit. When the run's cap is reached, what lies beyond it is
    left for the next run and the position stays before the shard; further shards are then left alone. Raises LockLost,
    RateLimited or ProviderUnavailable when patience is exhausted or most items of a commit unit fail, StoreUnavailable;
    what was committed stays, and no retry counts that one of these, or refused credentials, cut short.
    """
    checkpoint = run.tools.store.load_checkpoint(run.sync.sync_config_id)
    if checkpoint is None:
        # Whoever took the lock over may have ended the pass; then this raises LockLost.
        run.tools.store.renew(run.lock, ttl_seconds=run.tools.limits.lease_seconds)
        raise Conflict(f"sync {run.sync.name} has no pass under way; start a run first.")
    budget = run.sync.max_objects_per_run - checkpoint.objects_processed
    if budget <= 0:
        return Counters()
    return _Creation(run, shard, checkpoint).carry_out(budget)


class _Creation:
    """The work on one shard: what is gathered for the next put, and for the next commit."""

    def __init__(self, run: SyncRun, shard: Shard, checkpoint: Checkpoint) -> None:
        self._run = run
        self._shard = shard
        self._checkpoint = checkpoint
        self._attempts = Attempts(run)
        self._contents = Contents(run, self._attempts)
        self._announcing = Announcing(run, self._attempts, self._fail, self._move)
        self._total = Counters()
        self._drafts: list[tuple[int, Draft]] = []
        self._placed: list[PutResult] = []
        self._moving: list[Draft] = []
        self._moved: list[PutResult] = []
        self._failed: list[Failure] = []
        self._vanished: list[str] = []
        # Known before anything is transferred, and true whatever becomes of the rest of the shard.
        self._refused = refusals_in(shard.refused)
        self._forgotten: Sequence[str] = _ids(shard.forgotten)
        self._bytes = 0
        self._since = run.tools.clock.monotonic()
        sync = run.sync
        self._put_size = max(
            sync.batch_size, min(sync.batch_size * run.tools.bucket.units_at_once, sync.resume_checkpoint_frequency)
        )

    def carry_out(self, budget: int) -> Counters:
        """Work on at most `budget` items and return what was done."""
        try:
            self._carry_out(budget)
        except (Throttled, ConfigurationError, StoreUnavailable):
            self._attempts.take_back()
            raise
        return self._total

    def _carry_out(self, budget: int) -> None:
        rows = self._shard.table.slice(0, budget)
        self._run.tools.reporter.planned(rows.num_rows, pc.sum(rows.column("size_bytes")).as_py() or 0)
        for one in self._shard.rejected:
            item = SourceItem(one.source_object_id, one.path, version="")
            self._fail(Failure(item, one.error_type, one.message, permanent=True))
        self._work_on(self._without_suspects(rows))
        self._put_units()
        self._commit(last=self._shard.table.num_rows <= budget)

    def _without_suspects(self, rows: pa.Table) -> pa.Table:
        """Work on the first rows in small groups, each committed before the next is begun, and return the rest.

        Only after a run whose worker died. Were one of the items that were under way the reason, the next worker dies
        with half as many under way, until that item is alone and counts as failed (see begin_run).
        """
        size, first = max(1, self._run.ticket.suspects // 2), 0
        if not self._run.ticket.suspects:
            return rows
        while size < self._run.sync.resume_checkpoint_frequency and first < rows.num_rows:
            self._work_on(rows.slice(first, size))
            self._put_units()
            self._commit(last=False)
            first += size
            size *= 2
        return rows.slice(first)

    def _work_on(self, rows: pa.Table) -> None:
        tasks = self._announcing.tasks(rows)
        if self._run.mapping.has_blobs:
            self._transfer(tasks)
        else:
            for task in tasks:
                self._draft(task, ())
                self._commit_if_due()

    def _transfer(self, tasks: Iterator[Task]) -> None:
        tools = self._run.tools
        results = transfer_all(
            tasks,
            self._contents.bring,
            clock=tools.clock,
            width=self._run.width,
            inflight_bytes=tools.limits.inflight_bytes,
        )
        for parcel in results:
            for one in parcel:
                self._settle(one)

    def _settle(self, result: Transferred) -> None:
        self._attempts.note(result.error, retry=result.task.retry)
        if result.error is not None:
            self._fail_by(result.task.item, result.error)
        elif result.content is not None:
            self._bytes += result.content.size_bytes
            self._draft(result.task, result.content.blobs)
        self._commit_if_due()

    def _drafted(self, task: Task, blobs: Sequence[Blob]) -> Draft:
        return Draft(
            object_id=task.object_id,
            bucket_id=self._run.sync.bucket_id,
            source_provider=self._run.tools.provider_name,
            item=task.item,
            fields={} if task.fields == "{}" else json.loads(task.fields),
            blobs=blobs,
        )

    def _draft(self, task: Task, blobs: Sequence[Blob]) -> None:
        self._drafts.append((task.number, self._drafted(task, blobs)))
        if len(self._drafts) >= self._put_size or self._run.tools.bucket.full:
            self._put_units()

    def _move(self, task: Task) -> None:
        self._moving.append(self._drafted(task, []))

    def _put_units(self) -> None:
        if self._moving:
            moving, self._moving = self._moving, []
            self._take(self._run.tools.bucket.update_objects(moving), self._moved)
        if not self._drafts:
            return
        # In listing order, so that of several items with the same bytes the same one becomes the object.
        drafts = [draft for _, draft in sorted(self._drafts, key=lambda entry: entry[0])]
        self._drafts = []
        self._run.passing("stored")
        skip = self._run.sync.skip_duplicates and not self._run.tools.provider.capabilities.rows
        self._take(self._run.tools.bucket.put_objects(drafts, skip_duplicates=skip), self._placed)
        self._run.passing("put")

    def _take(self, answers: Sequence[PutResult | PutFailure], done: list[PutResult]) -> None:
        for answer in answers:
            if isinstance(answer, PutFailure):
                self._fail_by(answer.draft.item, answer.error)
            else:
                done.append(answer)

    def _fail_by(self, item: SourceItem, error: ItemError) -> None:
        self._fail(Failure(item, error.error_type, str(error), error.permanent))

    def _fail(self, failure: Failure) -> None:
        if is_vanished(failure.error_type):
            self._vanished.append(failure.item.source_object_id)
        else:
            self._failed.append(failure)

    def _commit_if_due(self) -> None:
        waiting = len(self._drafts) + len(self._placed) + len(self._failed)
        tools = self._run.tools
        timely = tools.clock.monotonic() - self._since >= tools.limits.commit_seconds
        if waiting and (
            waiting >= self._run.sync.resume_checkpoint_frequency or (timely and not self._attempts.undecided)
        ):
            self._put_units()
            self._commit(last=False)

    def _commit(self, *, last: bool) -> None:
        outage = self._attempts.outage()
        if outage is not None:
            # What was put is true whatever ails the source. The position stays, so that the others are met again.
            last, self._failed, self._vanished = False, [], []
        done = len(self._placed) + len(self._moved) + len(self._failed) + len(self._vanished)
        counters = self._counted()
        checkpoint = replace(self._checkpoint, objects_processed=self._checkpoint.objects_processed + done)
        missing: Sequence[str] = ()
        listed: Sequence[str] = ()
        if last:
            shard = self._shard
            counters += Counters(
                discovered=shard.discovered,
                filtered=shard.verdicts,
                unchanged=shard.unchanged,
                quarantined=shard.quarantined,
            )
            checkpoint = replace(
                checkpoint,
                cursor=shard.cursor,
                shards_done=checkpoint.shards_done + 1,
                listed_to_end=shard.cursor is None if shard.gone is None else shard.caught_up,
            )
            if shard.feed_head is not None:
                checkpoint = replace(checkpoint, kind=PassKind.FULL_LISTING, feed_head=shard.feed_head)
            self._vanished += shard.settled
            missing, listed = _ids(shard.removed), _ids(shard.listed)
        if self._placed:
            self._run.tools.bucket.make_durable()
        self._run.passing("committing")
        self._run.tools.store.commit(
            self._run.lock,
            Commit(
                placed=self._placed,
                moved=self._moved,
                failed=self._failed,
                vanished=self._vanished,
                missing=missing,
                listed=listed,
                refused=self._refused,
                forgotten=self._forgotten,
                for_batches=not self._run.sync.skip_batch_submission,
                checkpoint=checkpoint,
                counters=counters,
            ),
        )
        self._run.passing("committed")
        self._checkpoint = checkpoint
        self._attempts.commit(self._settled_ids())
        self._total += counters
        self._run.tools.reporter.progressed(counters)
        self._placed, self._moved, self._failed, self._vanished, self._bytes = [], [], [], [], 0
        self._refused, self._forgotten = (), ()
        self._since = self._run.tools.clock.monotonic()
        if outage is not None:
            raise outage

    def _settled_ids(self) -> Iterator[str]:
        for result in (*self._placed, *self._moved):
            yield result.draft.item.source_object_id
        for failure in self._failed:
            yield failure.item.source_object_id
        yield from self._vanished

    def _counted(self) -> Counters:
        statuses = dict.fromkeys(PutStatus, 0)
        for result in self._placed:
            statuses[result.status] += 1
        return Counters(
            created=statuses[PutStatus.CREATED] + statuses[PutStatus.ALREADY_PRESENT],
            replaced=statuses[PutStatus.REPLACED],
            duplicates=statuses[PutStatus.DUPLICATE],
            moved=len(self._moved),
            failed=len(self._failed),
            bytes=self._bytes,
        )


def _ids(table: pa.Table | None) -> Sequence[str]:
    return () if table is None else table.column("source_object_id").to_pylist()
