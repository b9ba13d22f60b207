"""Attributes are read where they are asked for, and fields are made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mixsync_dagster.engine.context import SyncView
from mixsync_dagster.engine.filtering import filter_items
from mixsync_dagster.engine.mapping import map_schema
from mixsync_dagster.engine.planning import plan_changes
from mixsync_dagster.errors import ItemUnreadable, ProviderUnavailable, RateLimited
from mixsync_dagster.model.items import Shard, Span
from mixsync_dagster_tests.engine.support import OddProvider, World, mapping_of, sync_of

TAGGED = mapping_of(team={"source": {"type": "tag", "key": "team"}}, content={"blob": True})
NEEDED = mapping_of(team={"source": {"type": "tag", "key": "team"}, "required": True}, content={"blob": True})


@pytest.fixture
def mapped(world: World) -> Callable[..., Shard]:
    """Plan and map the whole storage of the fixture `world` as one shard, under these settings."""

    def run(**settings: Any) -> Shard:
        view = SyncView(world.tools(), sync_of(**settings))
        pages = list(world.provider.list_pages())
        assert len(pages) == 1
        shard = filter_items(view, Shard(number=0, table=pages[0].items, span=Span(None, None)))
        return map_schema(view, plan_changes(view, shard))

    return run


def fields(shard: Shard) -> dict[str, Any]:
    texts = shard.table.column("fields").to_pylist()
    parsed = [None if text is None else json.loads(text) for text in texts]
    return dict(zip(shard.table.column("path").to_pylist(), parsed, strict=True))


def failures(shard: Shard) -> list[tuple[str, str, bool]]:
    rows = shard.table.select(["path", "error_type", "permanent"]).to_pylist()
    return [tuple(row.values()) for row in rows if row["error_type"] is not None]


def test_without_fields_nothing_is_asked(world: World, mapped: Callable[..., Shard]) -> None:
    world.put("a", "b")
    assert fields(mapped()) == {"a": {}, "b": {}}
    assert world.storage.count("attributes") == 0


def test_fields_of_the_listing_ask_for_no_attributes(world: World, mapped: Callable[..., Shard]) -> None:
    world.put("x/a")
    mapping = mapping_of(folder={"source": {"type": "folder_path"}}, kind={"source": {"type": "constant", "value": 1}})
    assert fields(mapped(schema_mapping=mapping)) == {"x/a": {"folder": "x", "kind": 1}}
    assert world.storage.count("attributes") == 0


def test_attributes_are_read_once_for_each_planned_item(world: World, mapped: Callable[..., Shard]) -> None:
    world.storage.put("a", b"a", tags={"team": "blue"})
    world.storage.put("b", b"b")
    assert fields(mapped(schema_mapping=TAGGED)) == {"a": {"team": "blue"}, "b": {}}
    assert sorted(world.storage.requests) == [("attributes", "a"), ("attributes", "b"), ("list", "")]


def test_a_missing_required_field_is_that_items_failure(world: World, mapped: Callable[..., Shard]) -> None:
    world.storage.put("a", b"a")
    world.storage.put("b", b"b", tags={"team": "blue"})
    shard = mapped(schema_mapping=NEEDED)
    assert failures(shard) == [("a", "schema_mismatch", False)]
    assert fields(shard) == {"a": None, "b": {"team": "blue"}}


def test_an_item_whose_attributes_cannot_be_read_fails_alone(world: World, mapped: Callable[..., Shard]) -> None:
    world.put("a", "b")

    def before(verb: str, path: str) -> None:
        if (verb, path) == ("attributes", "a"):
            raise ItemUnreadable("a may not be read.", error_type="access_denied")

    world.storage.before = before
    assert failures(mapped(schema_mapping=TAGGED)) == [("a", "access_denied", True)]


def test_a_file_that_is_gone_is_told_as_vanished(world: World, mapped: Callable[..., Shard]) -> None:
    world.put("a", "b")

    def before(verb: str, path: str) -> None:
        if (verb, path) == ("attributes", "a"):
            world.storage.delete("a")

    world.storage.before = before
    assert failures(mapped(schema_mapping=TAGGED)) == [("a", "vanished", False)]


def test_a_rate_limit_is_waited_out(world: World, mapped: Callable[..., Shard]) -> None:
    world.storage.put("a", b"a", tags={"team": "blue"})
    left = [RateLimited("slow down.", retry_after_seconds=7.0)]

    def before(verb: str, path: str) -> None:
        if verb == "attributes" and left:
            raise left.pop()

    world.storage.before = before
    assert fields(mapped(schema_mapping=TAGGED)) == {"a": {"team": "blue"}}
    assert sum(world.clock.slept) >= 7.0


def test_an_outage_that_lasts_is_no_items_failure(world: World, mapped: Callable[..., Shard]) -> None:
    world.put("a", "b")

    def before(verb: str, path: str) -> None:
        if verb == "attributes":
            raise ProviderUnavailable("nobody answers.")

    world.storage.before = before
    with pytest.raises(ProviderUnavailable):
        mapped(schema_mapping=TAGGED)


def test_an_unreadable_item_is_not_asked_for_attributes(world: World, mapped: Callable[..., Shard]) -> None:
    world.storage.put("a", b"a", unreadable="archived")
    assert fields(mapped(schema_mapping=TAGGED)) == {"a": {}}
    assert world.storage.count("attributes") == 0


def test_metadata_filters_take_items_out_and_are_counted(world: World, mapped: Callable[..., Shard]) -> None:
    world.storage.put("a", b"a", metadata={"team": "blue"})
    world.storage.put("b", b"b", tags={"team": "red"})
    world.storage.put("c.tmp", b"c", tags={"team": "blue"})
    filters = {
        "exclude_patterns": ["*.tmp"],
        "metadata_filters": [{"field": "team", "operator": "equals", "value": "blue"}],
    }
    shard = mapped(file_filters=filters)
    assert fields(shard) == {"a": {}}
    assert shard.verdicts == {"exclude_patterns": 1, "metadata_filters": 1}
    assert world.storage.count("attributes") == 2


def test_a_provider_without_attributes_has_none(world: World, mapped: Callable[..., Shard]) -> None:
    world.put("a")
    odd = OddProvider(world.storage)
    odd.changes = {"attribute_kinds": frozenset()}
    world.provider = odd
    assert fields(mapped(schema_mapping=TAGGED)) == {"a": {}}
    assert world.storage.count("attributes") == 0


def test_many_items_keep_their_order(world: World, mapped: Callable[..., Shard]) -> None:
    for number in range(100):
        world.storage.put(f"{number:03}", b"x", tags={"team": str(number)})
    world.provider = OddProvider(world.storage, page_rows=1000)
    assert fields(mapped(schema_mapping=TAGGED)) == {f"{n:03}": {"team": str(n)} for n in range(100)}
