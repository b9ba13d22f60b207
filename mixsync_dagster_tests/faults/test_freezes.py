"""Workers that sleep past their lease: whoever took over is not disturbed by their waking up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mixsync_dagster_tests.faults.campaign import every_freeze
from mixsync_dagster_tests.faults.cases import ENGINE_POINTS, Freeze, FreezeInTransaction, Tally
from mixsync_dagster_tests.faults.points import Point
from mixsync_dagster_tests.faults.worlds import Database, Lab

Clean = Callable[..., Tally]


def test_a_woken_worker_says_that_another_one_took_over_and_writes_nothing(clean: Clean) -> None:
    # After a commit the woken worker first finds the pass ended, elsewhere its own write refused.
    clean(*(Freeze(Point("engine", name, number)) for name, number in (("committed", 1), ("put", 2), ("claimed", 2))))


def test_freezes_come_to_every_passing_of_every_point_in_turn(lab: Lab) -> None:
    names = [str(case.point) for case in every_freeze(lab, 200, "postgres")]
    assert len(names) == 200
    assert set(names[: len(ENGINE_POINTS)]) == {f"engine:{name}#1" for name in ENGINE_POINTS}
    # Commits are many, a run begins once.
    assert "engine:committed#9" in names
    assert "engine:acquired#2" not in names


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_freezes_at_every_point_disturb_nobody(clean: Clean, database: Database) -> None:
    tally = clean(*(Freeze(Point("engine", name), database) for name in ENGINE_POINTS))
    assert tally.total("freezes") == len(ENGINE_POINTS)


@pytest.mark.slow
def test_a_freeze_inside_a_transaction_is_ended_by_postgresql(clean: Clean) -> None:
    clean(FreezeInTransaction())
