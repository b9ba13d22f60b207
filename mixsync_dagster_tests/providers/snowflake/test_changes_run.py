"""Whole runs over CHANGES: its answers are of the form that Snowflake documents, sent by the simulator in its place."""

import re

import pyarrow as pa
import pytest

from mixsync_dagster.testing.snowflake_results import PreparedResult
from mixsync_dagster.testing.snowflake_simulator import Fault
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster.transport.retrying_provider import retrying
from mixsync_dagster_tests.engine.conftest import make_world, template  # noqa: F401 - fixtures are found by being here
from mixsync_dagster_tests.engine.support import mapping_of

FIELDS = mapping_of(name={"source": {"type": "column", "name": "name"}})
CHANGED = pa.schema([("ID", pa.int64()), ("NAME", pa.string()), ("ID2", pa.int64()), ("METADATA$ACTION", pa.string())])
SHOWN = {"name": ["items", "ITEMS"], "change_tracking": ["OFF", "ON"], "retention_time": ["1", "1"]}


@pytest.fixture
def world(tables, make_world):  # noqa: F811 - the fixture above
    """A sync of the table ITEMS with three rows, for which change tracking is on."""
    tables.run("CREATE TABLE $ITEMS (ID NUMBER(38,0), NAME VARCHAR)")
    for number in (1, 2, 3):
        tables.run("INSERT INTO $ITEMS SELECT CAST(? AS NUMBER), ?", str(number), f"n{number}")
    world = make_world(source_type="snowflake", schema_mapping=FIELDS)
    tools = world.tools

    def tools_of_a_new_process(**changes):
        provider = retrying(tables.provider("ITEMS", primary_key_columns=("ID",)), Retrier(world.clock, seed=1))
        return tools(provider=provider, provider_name="snowflake", **changes)

    world.tools = tools_of_a_new_process
    tables.simulator.clear()
    tables.simulator.results.append(PreparedResult.of("SHOW TABLES", [pa.table(SHOWN)]))
    return world


def answer_changes(simulator, *rows):
    """Answer CHANGES with rows of (id, name, action), each in a part of its own."""
    simulator.results[1:] = []
    parts = [CHANGED.empty_table()]
    for number, name, action in rows:
        row = dict(zip(CHANGED.names, (number, name, number, action), strict=True))
        parts.append(pa.Table.from_pylist([row], schema=CHANGED))
    simulator.results.append(PreparedResult.of("CHANGES(", parts))


def names(world):
    return {path: stored.fields["name"] for path, stored in world.objects().items()}


def counted(world):
    counters = world.run().counters
    return counters.created, counters.replaced, counters.removed, counters.failed


def test_new_changed_and_deleted_rows_come_without_a_listing(world, simulator):
    answer_changes(simulator)
    assert counted(world) == (3, 0, 0, 0)
    simulator.statements.clear()
    answer_changes(simulator, (1, "n1", "DELETE"), (2, "n2", "DELETE"), (2, "new", "INSERT"), (4, "n4", "INSERT"))
    assert counted(world) == (1, 1, 1, 0)
    assert names(world) == {"2": "new", "3": "n3", "4": "n4"}
    (sql,) = simulator.texts("CHANGES(INFORMATION => DEFAULT)")
    assert sql.endswith('ORDER BY "ID" ASC NULLS FIRST, METADATA$ACTION ASC')
    assert not [sent for sent in simulator.texts("ORDER BY") if "CHANGES" not in sent]


def test_each_interval_begins_where_the_one_before_ended(world, simulator):
    answer_changes(simulator)
    world.run()
    ends = []
    for _ in range(2):
        simulator.statements.clear()
        answer_changes(simulator, (2, "again", "INSERT"))
        world.run()
        (sql,) = simulator.texts("CHANGES(INFORMATION => DEFAULT)")
        ends.append(tuple(re.findall(r"TIMESTAMP => '([^']+)'", sql)))
    assert ends[0][1] == ends[1][0]
    assert ends[0][0] < ends[0][1] < ends[1][1]


def test_an_interval_beyond_time_travel_means_a_full_listing_that_finds_everything(world, simulator, tables):
    answer_changes(simulator)
    world.run()
    tables.run("DELETE FROM $ITEMS WHERE ID = 1")
    tables.run("UPDATE $ITEMS SET NAME = 'new' WHERE ID = 2")
    refused = Fault("CHANGES(", code="000707", sql_state="02000", message="Time travel data is not available", times=9)
    simulator.faults.append(refused)
    assert [counted(world), counted(world)].count((0, 1, 1, 0)) == 1
    assert names(world) == {"2": "new", "3": "n3"}
