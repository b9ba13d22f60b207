"""From planned rows to tasks that are begun: intents are recorded and retries counted before anything is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pyarrow as pa

from mixsync_dagster.engine.attempts import Attempts
from mixsync_dagster.engine.context import SyncRun
from mixsync_dagster.engine.planning import Action
from mixsync_dagster.engine.tasks import Task, group_of
from mixsync_dagster.model.progress import MAX_RETRIES, DeadLetter, Failure, Intent


class Announcing:
    """Announces the rows of one shard, a group at a time, as its tasks are drawn.

    `fail` takes what has failed already, `move` what only changes its fields.
    """

    def __init__(
        self, run: SyncRun, attempts: Attempts, fail: Callable[[Failure], None], move: Callable[[Task], None]
    ) -> None:
        self._run = run
        self._attempts = attempts
        self._fail = fail
        self._move = move

    def tasks(self, rows: pa.Table) -> Iterator[Task]:
        """Yield the rows' tasks, recording intents and counting retries before the first of each group is begun.

        Items that have failed already, and those whose object only changes its fields, are dealt with on the way.
        """
        sync, tools = self._run.sync, self._run.tools
        size = sync.resume_checkpoint_frequency
        for first in range(0, rows.num_rows, size):
            group = group_of(rows.slice(first, size), first, bucket_id=sync.bucket_id, provider=tools.provider_name)
            spent = self._spent(group.retried)
            tasks = [task for task in group.tasks if task.item.source_object_id not in spent]
            tools.store.record_intents(
                self._run.lock,
                [Intent(task.object_id, task.item.source_object_id, task.item.version) for task in tasks],
            )
            if group.retried:
                self._attempts.count_retries([item for item in group.retried if item not in spent])
            self._run.passing("announced")
            given_up = [_given_up(task, spent) for task in group.tasks if task.item.source_object_id in spent]
            for failure in (*group.failures, *given_up):
                self._fail(failure)
            yield from self._with_moves_made(tasks)

    def _spent(self, retried: Sequence[str]) -> Mapping[str, DeadLetter]:
        """Return the dead letters, by item, that have no retry left though none was seen to fail.

        Their last retry was counted and never told its outcome: the item may be what ended the worker.
        """
        store, sync_config_id = self._run.tools.store, self._run.sync.sync_config_id
        letters = store.dead_letters_of(sync_config_id, retried) if retried else {}
        return {item: letter for item, letter in letters.items() if letter.retry_count >= MAX_RETRIES}

    def _with_moves_made(self, tasks: Sequence[Task]) -> Iterator[Task]:
        """Yield the tasks whose bytes are needed; a duplicate has no object of its own to move."""
        moving = {task.object_id for task in tasks if task.action == Action.MOVE}
        found = self._run.tools.bucket.find_objects(list(moving)) if moving else ()
        movable = {stored.object_id for stored in found}
        for task in tasks:
            if task.action == Action.MOVE and task.object_id in movable:
                self._move(task)
            else:
                yield task


def _given_up(task: Task, spent: Mapping[str, DeadLetter]) -> Failure:
    letter = spent[task.item.source_object_id]
    sentence = f"its last retry ended without an outcome, so it is not tried again; before: {letter.error_message}"
    return Failure(task.item, letter.error_type, sentence, permanent=True)
