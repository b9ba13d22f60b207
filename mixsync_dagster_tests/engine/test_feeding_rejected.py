"""What a change feed tells and cannot be a row: a dead letter, as in a listing."""

from __future__ import annotations

from collections.abc import Callable

from mixsync_dagster.engine.context import SyncView
from mixsync_dagster.engine.feeding import list_changes
from mixsync_dagster.model.items import RejectedItem
from mixsync_dagster.ports.provider import ChangePage, Cursor
from mixsync_dagster.testing.memory_feed import MemoryFeedProvider
from mixsync_dagster_tests.engine.support import World


def test_a_changed_item_that_cannot_be_a_row_becomes_a_dead_letter_until_it_can_be_one(
    fed: Callable[..., World],
) -> None:
    world = fed()
    world.put("a", "b")
    world.run()
    world.storage.put("b", b"new b", rejected="its name is not valid Unicode.")
    world.put("c")
    record = world.run()
    assert record.status == "completed_with_errors"
    assert (record.counters.discovered, record.counters.created, record.counters.failed) == (2, 1, 1)
    assert (record.counters.removed, record.counters.replaced) == (0, 0)
    letter = world.letters()["b"]
    assert (letter.state, letter.error_type) == ("quarantined", "unsupported_name")
    world.storage.put("b", b"newer b")
    assert world.run().counters.replaced == 1
    assert world.contents() == world.source()
    assert "b" not in world.letters()


def test_of_an_item_and_its_rejection_the_last_word_counts(fed: Callable[..., World]) -> None:
    world = fed()
    world.put("a", "b", "c")
    odd = {name: RejectedItem(f"memory/{name}", name, "unsupported_name", "no name.") for name in "abc"}
    provider = world.provider
    assert isinstance(provider, MemoryFeedProvider)
    table = provider._table
    pages = [
        ChangePage(table(["a"]), ("memory/c",), Cursor("1"), caught_up=False, rejected=(odd["b"],)),
        ChangePage(table(["b"]), (), Cursor("2"), caught_up=True, rejected=(odd["a"], odd["c"])),
    ]
    provider.changes = lambda _after: iter(pages)  # type: ignore[method-assign]
    (shard,) = list_changes(SyncView(world.tools(), world.sync), "0")
    assert shard.table.column("path").to_pylist() == ["b"]
    assert (shard.rejected, shard.gone, shard.discovered) == ((odd["a"], odd["c"]), (), 3)
