"""What every state store has to do with the effects of a run: inventory, catalog and commits."""

from __future__ import annotations

import itertools

import pytest

from mixsync_dagster.model.objects import PutStatus
from mixsync_dagster.model.progress import Checkpoint, Commit, Counters, Intent, PassKind
from mixsync_dagster.ports.state import Removal
from mixsync_dagster.testing.contracts.state_samples import (
    BUCKET,
    OTHER_SYNC,
    SYNC,
    StateStore,
    begin,
    end,
    failure,
    object_id,
    placed,
    seed,
    sha256,
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
        store.finish_run(lock, end(status="COMPLETED", is_active=False, next_sync_at=None))
        assert [sync.sync_config_id for sync in store.requested_syncs(limit=10)] == [SYNC]

    def test_rows_that_lean_on_a_changed_object_wait_for_a_paused_sync_to_be_resumed(self, store: StateStore) -> None:
        seed(store)
        lock = begin(store)
        store.commit(lock, Commit(placed=[placed("a"), placed("b", status=PutStatus.DUPLICATE, owner="a")]))
        store.set_paused(SYNC, paused=True, reason=None, user_id=None)
        store.commit_removals(lock, [Removal("a", object_id("a"), shared=False)], Counters(removed=1))
        store.finish_run(lock, end())
        assert list(store.requested_syncs(limit=10)) == []

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
