"""From planned rows to tasks: the point where columns become objects, a group of rows at a time."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from mixsync_dagster.engine.dead_letters import RETRY
from mixsync_dagster.engine.mapping import ERROR_MESSAGE, ERROR_TYPE, FIELDS, LINKS, PERMANENT
from mixsync_dagster.engine.planning import ACTION, Action
from mixsync_dagster.model.identifiers import object_id_for
from mixsync_dagster.model.items import SourceItem, items_of
from mixsync_dagster.model.progress import Failure


@dataclass(frozen=True, slots=True)
class Task:
    """One item on its way into the bucket, with the fields that its object will have (as JSON)."""

    number: int
    """Place in the shard."""
    object_id: str
    item: SourceItem
    action: str
    fields: str
    retry: bool
    """Whether this is a retry of a dead letter."""
    links: str | None = None
    """URLs to fetch, by blob property (as JSON); None: there are none."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are announced together: those to work on, and those that have failed already."""

    tasks: list[Task]
    failures: list[Failure]
    retried: list[str]
    """Source object ids whose attempt is a retry."""


def group_of(rows: pa.Table, first: int, *, bucket_id: str, provider: str) -> Group:
    """Return the rows as a group; `first` is the place of its first row in the shard."""
    names = (ACTION, RETRY, FIELDS, LINKS, ERROR_TYPE, ERROR_MESSAGE, PERMANENT)
    columns = [rows.column(name).to_pylist() for name in names]
    group = Group([], [], [])
    for place, (item, action, retry, fields, links, error_type, message, permanent) in enumerate(
        zip(items_of(rows), *columns, strict=True), first
    ):
        if retry:
            group.retried.append(item.source_object_id)
        if item.unreadable is not None and action != Action.MOVE:
            # Before the mapping's failure, which is only that of attributes that were not asked for.
            sentence = f"the storage says that its bytes cannot be read now: {item.unreadable}."
            group.failures.append(Failure(item, item.unreadable, sentence, permanent=True))
        elif error_type is not None:
            group.failures.append(Failure(item, error_type, message, permanent))
        else:
            object_id = object_id_for(bucket_id, provider, item.source_object_id)
            group.tasks.append(Task(place, object_id, item, action, fields, retry, links))
    return group
