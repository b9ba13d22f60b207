"""Statuses of syncs and connections, and which moves between them there are."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from mixsync_dagster.errors import Conflict


class TaskStatus(StrEnum):
    """The API's thirteen statuses. Input is taken in any case, and `paused` for SUSPENDED; output is upper case."""

    PENDING = "PENDING"
    """A sync that never ran."""
    IN_PROGRESS = "IN_PROGRESS"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    """A one-time sync whose run is done."""
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    """A one-time sync whose run is done and left dead letters."""
    FAILED = "FAILED"
    """A sync whose last run failed; it runs again when due."""
    CANCELED = "CANCELED"
    UNKNOWN = "UNKNOWN"
    SKIPPED = "SKIPPED"
    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    """A sync that runs or polls; a connection that may be used."""
    ARCHIVED = "ARCHIVED"
    """A connection that was deleted; it cannot come back."""
    SUSPENDED = "SUSPENDED"
    """Paused by a user, by the guard or after repeated failures."""

    @classmethod
    def _missing_(cls, value: object) -> TaskStatus | None:
        if not isinstance(value, str):
            return None
        upper = value.upper()
        if upper == "PAUSED":
            return cls.SUSPENDED
        return cls.__members__.get(upper)


_RAN = frozenset({TaskStatus.COMPLETED, TaskStatus.COMPLETED_WITH_ERRORS, TaskStatus.FAILED})
"""Where a run can leave its sync, beside ACTIVE."""

SYNC_MOVES: Mapping[TaskStatus, frozenset[TaskStatus]] = MappingProxyType(
    {
        TaskStatus.PENDING: _RAN | {TaskStatus.ACTIVE, TaskStatus.SUSPENDED},
        TaskStatus.ACTIVE: _RAN | {TaskStatus.SUSPENDED},
        # Resuming leads to PENDING before the first run. A run that was under way when its sync was paused may end it.
        TaskStatus.SUSPENDED: frozenset(
            {TaskStatus.ACTIVE, TaskStatus.PENDING, TaskStatus.COMPLETED, TaskStatus.COMPLETED_WITH_ERRORS}
        ),
        TaskStatus.COMPLETED: _RAN | {TaskStatus.ACTIVE, TaskStatus.SUSPENDED},
        TaskStatus.COMPLETED_WITH_ERRORS: _RAN | {TaskStatus.ACTIVE, TaskStatus.SUSPENDED},
        TaskStatus.FAILED: _RAN | {TaskStatus.ACTIVE, TaskStatus.SUSPENDED},
    }
)
"""From where to where a sync may move; staying is always allowed. Statuses that are no key are none of a sync's."""

_USABLE = frozenset({TaskStatus.ACTIVE, TaskStatus.SUSPENDED, TaskStatus.FAILED, TaskStatus.ARCHIVED})

CONNECTION_MOVES: Mapping[TaskStatus, frozenset[TaskStatus]] = MappingProxyType(
    {
        TaskStatus.ACTIVE: _USABLE,
        TaskStatus.SUSPENDED: _USABLE,
        TaskStatus.FAILED: _USABLE,
        TaskStatus.ARCHIVED: frozenset(),
    }
)
"""From where to where a connection may move; ARCHIVED is the end."""


def check_move(
    old: TaskStatus, new: TaskStatus, moves: Mapping[TaskStatus, frozenset[TaskStatus]] = SYNC_MOVES
) -> None:
    """Return if the status may change so, also when it stays. Raises Conflict with the statuses that are possible."""
    if old in moves and (new == old or new in moves[old]):
        return
    possible = ", ".join(sorted(moves.get(old, frozenset()))) or "none"
    raise Conflict(f"status: {new} cannot follow {old}; possible from {old}: {possible}.")
