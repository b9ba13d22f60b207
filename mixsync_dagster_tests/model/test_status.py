from __future__ import annotations

import pytest

from mixsync_dagster.errors import Conflict
from mixsync_dagster.model.status import CONNECTION_MOVES, SYNC_MOVES, TaskStatus, check_move


def test_there_are_the_thirteen_statuses_of_the_api():
    assert [str(status) for status in TaskStatus] == [
        "PENDING",
        "IN_PROGRESS",
        "PROCESSING",
        "COMPLETED",
        "COMPLETED_WITH_ERRORS",
        "FAILED",
        "CANCELED",
        "UNKNOWN",
        "SKIPPED",
        "DRAFT",
        "ACTIVE",
        "ARCHIVED",
        "SUSPENDED",
    ]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("active", "ACTIVE"),
        ("Pending", "PENDING"),
        ("paused", "SUSPENDED"),
        ("PAUSED", "SUSPENDED"),
        ("FAILED", "FAILED"),
    ],
)
def test_a_status_is_taken_in_any_case_and_paused_means_suspended(word, status):
    assert TaskStatus(word) == status


@pytest.mark.parametrize("word", ["", "QUEUED", "INTERRUPTED", "DEACTIVATED", 1, None])
def test_other_words_are_no_status(word):
    with pytest.raises(ValueError, match="is not a valid TaskStatus"):
        TaskStatus(word)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("PENDING", "ACTIVE"),
        ("PENDING", "SUSPENDED"),
        ("PENDING", "COMPLETED"),
        ("ACTIVE", "FAILED"),
        ("ACTIVE", "COMPLETED_WITH_ERRORS"),
        ("SUSPENDED", "PENDING"),
        ("SUSPENDED", "ACTIVE"),
        ("FAILED", "ACTIVE"),
        ("COMPLETED", "ACTIVE"),
        ("COMPLETED", "COMPLETED"),
    ],
)
def test_a_sync_may_make_these_moves(old, new):
    assert check_move(TaskStatus(old), TaskStatus(new)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ACTIVE", "PENDING"),
        ("SUSPENDED", "FAILED"),
        ("COMPLETED", "PENDING"),
        ("ACTIVE", "ARCHIVED"),
        ("PENDING", "DRAFT"),
        ("DRAFT", "DRAFT"),
    ],
)
def test_a_sync_may_not_make_these_moves(old, new):
    with pytest.raises(Conflict, match=f"status: {new} cannot follow {old}; possible from {old}: "):
        check_move(TaskStatus(old), TaskStatus(new))


def test_an_archived_connection_cannot_come_back():
    check_move(TaskStatus.ACTIVE, TaskStatus.ARCHIVED, CONNECTION_MOVES)
    with pytest.raises(Conflict, match="possible from ARCHIVED: none"):
        check_move(TaskStatus.ARCHIVED, TaskStatus.ACTIVE, CONNECTION_MOVES)


@pytest.mark.parametrize("moves", [SYNC_MOVES, CONNECTION_MOVES])
def test_every_target_of_a_move_is_a_status_with_moves_of_its_own(moves):
    assert {target for targets in moves.values() for target in targets} <= set(moves)
