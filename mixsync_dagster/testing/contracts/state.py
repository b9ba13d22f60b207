"""What every state store has to do.

Bind it in an adapter's tests:

    class TestMyStore(StateStoreContract):
        @pytest.fixture
        def store(self) -> Iterator[StateStore]: ...

`store` is empty and new for each test. The clock of its leases may be a real one: nothing here waits.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from mixsync_dagster.errors import AlreadyLocked, Conflict, InvalidInput, LockLost, NotFound
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.objects import BatchMember, PutStatus
from mixsync_dagster.model.progress import Checkpoint, Commit, Counters, Intent, Outcome, PassKind, Trigger
from mixsync_dagster.ports.state import Removal
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
    object_id,
    placed,
    seed,
    sha256,
    sync,
)

UGLY_KEYS = (
    "Z",
    "a",
    "é",
    "😀",
    "\x00",
    "a\x00b",
    "a\x01b",
    "a\x01",
    "a\x02",
    "a\nb",
    "a//b",
    "../a",
    "%25",
    "e\u0301",
    "\u202eabc",
    "\uffff",
    "k" * 1024,
    "😀" * 256,
)
"""Keys that a store has to keep apart, in any order."""


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


class InventoryContract:
    """The inventory: what was put where, in the order of the key's bytes."""

    def test_keys_come_back_in_the_order_of_their_code_points(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed(key) for key in UGLY_KEYS]))
        keys = store.inventory_span(SYNC, None, None).column("source_object_id").to_pylist()
        assert keys == sorted(UGLY_KEYS)
        assert keys.index("Z") < keys.index("a") < keys.index("é") < keys.index("😀")

    def test_a_span_excludes_its_start_and_includes_its_end(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed(key) for key in UGLY_KEYS]))
        ordered = sorted(UGLY_KEYS)
        for low, high in itertools.pairwise(ordered):
            assert store.inventory_span(SYNC, low, high).column("source_object_id").to_pylist() == [high]
        assert store.inventory_span(SYNC, None, ordered[2]).num_rows == 3
        assert store.inventory_span(SYNC, ordered[2], None).num_rows == len(ordered) - 3

    def test_a_row_holds_what_was_placed(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a\x00b", 'v"1')]))
        assert store.inventory_of(SYNC, ["a\x00b", "absent"]).to_pylist() == [
            {
                "source_object_id": "a\x00b",
                "object_id": object_id("a\x00b"),
                "path": "videos/a\x00b",
                "version": 'v"1',
                "metadata_version": None,
                "size_bytes": 3,
            }
        ]

    def test_splits_are_every_nth_key(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed(f"k{number:02d}") for number in range(7)]))
        assert list(store.inventory_splits(SYNC, 3)) == ["k02", "k05"]
        assert list(store.inventory_splits(SYNC, 8)) == []
        assert list(store.inventory_splits(OTHER_SYNC, 3)) == []
        assert store.inventory_size(SYNC) == 7

    def test_an_object_is_tombstoned_once_no_sync_holds_it(self, store: StateStore) -> None:
        seed(store)
        lock, other = begin(store), begin(store, OTHER_SYNC, "run-2")
        store.commit(lock, Commit(placed=[placed("a"), placed("b")]))
        store.commit(other, Commit(placed=[placed("a", status=PutStatus.ALREADY_PRESENT)]))
        store.commit(lock, Commit(missing=["a", "b"], checkpoint=Checkpoint(4, PassKind.FULL_LISTING)))
        found = store.next_removals(SYNC, 4, limit=10)
        assert list(found) == [Removal("a", object_id("a"), shared=True), Removal("b", object_id("b"), shared=False)]
        assert store.count_missing(SYNC, 4) == 2
        assert store.count_missing(SYNC, 3) == 0
        store.commit_removals(lock, found, Counters(removed=2))
        store.commit_removals(lock, found, Counters())
        assert [stored.source_object_id for stored in store.list_objects(BUCKET)] == ["a"]
        assert store.inventory_size(SYNC) == 0
        store.commit(other, Commit(missing=["a"], checkpoint=Checkpoint(1, PassKind.FULL_LISTING)))
        store.commit_removals(other, store.next_removals(OTHER_SYNC, 1, limit=10), Counters(removed=1))
        assert store.count_objects(BUCKET) == 0

    def test_what_no_commit_of_the_pass_named_as_listed_is_missing(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed(key) for key in ("a", "b", "c")]))
        store.commit(lock, Commit(listed=["a", "c"], checkpoint=Checkpoint(3, PassKind.FULL_LISTING)))
        store.commit(lock, Commit(listed=["b", "new"], checkpoint=Checkpoint(4, PassKind.FULL_LISTING)))
        store.mark_unlisted(lock, 4)
        assert [removal.source_object_id for removal in store.next_removals(SYNC, 4, limit=9)] == ["a", "c"]

    def test_what_a_complete_unordered_pass_never_named_is_missing(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed(key) for key in ("a", "b\x00", "c")]))
        store.commit(lock, Commit(listed=["a", "b\x00"], checkpoint=Checkpoint(1, PassKind.FULL_LISTING)))
        store.commit(lock, Commit(listed=["a", "absent"], checkpoint=Checkpoint(2, PassKind.FULL_LISTING)))
        for _ in range(2):
            store.mark_unlisted(lock, 2)
        gone = [removal.source_object_id for removal in store.next_removals(SYNC, 2, limit=10)]
        assert gone == ["b\x00", "c"]
        assert store.inventory_size(SYNC) == 3

    def test_a_missing_row_that_is_placed_again_is_no_candidate(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a")]))
        store.commit(lock, Commit(missing=["a"], checkpoint=Checkpoint(2, PassKind.FULL_LISTING)))
        store.commit(lock, Commit(placed=[placed("a", "v2", PutStatus.REPLACED)]))
        assert list(store.next_removals(SYNC, 2, limit=10)) == []


class CommitContract:
    """Commits: effects and progress together, and repeats that change nothing but counters."""

    def test_the_same_step_twice_changes_nothing_but_counters(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        step = Commit(
            placed=[placed("a")],
            failed=[failure("b")],
            checkpoint=Checkpoint(1, PassKind.FULL_LISTING, "after-b", shards_done=1, objects_processed=2),
            counters=Counters(discovered=2, created=1, failed=1, bytes=3, filtered={"size": 1}),
        )
        store.commit(lock, step)
        before = (list(store.list_objects(BUCKET)), store.inventory_span(SYNC, None, None))
        store.commit(lock, step)
        after = (list(store.list_objects(BUCKET)), store.inventory_span(SYNC, None, None))
        assert before[0] == after[0]
        assert before[1].equals(after[1])
        assert [letter.retry_count for letter in store.list_dead_letters(SYNC)] == [0]
        assert len(store.seal_batches(lock, chunk_size=10, include_partial=True)) == 1
        assert store.load_checkpoint(SYNC) == step.checkpoint
        twice = Counters(discovered=4, created=2, failed=2, bytes=6, filtered={"size": 2})
        assert store.get_run("run-1").counters == twice
        shown = store.load_sync(SYNC)
        assert (shown.total_files_discovered, shown.total_files_synced, shown.total_files_failed) == (4, 2, 0)
        assert (shown.resume_cursor, shown.resume_objects_processed) == ("after-b", 2)

    def test_a_replaced_object_keeps_its_id_and_loses_its_old_content(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a", content="old")]))
        store.commit(lock, Commit(placed=[placed("a", "v2", PutStatus.REPLACED, content="new")]))
        [stored] = store.objects_by_id([object_id("a"), "obj_absent"])
        assert (stored.version, stored.blobs[0].sha256) == ("v2", sha256("new"))
        assert store.versions_by_id([object_id("a")]) == {object_id("a"): "v2"}
        owners = store.owners_of_content(BUCKET, [sha256("old"), sha256("new")])
        assert owners == {sha256("new"): object_id("a")}
        assert store.owners_of_content("bkt_other", [sha256("new")]) == {}

    def test_a_moved_object_gets_its_new_path_and_keeps_its_blobs(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a", content="kept")]))
        store.commit(lock, Commit(moved=[placed("a", content="ignored", fields={"title": "renamed"})]))
        [stored] = store.list_objects(BUCKET)
        assert (stored.fields, stored.blobs[0].sha256) == ({"title": "renamed"}, sha256("kept"))

    @pytest.mark.parametrize("change", ["replaced", "removed"])
    def test_rows_that_lean_on_a_changed_object_look_changed(self, store: StateStore, change: str) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a")]))
        store.commit(lock, Commit(placed=[placed("b", status=PutStatus.DUPLICATE, owner="a")]))
        assert store.inventory_of(SYNC, ["b"]).column("version").to_pylist() == ["v1"]
        assert store.count_objects(BUCKET) == 1
        if change == "replaced":
            store.commit(lock, Commit(placed=[placed("a", "v2", PutStatus.REPLACED)]))
        else:
            store.commit_removals(lock, [Removal("a", object_id("a"), shared=False)], Counters(removed=1))
        assert store.inventory_of(SYNC, ["b"]).column("version").to_pylist() != ["v1"]

    def test_removing_a_duplicate_leaves_the_object_it_leans_on(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a"), placed("b", status=PutStatus.DUPLICATE, owner="a")]))
        store.commit(lock, Commit(missing=["b"], checkpoint=Checkpoint(1, PassKind.FULL_LISTING)))
        store.commit_removals(lock, store.next_removals(SYNC, 1, limit=10), Counters())
        assert [stored.source_object_id for stored in store.list_objects(BUCKET)] == ["a"]

    def test_intents_stay_open_until_their_outcome_is_committed(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        intents = [Intent(object_id(key), key, "v1") for key in ("a", "b\x00", "c", "d")]
        store.record_intents(lock, intents)
        store.record_intents(lock, intents)
        assert sorted(store.open_intents(SYNC), key=lambda intent: intent.source_object_id) == intents
        store.commit(lock, Commit(placed=[placed("a")], failed=[failure("b\x00")], vanished=["c"]))
        assert list(store.open_intents(SYNC)) == [intents[3]]
        store.clear_intents(lock, [object_id("d")])
        assert list(store.open_intents(SYNC)) == []

    def test_pass_numbers_outlive_their_checkpoints(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        assert (store.load_checkpoint(SYNC), store.last_pass_number(SYNC)) == (None, 0)
        store.commit(lock, Commit(checkpoint=Checkpoint(7, PassKind.FULL_LISTING, "c")))
        store.finish_run(lock, end())
        assert (store.load_checkpoint(SYNC), store.last_pass_number(SYNC)) == (None, 7)
        assert store.load_sync(SYNC).resume_cursor is None

    def test_the_table_of_objects_holds_their_json(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a\x00", fields={"n": 1, "when": "today"})]))
        [row] = store.objects_table(BUCKET, sync_config_id=SYNC).to_pylist()
        assert (row["source_object_id"], row["fields"]) == ("a\x00", '{"n":1,"when":"today"}')
        assert row["blobs"].startswith('[{"property":"content","type":"video"')
        assert store.objects_table(BUCKET, sync_config_id=OTHER_SYNC).num_rows == 0

    def test_objects_are_paged_by_id(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed(key) for key in "abcde"]))
        ids = sorted(object_id(key) for key in "abcde")
        page = store.list_objects(BUCKET, after=ids[1], limit=2)
        assert [stored.object_id for stored in page] == ids[2:4]
        assert list(store.list_objects("bkt_other")) == []


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
        assert [run.status for run in store.list_runs(SYNC)] == ["running", "interrupted"]

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
        first = store.request_run(SYNC, full_sync=False)
        second = store.request_run(SYNC, full_sync=True)
        assert first is not None
        assert second is not None
        assert (second.number, second.trigger, second.full_sync) == (2, Trigger.MANUAL, True)
        assert store.take_up_dispatch(SYNC, first.number) is False
        assert store.take_up_dispatch(SYNC, second.number) is True
        assert store.load_sync(SYNC).pending_full_sync is False

    def test_a_full_run_asked_for_during_a_run_is_due_when_it_ends(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        assert store.request_run(SYNC, full_sync=True) is None
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


class StateStoreContract(
    LockContract,
    InventoryContract,
    CommitContract,
    DeadLetterContract,
    BatchContract,
    RunContract,
    ConfigStoreContract,
    DispatchContract,
):
    """Everything at once."""
