"""What has to be done with each listed item: every case of item, inventory row and configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pyarrow as pa
import pytest

from mixsync_dagster.engine.context import SyncView, Toolbox
from mixsync_dagster.engine.dead_letters import RETRY
from mixsync_dagster.engine.filtering import filter_items
from mixsync_dagster.engine.planning import ACTION, plan_changes
from mixsync_dagster.model.items import Shard, Span
from mixsync_dagster.model.progress import INVENTORY_SCHEMA, DeadLetter
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.memory_provider import MemoryProvider, MemoryStorage
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster_tests.engine.support import START, items_table, sync_of

WHOLE = Span(None, None)


class Inventory:
    """The part of a state store that planning reads."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], letters: Sequence[DeadLetter] = ()) -> None:
        plain = {"object_id": "obj", "version": "v1", "metadata_version": None, "size_bytes": 1}
        whole = [plain | {"source_object_id": f"memory/{row['path']}"} | dict(row) for row in rows]
        self._rows = sorted(whole, key=lambda row: str(row["source_object_id"]))
        self._letters = {letter.source_object_id: letter for letter in letters}
        self.asked_for_letters = 0

    def inventory_span(self, sync_config_id: str, after: str | None, upto: str | None) -> pa.Table:
        return self._table(
            row
            for row in self._rows
            if (after is None or row["source_object_id"] > after) and (upto is None or row["source_object_id"] <= upto)
        )

    def inventory_of(self, sync_config_id: str, source_object_ids: Sequence[str]) -> pa.Table:
        return self._table(row for row in self._rows if row["source_object_id"] in source_object_ids)

    def has_standing_dead_letters(self, sync_config_id: str) -> bool:
        return bool(self._letters)

    def standing_dead_letter_ids(self, sync_config_id: str, after: str | None, upto: str | None) -> Sequence[str]:
        return [one for one in self._letters if (after is None or one > after) and (upto is None or one <= upto)]

    def dead_letters_of(self, sync_config_id: str, source_object_ids: Sequence[str]) -> Mapping[str, DeadLetter]:
        self.asked_for_letters += 1
        return {one: self._letters[one] for one in source_object_ids if one in self._letters}

    def _table(self, rows: Any) -> pa.Table:
        return pa.Table.from_pylist(list(rows), schema=INVENTORY_SCHEMA)


def letter(path: str, state: str, version: str = "v1") -> DeadLetter:
    return DeadLetter(
        dead_letter_id=path,
        sync_config_id="sync_1",
        source_object_id=f"memory/{path}",
        source_path=path,
        version=version,
        state=state,
        retry_count=0,
        error_type="download_failed",
        error_message="it failed.",
        first_seen_at=START,
        last_seen_at=START,
    )


def planned(
    listed: Sequence[Any],
    rows: Sequence[Any] = (),
    *,
    span: Span | None = WHOLE,
    letters: Sequence[DeadLetter] = (),
    **settings: Any,
) -> Shard:
    clock = SimulatedClock()
    tools = Toolbox(
        store=cast("Any", Inventory(rows, letters)),
        provider=MemoryProvider(MemoryStorage()),
        provider_name="s3",
        bucket=cast("Any", None),
        clock=clock,
        pacer=Retrier(clock),
    )
    view = SyncView(tools, sync_of(**settings))
    shard = Shard(number=0, table=items_table(*listed), span=span)
    return plan_changes(view, filter_items(view, shard))


def actions(shard: Shard) -> dict[str, str]:
    return dict(zip(shard.table.column("path").to_pylist(), shard.table.column(ACTION).to_pylist(), strict=True))


def removed(shard: Shard) -> list[str]:
    return [] if shard.removed is None else shard.removed.column("path").to_pylist()


def row(path: str = "a", **columns: Any) -> dict[str, Any]:
    return {"path": path, **columns}


OFF: dict[str, Any] = {"reconcile": {"on_delete": False, "on_update": False, "on_filter_drift": False}}
DRIFTED: dict[str, Any] = {"file_filters": {"min_size_bytes": 2}}


