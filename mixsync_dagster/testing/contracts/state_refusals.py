"""What every state store has to do with items that metadata filters refused."""

from __future__ import annotations

import itertools

import pytest

from mixsync_dagster.errors import LockLost
from mixsync_dagster.model.progress import REFUSAL_SCHEMA, Checkpoint, Commit, Counters, Intent, PassKind, Refusal
from mixsync_dagster.testing.contracts.state_effects import UGLY_KEYS
from mixsync_dagster.testing.contracts.state_samples import (
    OTHER_SYNC,
    SYNC,
    StateStore,
    begin,
    failure,
    object_id,
    placed,
    seed,
)


def refusal(key: str, version: str = "v1", metadata_version: str | None = None, rules: str = "r1") -> Refusal:
    """Return a refusal of an item."""
    return Refusal(key, version, metadata_version, rules)


def known(store: StateStore, sync_config_id: str = SYNC) -> list[str]:
    """Return the items whose refusal is remembered."""
    ids: list[str] = store.refusals_span(sync_config_id, None, None).column("source_object_id").to_pylist()
    return ids


class RefusalContract:
    """Refusals: one for each item of a sync, written with the commit that says so."""

    def test_a_refusal_comes_back_as_it_was_given(self, store: StateStore) -> None:
        seed(store)
        store.commit(begin(store), Commit(refused=[refusal("a\x00b", 'v"1', "m\x011", "r2"), refusal("é")]))
        expected = [
            {"source_object_id": "a\x00b", "version": 'v"1', "metadata_version": "m\x011", "rules": "r2"},
            {"source_object_id": "é", "version": "v1", "metadata_version": None, "rules": "r1"},
        ]
        found = store.refusals_of(SYNC, ["é", "absent", "a\x00b"])
        assert (found.to_pylist(), found.schema) == (expected, REFUSAL_SCHEMA)
        assert store.refusals_of(SYNC, []).num_rows == 0
        assert store.refusals_span(SYNC, None, None).to_pylist() == expected
        assert known(store, OTHER_SYNC) == []

    def test_spans_are_as_those_of_the_inventory(self, store: StateStore) -> None:
        seed(store)
        store.commit(begin(store), Commit(refused=[refusal(key) for key in UGLY_KEYS]))
        ordered = sorted(UGLY_KEYS)
        assert known(store) == ordered
        for low, high in itertools.pairwise(ordered):
            assert store.refusals_span(SYNC, low, high).column("source_object_id").to_pylist() == [high]

    def test_the_newer_refusal_replaces_the_older(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(refused=[refusal("a"), refusal("b")]))
        step = Commit(refused=[refusal("a", "v2", "m2", "r2")])
        store.commit(lock, step)
        store.commit(lock, step)
        found = store.refusals_span(SYNC, None, None).to_pylist()
        assert [tuple(row.values()) for row in found] == [("a", "v2", "m2", "r2"), ("b", "v1", None, "r1")]

    def test_what_is_placed_or_moved_or_named_as_forgotten_has_none(self, store: StateStore) -> None:
        seed(store)
        lock, other = begin(store), begin(store, OTHER_SYNC, "run-2")
        keys = ["a", "b\x00", "c\x00", "d"]
        for held in (lock, other):
            store.commit(held, Commit(refused=[refusal(key) for key in keys]))
        store.commit(lock, Commit(placed=[placed("a")]))
        store.commit(lock, Commit(moved=[placed("b\x00")]))
        store.commit(lock, Commit(forgotten=["c\x00", "absent"]))
        assert known(store) == ["d"]
        assert known(store, OTHER_SYNC) == keys

    def test_removing_the_object_of_a_refused_item_keeps_the_refusal(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a")]))
        checkpoint = Checkpoint(1, PassKind.FULL_LISTING)
        store.commit(lock, Commit(refused=[refusal("a", "v2")]))
        store.commit(lock, Commit(missing=["a"], checkpoint=checkpoint))
        store.commit_removals(lock, store.next_removals(SYNC, 1, limit=10), Counters(removed=1))
        assert store.inventory_size(SYNC) == 0
        assert known(store) == ["a"]

    def test_a_refusal_closes_intent_and_dead_letter(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(failed=[failure("a"), failure("b")]))
        store.record_intents(lock, [Intent(object_id("a"), "a", "v1")])
        store.commit(lock, Commit(refused=[refusal("a")]))
        assert list(store.dead_letters_of(SYNC, ["a", "b"])) == ["b"]
        assert list(store.open_intents(SYNC)) == []

    def test_clearing_forgets_those_of_one_sync(self, store: StateStore) -> None:
        seed(store)
        lock, other = begin(store), begin(store, OTHER_SYNC, "run-2")
        for held in (lock, other):
            store.commit(held, Commit(refused=[refusal("a")]))
        store.begin_full_sync(lock)
        store.begin_full_sync(lock)
        assert (known(store), known(store, OTHER_SYNC)) == ([], ["a"])

    def test_who_lost_the_lock_changes_none(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(refused=[refusal("a")]))
        store.unlock(SYNC)
        with pytest.raises(LockLost):
            store.begin_full_sync(lock)
        with pytest.raises(LockLost):
            store.commit(lock, Commit(refused=[refusal("b")], forgotten=["a"]))
        assert known(store) == ["a"]

    def test_a_deleted_sync_takes_them_with_it(self, store: StateStore) -> None:
        seed(store)
        store.commit(begin(store), Commit(refused=[refusal("a")]))
        store.delete_sync(SYNC)
        assert known(store) == []
