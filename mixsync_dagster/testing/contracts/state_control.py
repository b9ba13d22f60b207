"""What every state store has to do for its users: definitions, pausing and dispatching."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mixsync_dagster.errors import Conflict, InvalidInput, LockLost, NotFound
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.progress import Checkpoint, Commit, Counters, Outcome, PassKind, Trigger
from mixsync_dagster.testing.contracts.state_samples import (
    BUCKET,
    CONNECTION,
    CREDENTIALS,
    MOMENT,
    OTHER_SYNC,
    SYNC,
    StateStore,
    begin,
    connection,
    end,
    failure,
    placed,
    seed,
    sync,
)


class ConfigStoreContract:
    """Definitions: names are unique, credentials come back only when asked for."""

    def test_credentials_are_kept_apart_from_the_connection(self, store: StateStore) -> None:
        seed(store)
        assert "never-in-plain" not in store.get_connection("media").model_dump_json()
        assert store.credentials_of(CONNECTION) == CREDENTIALS
        store.save_connection(connection(name="renamed"), credentials=None)
        assert store.credentials_of(CONNECTION) == CREDENTIALS
        assert [known.name for known in store.list_connections()] == ["renamed"]

    def test_a_taken_name_is_a_conflict(self, store: StateStore) -> None:
        seed(store)
        with pytest.raises(Conflict):
            store.save_connection(connection("conn_2"), credentials=None)
        with pytest.raises(Conflict):
            store.create_sync(sync("sync_2"))

    def test_a_connection_in_use_cannot_be_deleted(self, store: StateStore) -> None:
        seed(store)
        with pytest.raises(Conflict):
            store.delete_connection(CONNECTION)
        store.delete_sync(SYNC)
        store.delete_sync(OTHER_SYNC)
        store.delete_connection(CONNECTION)
        assert list(store.list_connections()) == []
        store.save_connection(connection("conn_2"), credentials=CREDENTIALS)
        assert store.get_connection("media").connection_id == "conn_2"

    def test_a_sync_needs_its_bucket_and_its_connection(self, store: StateStore) -> None:
        seed(store)
        for missing in ({"bucket_id": "bkt_none"}, {"connection_id": "conn_none"}):
            with pytest.raises(NotFound):
                store.create_sync(sync("sync_2", "second", **missing))

    def test_a_bucket_comes_back_with_its_secrets(self, store: StateStore) -> None:
        hosted = BucketDefinition.model_validate(
            {
                "bucket_id": "bkt_hosted",
                "name": "hosted",
                "destination": "mixpeek",
                "mixpeek": {"namespace": "ns_1", "api_key": "sk_contract_secret"},
            }
        )
        store.save_bucket(hosted)
        assert store.get_bucket("hosted") == hosted
        assert list(store.list_buckets()) == [hosted]
        with pytest.raises(NotFound):
            store.get_bucket("bkt_none")

    def test_a_stored_sync_comes_back_as_it_was(self, store: StateStore) -> None:
        seed(store)
        rich = sync(
            "sync_rich",
            "rich",
            file_filters={"extensions": ["mp4"]},
            metadata={"team": "media", "depth": {"n": 1}},
            sync_from=datetime(2025, 1, 31, tzinfo=UTC),
        )
        store.create_sync(rich)
        assert store.get_sync("rich") == rich
        assert [known.name for known in store.list_syncs(bucket_id=BUCKET)] == ["archive", "rich", "videos"]
        assert list(store.list_syncs(connection_id="conn_none")) == []

    def test_an_update_changes_configuration_only(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(counters=Counters(discovered=5)))
        changed = store.update_sync(SYNC, {"batch_size": 7, "metadata": {"a": 1}})
        assert (changed.batch_size, changed.total_files_discovered, changed.locked) == (7, 5, True)
        assert store.get_sync(SYNC).batch_size == 7
        for refused in ({"status": "ACTIVE"}, {"batch_size": 0}, {"no_such_field": 1}):
            with pytest.raises(InvalidInput):
                store.update_sync(SYNC, refused)

    def test_a_deleted_sync_takes_its_inventory_and_leaves_its_objects(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a")], failed=[failure("b")]))
        store.delete_sync(SYNC)
        with pytest.raises(LockLost):
            store.commit(lock, Commit(placed=[placed("c")]))
        with pytest.raises(NotFound):
            store.get_sync(SYNC)
        assert (store.inventory_size(SYNC), store.count_objects(BUCKET)) == (0, 1)
        assert not store.has_open_dead_letters(SYNC)
        assert store.get_run("run-1").status == "interrupted"


class DispatchContract:
    """Dispatching: a due sync is claimed once, whoever asks."""

    def test_a_due_sync_is_claimed_once(self, store: StateStore) -> None:
        seed(store)
        assert [due.sync_config_id for due in store.due_syncs(limit=10)] == [OTHER_SYNC, SYNC]
        claim = store.claim_dispatch(SYNC, expected_number=0)
        assert claim is not None
        assert (claim.run_key, claim.trigger, claim.full_sync) == (f"{SYNC}:1", Trigger.SCHEDULED, False)
        assert store.claim_dispatch(SYNC, expected_number=0) is None
        assert store.claim_dispatch(SYNC, expected_number=1) is None
        assert [due.sync_config_id for due in store.due_syncs(limit=10)] == [OTHER_SYNC]
        assert store.dispatch_number(SYNC) == 1

    def test_due_syncs_are_narrowed(self, store: StateStore) -> None:
        seed(store)
        assert [due.sync_config_id for due in store.due_syncs(limit=10, exclude=[OTHER_SYNC])] == [SYNC]
        assert [due.sync_config_id for due in store.due_syncs(limit=10, only=[OTHER_SYNC])] == [OTHER_SYNC]
        assert list(store.due_syncs(limit=10, only=[])) == []
        assert len(store.due_syncs(limit=1)) == 1

    def test_locked_and_paused_syncs_are_not_due(self, store: StateStore) -> None:
        seed(store)
        begin(store)
        store.set_paused(OTHER_SYNC, True, reason="user", user_id=None)
        assert list(store.due_syncs(limit=10)) == []
        assert store.claim_dispatch(SYNC, expected_number=0) is None
        with pytest.raises(Conflict):
            store.request_run(OTHER_SYNC, full_sync=False)

    def test_only_the_latest_claim_is_taken_up(self, store: StateStore) -> None:
        seed(store)
        first = store.claim_dispatch(SYNC, expected_number=0)
        assert first is not None
        assert store.request_run(SYNC, full_sync=True) is True
        second = store.claim_dispatch(SYNC, expected_number=store.dispatch_number(SYNC))
        assert second is not None
        assert (second.trigger, second.full_sync) == (Trigger.MANUAL, True)
        assert store.take_up_dispatch(SYNC, first.number) is False
        assert store.take_up_dispatch(SYNC, second.number) is True
        assert store.load_sync(SYNC).pending_full_sync is False

    def test_a_request_makes_a_sync_startable_before_it_is_due(self, store: StateStore) -> None:
        seed(store)
        store.finish_run(begin(store), end(next_sync_at=datetime(2999, 1, 1, tzinfo=UTC)))
        assert list(store.requested_syncs(limit=10)) == []
        assert store.request_run(SYNC, full_sync=False) is True
        assert store.request_run(SYNC, full_sync=False) is True
        assert SYNC not in [due.sync_config_id for due in store.due_syncs(limit=10)]
        assert [one.sync_config_id for one in store.requested_syncs(limit=10)] == [SYNC]
        assert list(store.requested_syncs(limit=10, exclude=[SYNC])) == []
        claim = store.claim_dispatch(SYNC, expected_number=store.dispatch_number(SYNC))
        assert claim is not None
        assert (claim.trigger, claim.full_sync) == (Trigger.MANUAL, False)
        assert list(store.requested_syncs(limit=10)) == []
        assert store.take_up_dispatch(SYNC, claim.number) is True
        store.finish_run(begin(store, run="run-2"), end(next_sync_at=datetime(2999, 1, 1, tzinfo=UTC)))
        assert list(store.requested_syncs(limit=10)) == []

    def test_a_locked_or_paused_sync_is_not_startable_by_request(self, store: StateStore) -> None:
        seed(store)
        assert store.request_run(SYNC, full_sync=False) is True
        store.set_paused(SYNC, True, reason="user", user_id=None)
        assert list(store.requested_syncs(limit=10)) == []
        store.set_paused(SYNC, False, reason=None, user_id=None)
        begin(store)
        assert list(store.requested_syncs(limit=10)) == []
        assert store.claim_dispatch(SYNC, expected_number=store.dispatch_number(SYNC)) is None

    def test_a_full_run_asked_for_during_a_run_is_due_when_it_ends(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        assert store.request_run(SYNC, full_sync=True) is False
        store.finish_run(lock, end(next_sync_at=datetime(2999, 1, 1, tzinfo=UTC)))
        claim = store.claim_dispatch(SYNC, expected_number=0)
        assert claim is not None
        assert claim.full_sync is True

    def test_a_checkpoint_makes_the_next_run_a_resumption(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(checkpoint=Checkpoint(1, PassKind.FULL_LISTING, "c")))
        store.finish_run(lock, end(Outcome.INTERRUPTED, keep_checkpoint=True))
        claim = store.claim_dispatch(SYNC, expected_number=0)
        assert claim is not None
        assert claim.trigger is Trigger.RESUME

    def test_resuming_makes_a_sync_due_now(self, store: StateStore) -> None:
        seed(store)
        store.set_paused(SYNC, True, reason="user", user_id="usr_1")
        resumed = store.set_paused(SYNC, False, reason=None, user_id="usr_1")
        assert (resumed.status, resumed.paused, resumed.is_active) == ("PENDING", False, True)
        assert SYNC in [due.sync_config_id for due in store.due_syncs(limit=10)]

    def test_a_postponed_sync_waits(self, store: StateStore) -> None:
        seed(store)
        far = datetime(2999, 1, 1, tzinfo=UTC)
        store.postpone(SYNC, far)
        begin(store, OTHER_SYNC)
        store.postpone(OTHER_SYNC, far)
        assert store.load_sync(SYNC).next_sync_at == far
        assert store.load_sync(OTHER_SYNC).next_sync_at == MOMENT
