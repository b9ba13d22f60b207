"""Workers killed at every point, and at any moment: the next ones leave everything there exactly once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mixsync_dagster_tests.faults.campaign import random_kills
from mixsync_dagster_tests.faults.cases import POINTS, FatalItem, Kill, RandomKills, Tally, every_point
from mixsync_dagster_tests.faults.checking import Audit
from mixsync_dagster_tests.faults.points import Point
from mixsync_dagster_tests.faults.worlds import Database, Lab, Way

Clean = Callable[..., Tally]
DATABASES = ["sqlite", "postgres"]


def test_workers_are_forked_from_a_process_without_threads(lab: Lab) -> None:
    assert lab.forks.threads == 1


@pytest.mark.parametrize("way", ["mixsync", "dagster"])
def test_a_run_passes_the_points_at_which_workers_are_killed_and_no_others(lab: Lab, way: Way) -> None:
    with lab.world("sqlite", way) as world:
        trace = world.home / "trace"
        assert world.start(world.plan(trace=str(trace))).wait() in (0, 3)
        passed: dict[str, set[str]] = {}
        for line in trace.read_text().splitlines():
            kind, name = line.split("\t")
            passed.setdefault(kind, set()).add(name)
        del passed["read"]
        assert passed == {kind: set(names) for kind, names in POINTS.items()}


def test_the_world_has_every_kind_of_work_in_several_shards_and_commits(lab: Lab) -> None:
    with lab.world("sqlite") as world:
        trace = world.home / "trace"
        world.start(world.plan(trace=str(trace))).wait()
        _, counters = world.last_run()
        work = ("created", "replaced", "removed", "duplicates", "failed", "unchanged", "batches_created")
        assert {name: counters[name] for name in work} == {
            "created": 28,
            "replaced": 5,
            "removed": 8,
            "duplicates": 5,
            "failed": 2,
            "unchanged": 15,
            "batches_created": 5,
        }
        assert counters["filtered"] == {"sync_from": 1, "exclude_patterns": 2}
        passed = trace.read_text().splitlines()
        assert passed.count("engine\tcommitted") == 9
        # What was renamed has an object of its own once the old one is gone.
        assert world.settle() == 2
        assert not Audit(world).of_a_settled_sync()


def test_a_killed_worker_leaves_nothing_wrong(clean: Clean) -> None:
    points = [
        Point("engine", "committed", 3),
        Point("store", "before commit", 7),
        Point("file", "half written", 9),
        Point("handler", "after post", 1),
    ]
    tally = clean(*(Kill(point, change=True) for point in points))
    assert tally.total("kills") == 4
    assert tally.objects == 4 * 55


@pytest.mark.slow
@pytest.mark.parametrize("database", DATABASES)
def test_three_kills_at_every_point_leave_nothing_wrong(clean: Clean, database: Database) -> None:
    cases = every_point(POINTS, database, "mixsync")
    assert len(cases) == 29
    assert clean(*cases).total("kills") == 3 * 29


@pytest.mark.slow
@pytest.mark.parametrize("database", DATABASES)
def test_three_kills_of_dagster_runs_at_every_stage_leave_nothing_wrong(clean: Clean, database: Database) -> None:
    cases = every_point(["engine"], database, "dagster")
    assert len(cases) == 13
    assert clean(*cases).total("kills") == 3 * 13


@pytest.mark.slow
def test_fifty_kills_at_random_moments_leave_nothing_wrong(lab: Lab) -> None:
    tally = random_kills(lab, 50, ["sqlite", "postgres"], seed=7000)
    assert not tally.bad, tally.explain()
    assert tally.total("kills") >= 50


@pytest.mark.slow
@pytest.mark.parametrize("database", DATABASES)
def test_true_commands_killed_at_random_moments_leave_nothing_wrong(clean: Clean, database: Database) -> None:
    cases = [RandomKills(seed, database, most=2, seconds=1.0, true_command=True) for seed in (1, 2)]
    # A run may be over before its moment comes.
    assert clean(*cases).total("runs") >= 6


@pytest.mark.parametrize("database", DATABASES)
def test_an_item_that_ends_workers_is_retried_three_times_and_then_left_alone(clean: Clean, database: Database) -> None:
    assert clean(FatalItem(database)).total("kills") == 3
