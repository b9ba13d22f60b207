"""Handing values from step to step."""

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from mixsync_dagster.errors import ConfigurationError, MixsyncError
from mixsync_dagster.model.items import RejectedItem, Shard, Span, empty_items
from mixsync_dagster.model.progress import INVENTORY_SCHEMA, REFUSAL_SCHEMA
from mixsync_dagster.orchestration.parquet_io import ParquetIOManager, RunShard, Spool


@pytest.fixture
def spool(tmp_path):
    return Spool((tmp_path / "spool").as_uri())


def passed_on(spool, value, **where):
    out = dg.build_output_context(step_key="plan_changes[shard_0]", name="result", run_id="run-1", **where)
    manager = ParquetIOManager(lambda: spool)
    manager.handle_output(out, value)
    return manager.load_input(dg.build_input_context(upstream_output=out))


def test_a_shard_arrives_as_it_was_sent(spool):
    removed = pa.table(
        dict(zip(INVENTORY_SCHEMA.names, (["x"], ["o"], ["p"], ["1"], [None], [3]), strict=True)),
        schema=INVENTORY_SCHEMA,
    )
    shard = Shard(
        number=3,
        table=empty_items().append_column("action", pa.array([], pa.string())),
        span=Span(None, "z"),
        cursor="next",
        discovered=5,
        verdicts={"extensions": 2},
        unchanged=1,
        rejected=(RejectedItem("id", "path", "unsupported_name", "said"),),
        removed=removed,
        listed=pa.table({"source_object_id": ["x", "y"]}),
        refused=pa.table(
            dict(zip(REFUSAL_SCHEMA.names, (["y"], ["1"], [None], ["rules"]), strict=True)), schema=REFUSAL_SCHEMA
        ),
        forgotten=pa.table({"source_object_id": ["z"]}),
    )
    arrived = passed_on(spool, RunShard({"sync_run_id": "run-1"}, shard))
    assert arrived.ticket == {"sync_run_id": "run-1"}
    assert arrived.shard.header() == shard.header()
    assert arrived.shard.table.equals(shard.table)
    assert arrived.shard.removed.equals(removed)
    assert arrived.shard.listed.equals(shard.listed)
    assert arrived.shard.refused.equals(shard.refused)
    assert arrived.shard.forgotten.equals(shard.forgotten)


def test_a_shard_without_removals_has_none(spool):
    arrived = passed_on(spool, RunShard({}, Shard(0, empty_items()))).shard
    assert (arrived.removed, arrived.listed, arrived.refused, arrived.forgotten) == (None, None, None, None)


@pytest.mark.parametrize("value", [{"a": [1, None, "x"]}, [], None, 3.5])
def test_plain_values_arrive_as_they_were_sent(spool, value):
    assert passed_on(spool, value) == value


def test_tables_and_frames_keep_their_kind(spool):
    table = pa.table({"n": [1, 2]})
    assert passed_on(spool, table).equals(table)
    frame = pd.DataFrame({"n": [1, 2]}, index=["a", "b"])
    pd.testing.assert_frame_equal(passed_on(spool, frame), frame)


def test_anything_else_is_refused_and_never_pickled(spool):
    with pytest.raises(MixsyncError, match="of type set cannot be handed on; return a pandas DataFrame"):
        passed_on(spool, {1, 2})


def test_the_run_is_told_when_its_shard_cannot_be_kept(tmp_path):
    told = []
    (tmp_path / "spool").write_text("a file where a folder should be")
    manager = ParquetIOManager(
        lambda: Spool((tmp_path / "spool").as_uri()), lambda ticket, error: told.append((ticket, type(error)))
    )
    out = dg.build_output_context(step_key="list_items", name="shards", run_id="run-1", mapping_key="shard_0")
    with pytest.raises(OSError, match="spool"):
        manager.handle_output(out, RunShard({"sync_run_id": "run-1"}, Shard(0, empty_items())))
    assert [ticket for ticket, _ in told] == [{"sync_run_id": "run-1"}]


def test_a_runs_folder_goes_as_a_whole_and_twice_is_harmless(spool):
    passed_on(spool, {"a": 1})
    assert spool.folders() == ["run-1"]
    spool.delete("run-1")
    spool.delete("run-1")
    assert spool.folders() == []


def test_what_an_asset_returns_stays_when_runs_are_tidied(spool):
    out = dg.build_output_context(asset_key=["mine"], run_id="run-1")
    manager = ParquetIOManager(lambda: spool)
    manager.handle_output(out, {"a": 1})
    assert spool.folders() == []
    assert manager.load_input(dg.build_input_context(upstream_output=out)) == {"a": 1}


def test_a_url_that_nothing_serves_is_refused():
    with pytest.raises(ConfigurationError, match="MIXSYNC_SPOOL_URL: ftp://x cannot be opened"):
        Spool("ftp://x")
