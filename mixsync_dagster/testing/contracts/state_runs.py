"""What every state store has to do for a run: locks, dead letters, batches and run records."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mixsync_dagster.errors import AlreadyLocked, LockLost, NotFound
from mixsync_dagster.model.objects import BatchMember, PutStatus
from mixsync_dagster.model.progress import Checkpoint, Commit, Counters, Outcome, PassKind
from mixsync_dagster.testing.contracts.state_samples import (
    BUCKET,
    MOMENT,
    OTHER_SYNC,
    SYNC,
    StateStore,
    begin,
    end,
    failure,
    object_id,
    placed,
    seed,
)


class LockContract:
    """Locks: at most one holder, and a generation that fences the ones before."""

    def test_a_held_lock_is_refused_with_its_holder(self, store: StateStore) -> None:
        seed(store)
        lock = store.acquire(SYNC, "worker-1", "run-1", ttl_seconds=60)
        with pytest.raises(AlreadyLocked) as refusal:
            store.acquire(SYNC, "worker-2", "run-2", ttl_seconds=60)
        assert (refusal.value.owner, refusal.value.expires_at) == ("worker-1", lock.expires_at)

    def test_an_expired_lock_is_taken_over_under_the_next_generation(self, store: StateStore) -> None:
        seed(store)
        first = store.acquire(SYNC, "worker-1", "run-1", ttl_seconds=0)
        second = store.acquire(SYNC, "worker-2", "run-2", ttl_seconds=60)
        assert (first.generation, second.generation) == (1, 2)

    def test_a_released_lock_keeps_its_generation(self, store: StateStore) -> None:
        seed(store)
        lock = store.acquire(SYNC, "worker-1", "run-1", ttl_seconds=60)
        store.release(lock)
        store.release(lock)
        assert store.acquire(SYNC, "worker-1", "run-2", ttl_seconds=60).generation == 2

    def test_releasing_after_a_takeover_leaves_the_successor_alone(self, store: StateStore) -> None:
        seed(store)
        old = store.acquire(SYNC, "worker-1", "run-1", ttl_seconds=0)
        new = store.acquire(SYNC, "worker-2", "run-2", ttl_seconds=60)
        store.release(old)
        assert store.renew(new, ttl_seconds=60).generation == 2

    def test_an_expired_lock_that_nobody_took_is_renewed(self, store: StateStore) -> None:
        seed(store)
        lock = store.acquire(SYNC, "worker-1", "run-1", ttl_seconds=0)
        assert store.renew(lock, ttl_seconds=60).expires_at > lock.expires_at

    def test_a_lock_that_was_taken_over_is_not_renewed(self, store: StateStore) -> None:
        seed(store)
        old = store.acquire(SYNC, "worker-1", "run-1", ttl_seconds=0)
        store.acquire(SYNC, "worker-2", "run-2", ttl_seconds=60)
        with pytest.raises(LockLost):
            store.renew(old, ttl_seconds=60)

    def test_an_unlocked_holder_writes_nothing_more(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        assert store.unlock(SYNC) == "worker-1"
        assert store.unlock(SYNC) is None
        with pytest.raises(LockLost):
            store.commit(lock, Commit(placed=[placed("a")]))
        assert store.count_objects(BUCKET) == 0

    def test_an_expired_holder_that_nobody_superseded_may_finish(self, store: StateStore) -> None:
        seed(store)
        lock = store.acquire(SYNC, "worker-1", "run-1", ttl_seconds=0)
        store.commit(lock, Commit(placed=[placed("a")]))
        assert store.count_objects(BUCKET) == 1
        assert store.count_objects(BUCKET, sync_config_id=SYNC) == 1
        assert store.count_objects(BUCKET, sync_config_id=OTHER_SYNC) == 0

    def test_the_sync_shows_who_holds_it(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        shown = store.get_sync("videos")
        assert (shown.locked, shown.locked_by_worker_id) == (True, "worker-1")
        assert shown.lock_expires_at == lock.expires_at
        store.release(lock)
        assert store.get_sync("videos").locked is False

    def test_an_unknown_sync_cannot_be_locked(self, store: StateStore) -> None:
        with pytest.raises(NotFound):
            store.acquire("sync_none", "worker-1", "run-1", ttl_seconds=60)


class DeadLetterContract:
    """Dead letters: one try and three retries a version, and a newer version starts anew."""

    def test_the_fourth_failure_quarantines(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        states = []
        for _ in range(4):
            store.commit(lock, Commit(failed=[failure("a")]))
            [letter] = store.list_dead_letters(SYNC)
            states.append((letter.state, letter.retry_count))
            store.count_retries(lock, ["a", "absent"])
        assert states == [("waiting", 0), ("waiting", 1), ("waiting", 2), ("quarantined", 3)]
        assert store.load_sync(SYNC).total_files_failed == 1
        assert store.dead_letters_of(SYNC, ["a", "b"])["a"].retry_count == 3

    def test_a_permanent_failure_quarantines_at_once_and_counts_once(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        for _ in range(2):
            store.commit(lock, Commit(failed=[failure("a", permanent=True)]))
        assert [letter.state for letter in store.list_dead_letters(SYNC)] == ["quarantined"]
        assert store.load_sync(SYNC).total_files_failed == 1

    def test_a_newer_version_starts_anew(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(failed=[failure("a", permanent=True)]))
        store.commit(lock, Commit(failed=[failure("a", "v2")]))
        [letter] = store.list_dead_letters(SYNC)
        assert (letter.state, letter.retry_count, letter.version) == ("waiting", 0, "v2")

    def test_success_resolves_and_a_later_failure_starts_anew(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(failed=[failure("a"), failure("b")]))
        store.count_retries(lock, ["a"])
        assert store.has_open_dead_letters(SYNC)
        store.commit(lock, Commit(placed=[placed("a")], vanished=["b"]))
        assert not store.has_open_dead_letters(SYNC)
        assert [letter.state for letter in store.list_dead_letters(SYNC, state="resolved")] == ["resolved"] * 2
        store.commit(lock, Commit(failed=[failure("a")]))
        assert store.dead_letters_of(SYNC, ["a"])["a"].retry_count == 0

    def test_dead_letters_are_paged_and_filtered(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(failed=[failure(f"k\x00{number}") for number in range(5)]))
        first = store.list_dead_letters(SYNC, limit=3)
        rest = store.list_dead_letters(SYNC, after=first[-1].dead_letter_id, limit=3)
        assert len({letter.source_object_id for letter in (*first, *rest)}) == 5
        assert list(store.list_dead_letters(SYNC, error_type="archived")) == []


class BatchContract:
    """Batches: a version is in one for ever, and a sealed one waits in the outbox until it is submitted."""

    def test_members_are_cut_into_chunks_and_a_rest(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed(key) for key in "abcde"]))
        whole = store.seal_batches(lock, chunk_size=2, include_partial=False)
        rest = store.seal_batches(lock, chunk_size=2, include_partial=True)
        assert ([batch.size for batch in whole], [batch.size for batch in rest]) == ([2, 2], [1])
        assert list(store.seal_batches(lock, chunk_size=2, include_partial=True)) == []
        members = [member for batch in (*whole, *rest) for member in store.batch_members(batch.batch_id)]
        assert sorted(members, key=lambda m: m.object_id) == [
            BatchMember(identifier, "v1") for identifier in sorted(object_id(key) for key in "abcde")
        ]
        assert {stored.batch_id for stored in store.list_objects(BUCKET)} == {b.batch_id for b in (*whole, *rest)}

    def test_a_submitted_batch_leaves_the_outbox(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a")]))
        [batch] = store.seal_batches(lock, chunk_size=10, include_partial=True)
        store.claim_submission(lock, batch.batch_id)
        [entry] = store.pending_submissions(SYNC, limit=10)
        assert (entry.batch_id, entry.attempts) == (batch.batch_id, 1)
        for _ in range(2):
            store.record_submission(lock, batch.batch_id, "task-1", Counters(batches_created=1))
        assert list(store.pending_submissions(SYNC, limit=10)) == []
        [listed] = store.list_batches(BUCKET)
        assert (listed.state, listed.task_id) == ("submitted", "task-1")
        shown = store.load_sync(SYNC)
        assert (shown.batch_ids, shown.task_ids, shown.batches_created) == ((batch.batch_id,), ("task-1",), 2)

    def test_a_put_whose_commit_was_lost_still_becomes_a_member(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        present = placed("a", status=PutStatus.ALREADY_PRESENT)
        store.commit(lock, Commit(placed=[present]))
        assert len(store.seal_batches(lock, chunk_size=10, include_partial=True)) == 1
        store.commit(lock, Commit(placed=[present]))
        assert list(store.seal_batches(lock, chunk_size=10, include_partial=True)) == []

    def test_nothing_is_batched_when_not_asked_for(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a")], for_batches=False))
        store.commit(lock, Commit(placed=[placed("a", status=PutStatus.ALREADY_PRESENT)]))
        assert list(store.seal_batches(lock, chunk_size=10, include_partial=True)) == []

    def test_batches_are_listed_newest_first_after_one(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed(key) for key in "abc"]))
        sealed = [batch.batch_id for batch in store.seal_batches(lock, chunk_size=1, include_partial=True)]
        listed = [batch.batch_id for batch in store.list_batches(BUCKET)]
        assert listed == sealed[::-1]
        assert [batch.batch_id for batch in store.list_batches(BUCKET, after=listed[0], limit=1)] == [listed[1]]


class RunContract:
    """Runs: their records, and what their end makes of the sync."""

    def test_a_finished_run_frees_the_lock_and_settles_the_sync(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(counters=Counters(created=1)))
        later = MOMENT + timedelta(hours=1)
        record = store.finish_run(lock, end(next_sync_at=later))
        assert (record.status, record.counters.created) == ("completed", 1)
        assert store.get_run("run-1") == record
        shown = store.load_sync(SYNC)
        assert (shown.status, shown.next_sync_at, shown.last_sync_at) == ("ACTIVE", later, MOMENT)
        assert (shown.locked, shown.sync_run_counter, shown.current_sync_run_id) == (False, 1, "run-1")
        with pytest.raises(LockLost):
            store.finish_run(lock, end())

    def test_failures_in_a_row_are_counted_until_a_run_completes(self, store: StateStore) -> None:
        seed(store)
        counts = []
        for number, outcome in enumerate(
            (Outcome.FAILED, Outcome.FAILED, Outcome.INTERRUPTED, Outcome.COMPLETED_WITH_ERRORS)
        ):
            lock = begin(store, run=f"run-{number}")
            error = "it broke" if outcome is Outcome.FAILED else None
            store.finish_run(lock, end(outcome, error=error))
            shown = store.load_sync(SYNC)
            counts.append(shown.consecutive_failures)
        assert counts == [1, 2, 2, 0]
        assert [run.sync_run_id for run in store.list_runs(SYNC, limit=2)] == ["run-3", "run-2"]

    def test_a_new_run_closes_the_ones_that_were_left_running(self, store: StateStore) -> None:
        seed(store)
        store.release(begin(store))
        begin(store, run="run-2")
        [running, closed] = store.list_runs(SYNC)
        assert (running.status, running.error, closed.status) == ("running", None, "interrupted")
        assert "worker is gone" in (closed.error or "")
        assert closed.completed_at is not None

    @pytest.mark.parametrize(
        ("ttl_seconds", "told"), [(60, "running"), (0, "running"), (-200, "running"), (-400, "interrupted")]
    )
    def test_a_run_whose_lock_expired_long_ago_is_not_listed_as_running(
        self, store: StateStore, ttl_seconds: float, told: str
    ) -> None:
        seed(store)
        store.renew(begin(store), ttl_seconds=ttl_seconds)
        [listed] = store.list_runs(SYNC)
        assert listed.status == told
        assert (listed.error is None) == (told == "running")
        assert store.get_run("run-1").status == "running"

    def test_a_run_whose_lock_was_taken_away_is_not_listed_as_running(self, store: StateStore) -> None:
        seed(store)
        begin(store)
        store.unlock(SYNC)
        assert [run.status for run in store.list_runs(SYNC)] == ["interrupted"]

    def test_a_run_that_was_never_closed_is_not_listed_as_running_beside_its_successor(self, store: StateStore) -> None:
        seed(store)
        store.release(begin(store))
        store.acquire(SYNC, "worker-2", "run-2", ttl_seconds=60)
        assert [run.status for run in store.list_runs(SYNC)] == ["interrupted"]

    def test_an_unfinished_pass_keeps_its_checkpoint(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        reached = Checkpoint(1, PassKind.FULL_LISTING, "c", complete_so_far=False, listed_to_end=True)
        store.commit(lock, Commit(checkpoint=reached))
        store.finish_run(lock, end(Outcome.INTERRUPTED, keep_checkpoint=True))
        assert store.load_checkpoint(SYNC) == reached

    def test_a_pause_during_a_run_outlives_it(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.set_paused(SYNC, True, reason="user", user_id="usr_1")
        store.finish_run(lock, end())
        shown = store.load_sync(SYNC)
        assert (shown.status, shown.paused, shown.is_active, shown.next_sync_at) == ("SUSPENDED", True, False, None)

    def test_a_run_can_pause_its_sync(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        guarded = end(Outcome.FAILED, status="SUSPENDED", is_active=False, next_sync_at=None, paused_reason="guard")
        store.finish_run(lock, guarded)
        shown = store.load_sync(SYNC)
        assert (shown.paused, shown.pause_reason, shown.status) == (True, "guard", "SUSPENDED")
