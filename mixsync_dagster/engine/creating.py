"""Stage 6: stream the bytes of planned items into the bucket, put their objects, and commit what was done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mixsync_dagster.engine.context import SyncRun
from mixsync_dagster.engine.dead_letters import RETRY
from mixsync_dagster.engine.mapping import ERROR_MESSAGE, ERROR_TYPE, FIELDS, PERMANENT, is_vanished
from mixsync_dagster.engine.planning import ACTION, Action
from mixsync_dagster.engine.transfers import Task, Transferred, transfer_all
from mixsync_dagster.errors import Conflict, ItemError
from mixsync_dagster.model.identifiers import object_id_for
from mixsync_dagster.model.items import Shard, SourceItem, items_of
from mixsync_dagster.model.objects import Blob, Draft, PutResult, PutStatus, StoredBlob
from mixsync_dagster.model.progress import Checkpoint, Commit, Counters, Failure, Intent
from mixsync_dagster.ports.bucket import PutFailure


def create_objects(run: SyncRun, shard: Shard) -> Counters:
    """Do the shard's work, commit it unit by unit, and return what was done.

    The position after the shard is committed with its last unit. When the run's cap is reached, what lies beyond it is
    left for the next run and the position stays before the shard; further shards are then left alone. Raises LockLost,
    RateLimited or ProviderUnavailable when patience is exhausted, StoreUnavailable; what was committed stays.
    """
    checkpoint = run.tools.store.load_checkpoint(run.sync.sync_config_id)
    if checkpoint is None:
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
        self._total = Counters()
        self._drafts: list[tuple[int, Draft]] = []
        self._placed: list[PutResult] = []
        self._moved: list[PutResult] = []
        self._failed: list[Failure] = []
        self._vanished: list[str] = []
        self._bytes = 0
        self._since = run.tools.clock.monotonic()
        sync = run.sync
        self._put_size = max(
            sync.batch_size, min(sync.batch_size * run.tools.bucket.units_at_once, sync.resume_checkpoint_frequency)
        )

    def carry_out(self, budget: int) -> Counters:
        """Work on at most `budget` items and return what was done."""
        tasks = self._prepare(budget)
        self._run.tools.reporter.planned(len(tasks), sum(task.item.size_bytes or 0 for task in tasks))
        movable = self._movable(tasks)
        self._move([task for task in tasks if task.number in movable])
        contents = [task for task in tasks if task.number not in movable]
        if self._run.mapping.blobs:
            self._transfer(contents)
        else:
            for task in self._announced(contents):
                self._draft(task, None)
        self._put_units()
        self._commit(last=self._shard.table.num_rows <= budget)
        return self._total

    def _prepare(self, budget: int) -> list[Task]:
        """Return the tasks within the budget; items that have failed already are recorded as failures."""
        table = self._shard.table.slice(0, budget)
        columns = [
            table.column(name).to_pylist() for name in (ACTION, RETRY, FIELDS, ERROR_TYPE, ERROR_MESSAGE, PERMANENT)
        ]
        bucket_id, provider = self._run.sync.bucket_id, self._run.tools.provider_name
        tasks: list[Task] = []
        lost: list[tuple[SourceItem, bool, str, str, bool]] = []
        for number, (item, action, retry, fields, error_type, message, permanent) in enumerate(
            zip(items_of(table), *columns, strict=True)
        ):
            if item.unreadable is not None and action != Action.MOVE:
                # Before the mapping's failure, which is only that of attributes that were not asked for.
                sentence = f"the storage says that its bytes cannot be read now: {item.unreadable}."
                lost.append((item, retry, item.unreadable, sentence, True))
            elif error_type is not None:
                lost.append((item, retry, error_type, message, permanent))
            else:
                object_id = object_id_for(bucket_id, provider, item.source_object_id)
                tasks.append(Task(number, object_id, item, action, fields, retry))
        self._count_retries([item.source_object_id for item, retry, *_ in lost if retry])
        for item, _, error_type, message, permanent in lost:
            self._fail(item, error_type, message, permanent=permanent)
        for one in self._shard.rejected:
            self._fail(
                SourceItem(one.source_object_id, one.path, version=""),
                one.error_type,
                one.message,
                permanent=True,
            )
        return tasks

    def _movable(self, tasks: Sequence[Task]) -> set[int]:
        """Return which tasks only change an object; a duplicate has none of its own, so its bytes are read again."""
        numbers = {self._object_id(task): task.number for task in tasks if task.action == Action.MOVE}
        found = self._run.tools.bucket.find_objects(list(numbers)) if numbers else ()
        return {numbers[stored.object_id] for stored in found}

    def _object_id(self, task: Task) -> str:
        return object_id_for(self._run.sync.bucket_id, self._run.tools.provider_name, task.item.source_object_id)

    def _move(self, tasks: Sequence[Task]) -> None:
        for task in self._announced(tasks):
            draft = self._drafted(task, [])
            self._moved.append(PutResult(draft, PutStatus.REPLACED, draft.object_id))

    def _transfer(self, tasks: Sequence[Task]) -> None:
        tools = self._run.tools
        results = transfer_all(
            self._announced(tasks),
            self._store,
            clock=tools.clock,
            cap=min(self._run.sync.sync_concurrency or tools.limits.concurrency, tools.limits.concurrency),
            inflight_bytes=tools.limits.inflight_bytes,
        )
        for parcel in results:
            for one in parcel:
                self._settle(one)

    def _store(self, item: SourceItem) -> StoredBlob:
        tools = self._run.tools
        return tools.pacer.call(lambda: tools.bucket.store_blob(tools.provider.read(item)))

    def _settle(self, result: Transferred) -> None:
        if result.error is not None:
            self._fail_by(result.task.item, result.error)
        elif result.stored is not None:
            self._bytes += result.stored.size_bytes
            self._draft(result.task, result.stored)
        self._commit_if_due()

    def _announced(self, tasks: Sequence[Task]) -> Iterator[Task]:
        """Yield the tasks, recording intents and counting retries before the first of each group is begun."""
        group = self._run.sync.resume_checkpoint_frequency
        for first in range(0, len(tasks), group):
            members = tasks[first : first + group]
            self._run.tools.store.record_intents(
                self._run.lock,
                [Intent(task.object_id, task.item.source_object_id, task.item.version) for task in members],
            )
            self._count_retries([task.item.source_object_id for task in members if task.retry])
            self._run.passing("announced")
            yield from members

    def _count_retries(self, source_object_ids: Sequence[str]) -> None:
        if source_object_ids:
            self._run.tools.store.count_retries(self._run.lock, source_object_ids)

    def _drafted(self, task: Task, blobs: Sequence[Blob]) -> Draft:
        return Draft(
            object_id=task.object_id,
            bucket_id=self._run.sync.bucket_id,
            source_provider=self._run.tools.provider_name,
            item=task.item,
            fields={} if task.fields == "{}" else json.loads(task.fields),
            blobs=blobs,
        )

    def _draft(self, task: Task, stored: StoredBlob | None) -> None:
        blobs = [] if stored is None else self._run.mapping.blobs_of(task.item, stored)
        self._drafts.append((task.number, self._drafted(task, blobs)))
        if len(self._drafts) >= self._put_size:
            self._put_units()

    def _put_units(self) -> None:
        if not self._drafts:
            return
        # In listing order, so that of several items with the same bytes the same one becomes the object.
        drafts = [draft for _, draft in sorted(self._drafts, key=lambda entry: entry[0])]
        self._drafts = []
        self._run.passing("stored")
        skip = self._run.sync.skip_duplicates and not self._run.tools.provider.capabilities.rows
        for answer in self._run.tools.bucket.put_objects(drafts, skip_duplicates=skip):
            if isinstance(answer, PutFailure):
                self._fail_by(answer.draft.item, answer.error)
            else:
                self._placed.append(answer)
        self._run.passing("put")

    def _fail_by(self, item: SourceItem, error: ItemError) -> None:
        self._fail(item, error.error_type, str(error), permanent=error.permanent)

    def _fail(self, item: SourceItem, error_type: str, message: str, *, permanent: bool) -> None:
        if is_vanished(error_type):
            self._vanished.append(item.source_object_id)
        else:
            self._failed.append(Failure(item, error_type, message, permanent))

    def _commit_if_due(self) -> None:
        waiting = len(self._drafts) + len(self._placed) + len(self._failed)
        tools = self._run.tools
        if waiting and (
            waiting >= self._run.sync.resume_checkpoint_frequency
            or tools.clock.monotonic() - self._since >= tools.limits.commit_seconds
        ):
            self._put_units()
            self._commit(last=False)

    def _commit(self, *, last: bool) -> None:
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
                listed_to_end=shard.cursor is None,
            )
            self._vanished += shard.vanished
            if shard.removed is not None:
                missing = shard.removed.column("source_object_id").to_pylist()
            if shard.listed is not None:
                listed = shard.listed.column("source_object_id").to_pylist()
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
                for_batches=not self._run.sync.skip_batch_submission,
                checkpoint=checkpoint,
                counters=counters,
            ),
        )
        self._run.passing("committed")
        self._checkpoint = checkpoint
        self._total += counters
        self._run.tools.reporter.progressed(counters)
        self._placed, self._moved, self._failed, self._vanished, self._bytes = [], [], [], [], 0
        self._since = self._run.tools.clock.monotonic()

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
