"""What tells that a run's worker is gone, and taking from it what it holds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mixsync_dagster.errors import LockLost
from mixsync_dagster.model.progress import Commit, Trigger
from mixsync_dagster.ports.control import Dispatch
from mixsync_dagster.ports.upkeep import RunSign
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.contracts.state_samples import SYNC, begin, end, placed, seed, sync

GONE = "the worker is gone."


@pytest.fixture
def seeded(store: SqlStateStore) -> SqlStateStore:
    seed(store)
    return store


def test_a_run_that_is_not_known_gives_no_sign(seeded: SqlStateStore) -> None:
    assert seeded.run_signs(["run-1"]) == {"run-1": RunSign(recorded=False, ended_at=None, lock_expired_seconds=None)}
    assert seeded.run_signs([]) == {}


def test_the_lock_tells_for_how_long_it_has_been_expired(seeded: SqlStateStore) -> None:
    lock = begin(seeded)
    sign = seeded.run_signs(["run-1"])["run-1"]
    assert (sign.recorded, sign.ended_at) == (True, None)
    assert sign.lock_expired_seconds == pytest.approx(-60, abs=5)
    seeded.renew(lock, ttl_seconds=-30)
    assert seeded.run_signs(["run-1"])["run-1"].lock_expired_seconds == pytest.approx(30, abs=5)


def test_an_ended_run_tells_since_when(seeded: SqlStateStore, clock: SimulatedClock) -> None:
    seeded.finish_run(begin(seeded), end())
    assert seeded.run_signs(["run-1"])["run-1"] == RunSign(True, clock.now(), None)


def test_a_run_whose_lock_is_alive_is_not_given_up(seeded: SqlStateStore) -> None:
    lock = begin(seeded)
    assert not seeded.give_up_run("run-1", error=GONE)
    assert seeded.get_run("run-1").status == "running"
    seeded.commit(lock, Commit(placed=[placed("a")]))


def test_a_run_that_is_given_up_writes_nothing_more_and_its_sync_is_due(
    seeded: SqlStateStore, clock: SimulatedClock
) -> None:
    seeded.create_sync(sync("sync_due", "due", next_sync_at=clock.now() - timedelta(days=1)))
    dispatch = seeded.claim_dispatch("sync_due", expected_number=0)
    assert dispatch is not None
    assert seeded.take_up_dispatch("sync_due", dispatch.number)
    lock = begin(seeded, "sync_due")
    lock = seeded.renew(lock, ttl_seconds=-1)
    assert "due" not in [one.name for one in seeded.due_syncs(limit=10)]
    assert seeded.give_up_run("run-1", error=GONE)
    with pytest.raises(LockLost):
        seeded.commit(lock, Commit(placed=[placed("a")]))
    record = seeded.get_run("run-1")
    assert (record.status, record.error) == ("interrupted", GONE)
    assert "due" in [one.name for one in seeded.due_syncs(limit=10)]
    assert seeded.run_signs(["run-1"])["run-1"].lock_expired_seconds is None


def test_a_run_that_was_superseded_is_closed_and_its_successor_left_alone(seeded: SqlStateStore) -> None:
    seeded.renew(begin(seeded), ttl_seconds=-1)
    successor = begin(seeded, run="run-2", worker="worker-2")
    assert seeded.give_up_run("run-1", error=GONE)
    seeded.renew(successor, ttl_seconds=60)
    assert seeded.get_run("run-2").status == "running"


def test_a_run_that_ended_keeps_its_end(seeded: SqlStateStore) -> None:
    seeded.finish_run(begin(seeded), end())
    assert seeded.give_up_run("run-1", error=GONE)
    assert seeded.get_run("run-1").status == "completed"


def test_a_worker_that_ended_before_its_record_was_made_gives_the_lock_back(seeded: SqlStateStore) -> None:
    seeded.acquire(SYNC, "worker-1", "run-1", ttl_seconds=-1)
    assert seeded.give_up_run("run-1", error=GONE)
    assert seeded.unlock(SYNC) is None


@pytest.fixture
def claimed(seeded: SqlStateStore, clock: SimulatedClock) -> Dispatch:
    """The claim of a sync that a person asked to run in full."""
    seeded.create_sync(sync("sync_due", "due", next_sync_at=clock.now() + timedelta(days=1)))
    seeded.request_run("sync_due", full_sync=True)
    claim = seeded.claim_dispatch("sync_due", expected_number=seeded.dispatch_number("sync_due"))
    assert claim is not None
    assert (claim.trigger, claim.full_sync) == (Trigger.MANUAL, True)
    return claim


def requested(store: SqlStateStore) -> list[tuple[str, bool]]:
    return [(one.name, one.pending_full_sync) for one in store.requested_syncs(limit=10)]


def test_a_claim_that_a_run_took_up_without_coming_to_its_lock_is_asked_for_again(
    seeded: SqlStateStore, claimed: Dispatch
) -> None:
    assert seeded.take_up_dispatch("sync_due", claimed.number)
    assert seeded.give_up_run("run-9", error=GONE, claim=claimed)
    assert requested(seeded) == [("due", True)]


def test_a_claim_is_no_business_of_a_run_that_has_a_record(seeded: SqlStateStore, claimed: Dispatch) -> None:
    seeded.finish_run(begin(seeded), end())
    assert seeded.give_up_run("run-1", error=GONE, claim=claimed)
    assert requested(seeded) == []


def test_a_newer_claim_is_left_alone(seeded: SqlStateStore, claimed: Dispatch, clock: SimulatedClock) -> None:
    clock.advance(121)
    newer = seeded.claim_dispatch("sync_due", expected_number=claimed.number)
    assert newer is not None
    seeded.give_up_claim(claimed)
    assert requested(seeded) == []
    seeded.give_up_claim(newer)
    assert requested(seeded) == [("due", True)]


def test_the_claim_of_a_sync_that_runs_is_left_alone(seeded: SqlStateStore, claimed: Dispatch) -> None:
    begin(seeded, "sync_due")
    seeded.give_up_claim(claimed)
    with seeded._database.read() as tx:
        [(dispatched_at,)] = tx.rows("SELECT dispatched_at FROM syncs WHERE sync_config_id = 'sync_due'")
    assert dispatched_at is not None


def test_claims_that_no_run_took_up_are_told_when_they_are_old_enough_and_until_they_are_void(
    seeded: SqlStateStore, claimed: Dispatch, clock: SimulatedClock
) -> None:
    def told() -> list[tuple[str, int]]:
        return [(one.sync_config_id, one.number) for one in seeded.claims_not_taken_up(older_seconds=20)]

    assert told() == []
    clock.advance(20)
    assert told() == [("sync_due", claimed.number)]
    clock.advance(100)
    assert told() == []


def test_a_claim_that_a_run_took_up_is_not_told(
    seeded: SqlStateStore, claimed: Dispatch, clock: SimulatedClock
) -> None:
    assert seeded.take_up_dispatch("sync_due", claimed.number)
    clock.advance(30)
    assert seeded.claims_not_taken_up(older_seconds=20) == []
