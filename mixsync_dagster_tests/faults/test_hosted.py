"""Workers of a hosted bucket killed at every point, while answers are lost: no object twice, none missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mixsync_dagster_tests.faults.cases import Tally, carry_out
from mixsync_dagster_tests.faults.hosted import HostedAudit, HostedKill, HostedLab, HostedWorld, hosted_points
from mixsync_dagster_tests.faults.points import Point
from mixsync_dagster_tests.support.postgres import PostgresServer

AT_ONCE = 8
"""Workers of a hosted bucket mostly wait: for lists that lag, and before they ask again for a lost answer."""


@pytest.fixture(scope="module")
def hosted_lab(postgres: PostgresServer) -> Iterator[HostedLab]:
    with HostedLab(postgres=postgres, dagster=False) as made:
        yield made


def carried_out(lab: HostedLab, *cases: HostedKill) -> Tally:
    tally = carry_out(lab, cases, at_once=AT_ONCE)
    assert not tally.bad, tally.explain()
    return tally


def test_lost_answers_alone_leave_nothing_wrong(hosted_lab: HostedLab) -> None:
    with hosted_lab.world("sqlite") as world:
        assert isinstance(world, HostedWorld)
        assert world.settle(most=10) >= 2
        audit = HostedAudit(world)
        assert not audit.of_a_settled_sync(), audit.findings
        lost = [one.kind for one in world.service.exchanges if one.status == 0]
        assert len(lost) >= 3


def test_what_the_audit_looks_for_is_seen(hosted_lab: HostedLab) -> None:
    with hosted_lab.world("sqlite") as world:
        assert isinstance(world, HostedWorld)
        world.settle(most=10)
        there = world.there
        first, second, third, *_ = list(there.objects)
        there.objects["obj_twin"] = {**there.objects[first], "object_id": "obj_twin"}
        del there.objects[second]
        there.contents = {key: b"other" if key[0] == third else value for key, value in there.contents.items()}
        batch = next(iter(there.batches.values()))
        batch.submit_requests = 2
        found = {kind for kind, _ in HostedAudit(world).of_a_settled_sync().found}
        assert found >= {"duplicated", "lost", "torn", "double-submitted"}


def test_a_killed_worker_of_a_hosted_bucket_leaves_nothing_wrong(hosted_lab: HostedLab) -> None:
    points = [Point("service", "after call", 9), Point("engine", "put", 2)]
    tally = carried_out(hosted_lab, *(HostedKill(point, times=1, change=True) for point in points))
    assert tally.total("kills") == 2


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_three_kills_at_every_point_leave_nothing_wrong_at_the_service(hosted_lab: HostedLab) -> None:
    points = hosted_points()
    cases = [HostedKill(point, change=bool(index % 2)) for index, point in enumerate(points)]
    tally = carried_out(hosted_lab, *cases)
    # Some points lie behind the end of a run that goes on where the one before was killed.
    assert tally.total("kills") >= 2 * len(points)
