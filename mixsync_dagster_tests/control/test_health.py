"""Health in numbers, and from where on somebody should look."""

from datetime import UTC, datetime, timedelta

import pytest

from mixsync_dagster.control.health import SyncHealth, health_of, is_stuck, unsubmitted_allowed_seconds
from mixsync_dagster.ports.upkeep import Standing
from mixsync_dagster.testing.contracts.state_samples import SYNC, sync

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Standings:
    def __init__(self, standing):
        self.standing = standing

    def standings(self, ids):
        return dict.fromkeys(ids, self.standing)


def health(standing=Standing(), **changes):  # noqa: B008 - frozen
    due = {"next_sync_at": NOW + timedelta(minutes=5), **changes}
    return health_of(Standings(standing), [sync(**due)], NOW)[SYNC]


def test_a_sync_that_is_well():
    passed_at = NOW - timedelta(hours=1)
    told = health(Standing(waiting=1, quarantined=2, full_pass_at=passed_at)).as_dict()
    assert told == {
        "lag_seconds": 0.0,
        "oldest_unsubmitted_seconds": None,
        "lock_age_seconds": None,
        "lock_expired_seconds": None,
        "dead_letters_waiting": 1,
        "dead_letters_quarantined": 2,
        "last_full_pass_at": "2026-01-01T23:00:00+00:00",
    }


def test_the_ages_of_what_waits():
    standing = Standing(
        oldest_unsubmitted_at=NOW - timedelta(seconds=90), lock_age_seconds=400.0, lock_expired_seconds=340.0
    )
    found = health(standing, next_sync_at=NOW - timedelta(seconds=42))
    assert (found.lag_seconds, found.oldest_unsubmitted_seconds) == (42.0, 90.0)
    assert (found.lock_age_seconds, found.lock_expired_seconds) == (400.0, 340.0)


@pytest.mark.parametrize(
    ("standing", "changes"),
    [
        (Standing(), {"paused": True}),
        (Standing(), {"is_active": False}),
        (Standing(), {"next_sync_at": None}),
        (Standing(lock_age_seconds=5.0, lock_expired_seconds=-55.0), {}),
    ],
)
def test_no_run_is_late_that_is_not_to_come_or_is_at_work(standing, changes):
    found = health(standing, **{"next_sync_at": NOW - timedelta(days=9), **changes})
    assert (found.lag_seconds, found.lock_expired_seconds) == (None, None)
    assert not is_stuck(sync(), found)


def late(seconds, expired=None):
    return SyncHealth(seconds, None, expired, expired, 0, 0, None)


@pytest.mark.parametrize(
    ("interval", "found", "stuck"),
    [
        (60, late(900.0), False),
        (60, late(901.0), True),
        (600, late(1200.0), False),
        (600, late(1201.0), True),
        (60, late(0.0, 300.0), False),
        (60, late(0.0, 301.0), True),
        (60, late(None), False),
    ],
)
def test_a_sync_is_stuck_when_nothing_happens_that_should(interval, found, stuck):
    assert is_stuck(sync(polling_interval_seconds=interval), found) == stuck


@pytest.mark.parametrize(("interval", "allowed"), [(60, 600.0), (300, 600.0), (400, 800.0)])
def test_a_batch_may_wait_for_two_runs(interval, allowed):
    assert unsubmitted_allowed_seconds(sync(polling_interval_seconds=interval)) == allowed