@pytest.mark.parametrize(
    ("listed", "known", "settings", "action", "gone"),
    [
        pytest.param([row()], [], {}, {"a": "create"}, [], id="new"),
        pytest.param([row()], [row()], {}, {}, [], id="unchanged"),
        pytest.param([row(version="v2")], [row()], {}, {"a": "replace"}, [], id="other content"),
        pytest.param([row()], [row(version="")], {}, {"a": "replace"}, [], id="unsettled duplicate"),
        pytest.param([row(size_bytes=9)], [row(size_bytes=1)], {}, {}, [], id="only another size"),
        pytest.param([row(modified_at=None)], [row()], {}, {}, [], id="only another time"),
        pytest.param([row(metadata_version="m1")], [row(metadata_version="m1")], {}, {}, [], id="same metadata"),
        pytest.param(
            [row(metadata_version="m2")], [row(metadata_version="m1")], {}, {"a": "move"}, [], id="other metadata"
        ),
        pytest.param([row(metadata_version="m1")], [row()], {}, {"a": "move"}, [], id="metadata appears"),
        pytest.param([row()], [row(metadata_version="m1")], {}, {"a": "move"}, [], id="metadata disappears"),
        pytest.param(
            [row(version="v2", metadata_version="m2")],
            [row(metadata_version="m1")],
            {},
            {"a": "replace"},
            [],
            id="other content and metadata",
        ),
        pytest.param(
            [row(metadata_version="m2")], [row(metadata_version="m1")], OFF, {}, [], id="other metadata, not wanted"
        ),
        pytest.param([], [row()], {}, {}, ["a"], id="gone"),
        pytest.param([], [row()], OFF, {}, [], id="gone, not wanted"),
        pytest.param([], [], {}, {}, [], id="nothing at all"),
        pytest.param([row()], [row()], DRIFTED, {}, ["a"], id="no longer accepted"),
        pytest.param([row()], [row()], {**DRIFTED, **OFF}, {}, [], id="no longer accepted, not wanted"),
        pytest.param([row()], [], DRIFTED, {}, [], id="never accepted"),
        pytest.param([row(size_bytes=2)], [], DRIFTED, {"a": "create"}, [], id="accepted now"),
        pytest.param([row(unreadable="archived")], [], {}, {"a": "create"}, [], id="unreadable and new"),
        pytest.param([row(unreadable="archived")], [row()], {}, {}, [], id="unreadable and known"),
    ],
)
def test_an_item_gets_the_action_that_its_inventory_row_and_the_configuration_ask_for(
    listed: Any, known: Any, settings: Any, action: dict[str, str], gone: list[str]
) -> None:
    shard = planned(listed, known, **settings)
    assert actions(shard) == action
    assert removed(shard) == gone


def test_removal_of_drifted_and_of_gone_items_are_told_apart() -> None:
    listed, known = [row("drifted")], [row("drifted"), row("gone")]
    only_gone: dict[str, Any] = {"reconcile": {"on_filter_drift": False}}
    only_drifted: dict[str, Any] = {"reconcile": {"on_delete": False}}
    assert removed(planned(listed, known, **DRIFTED, **only_gone)) == ["gone"]
    assert removed(planned(listed, known, **DRIFTED, **only_drifted)) == ["drifted"]


def test_many_items_are_planned_side_by_side() -> None:
    listed = [row("a"), row("b", version="v2"), row("c"), row("e", metadata_version="m"), row("f")]
    known = [row("b"), row("c"), row("d"), row("e"), row("g")]
    shard = planned(listed, known)
    assert actions(shard) == {"a": "create", "b": "replace", "e": "move", "f": "create"}
    assert removed(shard) == ["d", "g"]
    assert shard.unchanged == 1


def test_only_rows_inside_the_span_can_be_missing() -> None:
    known = [row("a"), row("b"), row("c"), row("d")]
    shard = planned([row("c")], known, span=Span("memory/a", "memory/c"))
    assert removed(shard) == ["b"]


def test_without_a_span_nothing_is_missing() -> None:
    shard = planned([row("b"), row("a", version="v2"), row("new")], [row("a"), row("b"), row("gone")], span=None)
    assert actions(shard) == {"a": "replace", "new": "create"}
    assert removed(shard) == []
    assert shard.unchanged == 1


def test_without_a_span_the_order_of_the_listing_does_not_matter() -> None:
    shard = planned([row("c"), row("a"), row("b")], [row("a"), row("b"), row("c")], span=None)
    assert actions(shard) == {}
    assert shard.unchanged == 3


def test_no_change_reads_no_dead_letters() -> None:
    inventory = Inventory([row("a")], [letter("z", "waiting")])
    clock = SimulatedClock()
    tools = Toolbox(
        cast("Any", inventory), MemoryProvider(MemoryStorage()), "s3", cast("Any", None), clock, Retrier(clock)
    )
    view = SyncView(tools, sync_of())
    plan_changes(view, filter_items(view, Shard(number=0, table=items_table("a"), span=WHOLE)))
    assert inventory.asked_for_letters == 0


@pytest.mark.parametrize(
    ("state", "letter_version", "action", "retry", "quarantined"),
    [
        ("waiting", "v1", {"a": "create"}, [True], 0),
        ("waiting", "v0", {"a": "create"}, [False], 0),
        ("quarantined", "v1", {}, [], 1),
        ("quarantined", "v0", {"a": "create"}, [False], 0),
    ],
)
def test_a_dead_letter_counts_for_its_own_version_only(
    state: str, letter_version: str, action: dict[str, str], retry: list[bool], quarantined: int
) -> None:
    shard = planned([row("a"), row("b")], [row("b")], letters=[letter("a", state, letter_version)])
    assert actions(shard) == action
    assert shard.table.column(RETRY).to_pylist() == retry
    assert shard.quarantined == quarantined
    assert shard.unchanged == 1


def test_a_quarantined_new_version_leaves_the_object_as_it_is() -> None:
    shard = planned([row("a", version="v2")], [row("a")], letters=[letter("a", "quarantined", "v2")])
    assert actions(shard) == {}
    assert removed(shard) == []
    assert shard.quarantined == 1


def test_an_empty_span_of_a_full_inventory_is_all_missing() -> None:
    assert removed(planned([], [row("a"), row("b")])) == ["a", "b"]
