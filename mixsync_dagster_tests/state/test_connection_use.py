"""Connections that fail again and again are suspended with their syncs, and go on with them."""

import pytest

from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.progress import Outcome
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.testing.contracts.state_samples import (
    CONNECTION,
    CREDENTIALS,
    OTHER_SYNC,
    SYNC,
    begin,
    connection,
    end,
    seed,
    sync,
)

REFUSED = {"error": "the key is not accepted.", "error_class": "credential", "successful": False}
RUNNING = ("PENDING", True, False, None)
PAUSED = ("SUSPENDED", False, True, "connection_suspended")


def fail(store, times):
    for _ in range(times):
        found = store.connection_used(CONNECTION, error="the key is not accepted.")
    return found


def told(store, sync_id=SYNC):
    one = store.get_sync(sync_id)
    return one.status, one.is_active, one.paused, one.pause_reason


def test_five_failures_in_a_row_suspend_a_connection_and_its_syncs(store):
    seed(store)
    before = fail(store, 4)
    assert (before.status, before.consecutive_failures, before.last_error) == ("ACTIVE", 4, "the key is not accepted.")
    assert told(store) == RUNNING
    suspended = fail(store, 1)
    assert (suspended.status, suspended.is_active, suspended.consecutive_failures) == ("SUSPENDED", False, 5)
    assert store.get_connection(CONNECTION) == suspended
    for sync_id in (SYNC, OTHER_SYNC):
        assert told(store, sync_id) == PAUSED
        assert store.get_sync(sync_id).last_error == (
            "connection media is SUSPENDED and may not be used; test or change it: the key is not accepted."
        )
    assert list(store.due_syncs(limit=10)) == []


def test_a_success_between_them_starts_counting_anew(store, clock):
    seed(store)
    fail(store, 4)
    worked = store.connection_used(CONNECTION, error=None)
    assert (worked.consecutive_failures, worked.last_error, worked.last_used_at) == (0, None, clock.now())
    assert fail(store, 4).is_active


def test_what_works_again_goes_on_with_what_it_paused(store):
    seed(store)
    store.set_paused(OTHER_SYNC, True, reason="user", user_id="usr_a")
    fail(store, 7)
    assert store.connection_used(CONNECTION, error=None).is_active
    assert told(store) == RUNNING
    assert told(store, OTHER_SYNC)[3] == "user"
    assert [one.sync_config_id for one in store.due_syncs(limit=10)] == [SYNC]


def test_what_a_person_suspended_stays_so(store):
    seed(store)
    store.save_connection(connection().model_copy(update={"status": TaskStatus.SUSPENDED}), credentials=None)
    assert told(store) == PAUSED
    assert store.connection_used(CONNECTION, error=None).status == "SUSPENDED"
    assert told(store) == PAUSED
    store.save_connection(connection(), credentials=None)
    assert told(store) == RUNNING


def test_runs_with_refused_credentials_count_and_a_success_resets(store):
    seed(store)
    for number in range(4):
        lock = begin(store, run=f"run-{number}")
        store.finish_run(lock, end(Outcome.FAILED, status="FAILED", **REFUSED))
    assert store.get_connection(CONNECTION).consecutive_failures == 4
    store.finish_run(begin(store, run="run-ok"), end())
    found = store.get_connection(CONNECTION)
    assert (found.consecutive_failures, found.last_used_at is not None) == (0, True)


def test_the_fifth_run_suspends_and_the_sync_goes_on_when_the_connection_does(store):
    seed(store)
    for number in range(5):
        ended = end(Outcome.FAILED, **{**REFUSED, "status": "FAILED"})
        if number == 4:
            # What the engine says of a sync whose fifth run failed.
            last = {"status": "SUSPENDED", "is_active": False, "paused_reason": "consecutive_failures"}
            ended = end(Outcome.FAILED, **{**REFUSED, **last})
        store.finish_run(begin(store, run=f"run-{number}"), ended)
    assert store.get_connection(CONNECTION).status == "SUSPENDED"
    assert told(store) == told(store, OTHER_SYNC) == PAUSED
    store.connection_used(CONNECTION, error=None)
    assert told(store) == ("ACTIVE", True, False, None)
    assert store.get_sync(SYNC).consecutive_failures == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"error": "an outage.", "error_class": "outage", "successful": False},
        {"error": "a path is gone.", "error_class": "configuration", "successful": False},
        {**REFUSED, "paused_reason": "credential"},
    ],
)
def test_other_ends_say_nothing_of_the_connection(store, changes):
    seed(store)
    store.finish_run(begin(store), end(Outcome.FAILED, status="FAILED", **changes))
    found = store.get_connection(CONNECTION)
    assert (found.consecutive_failures, found.last_error, found.last_used_at) == (0, None, None)


def test_syncs_of_other_connections_are_left_alone(store):
    seed(store)
    store.save_connection(connection("conn_2", "other"), credentials=CREDENTIALS)
    store.create_sync(sync("sync_2", "second", connection_id="conn_2"))
    fail(store, 5)
    assert told(store, "sync_2") == RUNNING


def test_an_archived_connection_is_not_there(store):
    store.save_connection(connection(), credentials=CREDENTIALS)
    store.delete_connection(CONNECTION)
    for connection_id in (CONNECTION, "conn_none"):
        with pytest.raises(NotFound):
            store.connection_used(connection_id, error="x")
