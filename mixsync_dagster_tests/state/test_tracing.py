"""What is known of single items, and what runs did with them, on both databases."""

from __future__ import annotations

from mixsync_dagster.model.objects import PutStatus
from mixsync_dagster.model.progress import Commit, Counters, Refusal
from mixsync_dagster.ports.state import Removal
from mixsync_dagster.state.codec import to_micros
from mixsync_dagster.testing.contracts.state_samples import SYNC, begin, end, failure, object_id, placed, seed


def outcomes(store, run, **more):
    found, _ = store.run_outcomes(store.get_run(run), **{"after": None, "offset": 0, "limit": 10, **more})
    return [(one.source_object_id, one.outcome) for one in found]


def test_an_item_is_found_by_id_and_by_path(store):
    seed(store)
    store.commit(begin(store), Commit(placed=[placed("a\x00"), placed("b", status=PutStatus.DUPLICATE, owner="a\x00")]))
    one = store.trace_item(SYNC, "a\x00")
    assert (one.path, one.version, one.duplicate_of, one.letter, one.refused) == (
        "videos/a\x00",
        "v1",
        None,
        None,
        False,
    )
    assert one.placed.object_id == object_id("a\x00")
    assert store.trace_item(SYNC, "videos/a\x00") == one
    other = store.trace_item(SYNC, "videos/b")
    assert (other.duplicate_of, other.placed.object_id) == (object_id("a\x00"), object_id("a\x00"))
    assert store.trace_item(SYNC, "c").source_object_id is None
    assert store.trace_item("sync_archive", "a\x00").placed is None


def test_failures_and_refusals_are_found(store):
    seed(store)
    lock = begin(store)
    store.commit(lock, Commit(placed=[placed("a")], failed=[failure("f")], refused=[Refusal("r", "v1", None, "x")]))
    store.commit(lock, Commit(failed=[failure("a", "v2")]))
    assert store.trace_item(SYNC, "f").letter.error_type == "download_failed"
    assert store.trace_item(SYNC, "videos/f").source_object_id == "f"
    assert store.trace_item(SYNC, "r").refused
    both = store.trace_item(SYNC, "a")
    assert (both.version, both.letter.version) == ("v1", "v2")
    store.commit(lock, Commit(placed=[placed("f")]))
    assert store.trace_item(SYNC, "f").letter is None


def test_a_run_tells_what_it_did_with_each_item(store, clock):
    seed(store)
    lock = begin(store, run="run-1")
    store.commit(lock, Commit(placed=[placed("a"), placed("b"), placed("c")], counters=Counters(created=3)))
    store.commit(lock, Commit(failed=[failure("f")], counters=Counters(failed=1)))
    store.finish_run(lock, end())
    assert outcomes(store, "run-1") == [("a", "created"), ("b", "created"), ("c", "created"), ("f", "failed")]
    assert store.count_run_outcomes(store.get_run("run-1")) == 4
    found, more = store.run_outcomes(store.get_run("run-1"), after=("a", "created"), offset=1, limit=1)
    assert ([one.source_object_id for one in found], more) == (["c"], True)


def test_items_are_told_by_the_run_that_did_the_last_thing_with_them(store, clock):
    seed(store)
    lock = begin(store, run="run-1")
    store.commit(lock, Commit(placed=[placed(key) for key in "abc"], counters=Counters(created=3)))
    store.finish_run(lock, end())
    clock.advance(60)
    second = begin(store, run="run-2")
    with store._database.write() as tx:
        tx.run("UPDATE runs SET started_at = ? WHERE sync_run_id = 'run-2'", to_micros(clock.now()))
    clock.advance(1)
    store.commit(second, Commit(placed=[placed("b", "v2", PutStatus.REPLACED)], counters=Counters(replaced=1)))
    store.commit_removals(second, [Removal("c", object_id("c"), shared=False)], Counters(removed=1))
    store.finish_run(second, end())
    assert outcomes(store, "run-1") == [("a", "created")]
    assert outcomes(store, "run-2") == [("b", "updated"), ("c", "removed")]
