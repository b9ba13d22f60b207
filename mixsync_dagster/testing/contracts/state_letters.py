"""What every state store has to do for the people who look after dead letters: requeue, discard, list by pages."""

from __future__ import annotations

from mixsync_dagster.model.progress import Commit
from mixsync_dagster.testing.contracts.state_samples import (
    OTHER_SYNC,
    SYNC,
    StateStore,
    begin,
    failure,
    placed,
    seed,
)

OPEN = ("waiting", "quarantined")


def ids(store: StateStore, *states: str, sync_config_id: str = SYNC) -> dict[str, str]:
    """Return the dead letter ids of a sync by source object id."""
    found = [one for state in states or OPEN for one in store.list_dead_letters(sync_config_id, state=state)]
    return {letter.source_object_id: letter.dead_letter_id for letter in found}


class DeadLetterControlContract:
    """Requeueing and discarding: of one sync, in one state, in chunks that the caller chooses."""

    def test_a_requeued_letter_waits_with_no_retry_counted(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(failed=[failure("a"), failure("b", permanent=True)]))
        for _ in range(3):
            store.count_retries(lock, ["a"])
        chosen = ids(store)
        assert store.requeue_dead_letters(SYNC, [*chosen.values(), "dlq_absent"]) == 2
        letters = store.dead_letters_of(SYNC, ["a", "b"])
        assert {(one.state, one.retry_count, one.resolved_at) for one in letters.values()} == {("waiting", 0, None)}
        assert None not in {one.requeued_at for one in letters.values()}

    def test_a_discarded_letter_stands_for_its_version(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(failed=[failure("a"), failure("b", permanent=True)]))
        assert store.discard_dead_letters(SYNC, list(ids(store).values()), reason="not \x00needed") == 2
        letters = store.dead_letters_of(SYNC, ["a", "b"])
        assert [one.state for one in letters.values()] == ["discarded", "discarded"]
        assert letters["a"].error_message == "discarded (not \x00needed): the connection was reset"
        assert letters["a"].resolved_at is not None
        assert list(store.list_dead_letters(SYNC)) == []
        assert not store.has_open_dead_letters(SYNC)
        assert store.has_standing_dead_letters(SYNC)
        assert sorted(store.standing_dead_letter_ids(SYNC, None, None)) == ["a", "b"]
        assert list(store.standing_dead_letter_ids(SYNC, "a", "b")) == ["b"]

    def test_a_newer_version_of_a_discarded_item_starts_anew(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(failed=[failure("a", permanent=True)]))
        store.discard_dead_letters(SYNC, list(ids(store).values()), reason="no")
        store.commit(lock, Commit(failed=[failure("a", "v2")]))
        [letter] = store.list_dead_letters(SYNC)
        assert (letter.state, letter.version, letter.resolved_at) == ("waiting", "v2", None)

    def test_success_closes_a_discarded_letter_and_nothing_waits_again(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(failed=[failure("a", permanent=True)]))
        chosen = list(ids(store).values())
        store.discard_dead_letters(SYNC, chosen, reason="no")
        store.commit(lock, Commit(placed=[placed("a", "v2")]))
        assert not store.has_standing_dead_letters(SYNC)
        assert store.requeue_dead_letters(SYNC, chosen) == 0
        assert store.discard_dead_letters(SYNC, chosen, reason="no") == 0

    def test_a_discarded_letter_can_be_requeued_and_is_not_discarded_twice(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(failed=[failure("a", permanent=True)]))
        chosen = list(ids(store).values())
        assert store.discard_dead_letters(SYNC, chosen, reason="no") == 1
        assert store.discard_dead_letters(SYNC, chosen, reason="again") == 0
        assert store.requeue_dead_letters(SYNC, chosen) == 1
        assert [(one.state, one.resolved_at) for one in store.list_dead_letters(SYNC)] == [("waiting", None)]

    def test_letters_of_another_sync_are_left_alone(self, store: StateStore) -> None:
        seed(store)
        store.commit(begin(store), Commit(failed=[failure("a", permanent=True)]))
        store.commit(begin(store, OTHER_SYNC, "run-2"), Commit(failed=[failure("a", permanent=True)]))
        foreign = list(ids(store, sync_config_id=OTHER_SYNC).values())
        assert store.requeue_dead_letters(SYNC, foreign) == 0
        assert store.discard_dead_letters(SYNC, foreign, reason="no") == 0
        assert [one.state for one in store.list_dead_letters(OTHER_SYNC)] == ["quarantined"]

    def test_ids_are_paged_in_order_and_filtered(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(failed=[failure(f"k{n}", permanent=n % 2 == 0) for n in range(9)]))
        every = sorted(ids(store).values())
        found: list[str] = []
        after = None
        while page := store.dead_letter_ids(SYNC, states=OPEN, after=after, limit=2):
            found += page
            after = page[-1]
        assert found == every
        assert len(store.dead_letter_ids(SYNC, states=("quarantined",), limit=100)) == 5
        assert len(store.dead_letter_ids(SYNC, states=OPEN, error_types=("a", "download_failed"), limit=100)) == 9
        assert list(store.dead_letter_ids(SYNC, states=OPEN, error_types=("archived",), limit=100)) == []
        listed = store.list_dead_letters(SYNC, limit=4)
        assert [letter.dead_letter_id for letter in listed] == every[:4]

    def test_retries_are_taken_back_down_to_none(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(failed=[failure("a"), failure("b", permanent=True)]))
        for _ in range(2):
            store.count_retries(lock, ["a"])
        counts = []
        for _ in range(3):
            store.take_back_retries(lock, ["a", "b", "absent"])
            counts.append(store.dead_letters_of(SYNC, ["a"])["a"].retry_count)
        assert counts == [1, 0, 0]
