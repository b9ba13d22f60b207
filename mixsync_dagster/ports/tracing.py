"""The state store as questions about single items see it: what is known of one, and what a run did with each.

The rules of `ports.state` hold here too: a method is one transaction, times are aware UTC, any may raise
StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mixsync_dagster.model.objects import StoredObject
from mixsync_dagster.model.progress import DeadLetter, RunRecord


@dataclass(frozen=True, slots=True)
class Trace:
    """What a sync remembers of one item; everything is None where it knows nothing."""

    source_object_id: str | None = None
    path: str | None = None
    version: str | None = None
    """The version that is in the bucket."""
    duplicate_of: str | None = None
    """The object that has the same bytes and stands for the item; None: the item has an object of its own, or none."""
    placed: StoredObject | None = None
    """The object that the item is in the bucket by."""
    letter: DeadLetter | None = None
    """The item's dead letter, unless it is resolved."""
    refused: bool = False
    """Whether the metadata filters took it out when it was asked last."""


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What a run did with one item."""

    source_object_id: str
    source_path: str
    outcome: str
    """created, updated (content or metadata), duplicate, removed or failed."""
    object_id: str | None
    size_bytes: int | None
    error_type: str | None
    error_message: str | None
    at: datetime


class TraceStore(Protocol):
    """What became of items."""

    def trace_item(self, sync_config_id: str, path_or_id: str) -> Trace:
        """Return what is known of the item with this source object id, else of one at this path.

        By path, the sync's whole inventory is looked through.
        """
        ...

    def run_outcomes(
        self, run: RunRecord, *, after: tuple[str, str] | None, offset: int, limit: int
    ) -> tuple[Sequence[ItemOutcome], bool]:
        """Return what the run did with items, by source object id and outcome, after such a pair, and whether more.

        Items that a later run did something with again are told of that run alone.
        """
        ...

    def count_run_outcomes(self, run: RunRecord) -> int:
        """Return how many `run_outcomes` there are."""
        ...
