"""Claims that no run takes up."""

from __future__ import annotations

import pytest

from mixsync_dagster.model.progress import Trigger
from mixsync_dagster.testing.contracts.state_samples import SYNC, begin, end, seed


def test_a_claim_that_no_run_takes_up_is_void_after_two_minutes(store, clock):
    seed(store)
    store.claim_dispatch(SYNC, expected_number=0)
    clock.advance(119)
    assert [due.sync_config_id for due in store.due_syncs(limit=10, only=[SYNC])] == []
    clock.advance(1)
    assert store.take_up_dispatch(SYNC, 1) is False
    assert [due.sync_config_id for due in store.due_syncs(limit=10, only=[SYNC])] == [SYNC]
    claim = store.claim_dispatch(SYNC, expected_number=1)
    assert claim.run_key == "sync_videos:2"


def test_a_claim_is_taken_up_within_two_minutes_and_by_retries_of_its_run(store, clock):
    seed(store)
    store.claim_dispatch(SYNC, expected_number=0)
    clock.advance(119)
    assert store.take_up_dispatch(SYNC, 1) is True
    clock.advance(300)
    assert store.take_up_dispatch(SYNC, 1) is True
    assert store.take_up_dispatch(SYNC, 2) is False


def test_a_run_that_dies_after_taking_up_leaves_the_sync_due(store, clock):
    seed(store)
    store.claim_dispatch(SYNC, expected_number=0)
    store.take_up_dispatch(SYNC, 1)
    assert list(store.due_syncs(limit=10, only=[SYNC])) == []
    clock.advance(121)
    assert [due.sync_config_id for due in store.due_syncs(limit=10, only=[SYNC])] == [SYNC]


def test_a_sync_that_is_due_again_at_once_does_not_wait_out_its_claim(store, clock):
    seed(store)
    store.claim_dispatch(SYNC, expected_number=0)
    store.take_up_dispatch(SYNC, 1)
    store.finish_run(begin(store), end(next_sync_at=clock.now()))
    assert store.claim_dispatch(SYNC, expected_number=1).number == 2


def test_pausing_voids_a_claim(store, clock):
    seed(store)
    store.claim_dispatch(SYNC, expected_number=0)
    store.set_paused(SYNC, True, reason="user", user_id=None)
    assert store.take_up_dispatch(SYNC, 1) is False


@pytest.mark.parametrize("full_sync", [False, True])
def test_a_void_claim_keeps_the_full_run_that_was_asked_for(store, clock, full_sync):
    seed(store)
    store.request_run(SYNC, full_sync=full_sync)
    claim = store.claim_dispatch(SYNC, expected_number=1)
    assert (claim.trigger, claim.full_sync) == (Trigger.MANUAL, full_sync)
    clock.advance(121)
    again = store.claim_dispatch(SYNC, expected_number=2)
    assert (again.trigger, again.full_sync) == (Trigger.MANUAL, full_sync)


def test_the_longest_waiting_sync_comes_first(store, clock):
    seed(store)
    clock.advance(60)
    store.postpone("sync_archive", clock.now())
    assert [due.sync_config_id for due in store.due_syncs(limit=10)] == ["sync_videos", "sync_archive"]


def test_a_sync_that_is_not_due_yet_waits(store, clock):
    seed(store)
    store.set_paused("sync_archive", True, reason=None, user_id=None)
    store.finish_run(begin(store), end(next_sync_at=clock.now().replace(year=2027)))
    assert list(store.due_syncs(limit=10)) == []
