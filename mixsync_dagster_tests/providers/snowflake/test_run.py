"""Whole runs of the engine over rows of a table."""

import pytest

from mixsync_dagster.testing.snowflake_simulator import Fault
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster.transport.retrying_provider import retrying
from mixsync_dagster_tests.engine.conftest import make_world, template  # noqa: F401 - fixtures are found by being here
from mixsync_dagster_tests.engine.support import mapping_of

FIELDS = mapping_of(
    name={"source": {"type": "column", "name": "name"}, "transform": "uppercase"},
    price={"source": {"type": "column", "name": "PRICE"}},
    seen={"source": {"type": "column", "name": "seen"}},
    photo={"blob": True},
)


@pytest.fixture
def sync(tables, make_world):  # noqa: F811 - the fixture above
    """Return a function that makes a world whose provider reads the table ITEMS."""
    tables.run("CREATE TABLE $ITEMS (ID NUMBER, NAME VARCHAR, PRICE NUMBER(10,2), SEEN TIMESTAMP_NTZ, PHOTO BINARY)")

    def make(**settings):
        world = make_world(source_type="snowflake", schema_mapping=FIELDS)
        keys = {"primary_key_columns": ("ID",), "page_rows": 2} | settings
        tools = world.tools

        def tools_of_a_new_process(**changes):
            provider = retrying(tables.provider("ITEMS", **keys), Retrier(world.clock, seed=1))
            return tools(provider=provider, provider_name="snowflake", **changes)

        world.tools = tools_of_a_new_process
        return world

    return make


@pytest.fixture
def put(tables):
    def put(number, name="a", seen="2026-01-01 00:00:00"):
        tables.run("DELETE FROM $ITEMS WHERE ID = ?", str(number))
        sql = "INSERT INTO $ITEMS SELECT CAST(? AS NUMBER), ?, 1.10, CAST(? AS TIMESTAMP_NTZ), TO_BINARY(?, 'HEX')"
        tables.run(sql, str(number), name, seen, name.encode().hex())

    return put


def test_rows_become_objects_and_follow_their_table(sync, put, tables):
    for number in range(1, 6):
        put(number, f"n{number}")
    world = sync()
    assert world.run().counters.created == 5
    assert world.objects()["3"].fields == {"name": "N3", "price": 1.1, "seen": "2026-01-01T00:00:00"}
    assert world.contents()["3"] == b"n3"
    put(3, "changed")
    put(6, "new")
    tables.run("DELETE FROM $ITEMS WHERE ID = 1")
    counters = world.run().counters
    assert (counters.created, counters.replaced, counters.removed, counters.failed) == (1, 1, 1, 0)
    assert sorted(world.objects()) == ["2", "3", "4", "5", "6"]
    assert world.objects()["3"].fields["name"] == "CHANGED"
    assert world.contents()["3"] == b"changed"


def test_rows_with_equal_content_are_objects_of_their_own(sync, put):
    put(1, "same")
    put(2, "same")
    world = sync()
    assert world.run().counters.created == 2
    assert len(world.objects()) == 2


@pytest.mark.parametrize("settings", [{}, {"incremental_column": "SEEN"}])
def test_a_run_without_change_is_a_look_at_the_columns_and_one_at_the_table(sync, put, simulator, settings):
    for number in range(1, 6):
        put(number)
    world = sync(**settings)
    world.run()
    simulator.clear()
    counters = world.run().counters
    assert (counters.created, counters.replaced, counters.failed) == (0, 0, 0)
    assert len(simulator.texts()) == 2


def test_a_watermark_brings_only_what_is_new(sync, put, simulator):
    for number in range(1, 6):
        put(number, seen=f"2026-01-0{number} 00:00:00")
    world = sync(incremental_column="SEEN")
    world.run()
    put(2, "later", seen="2026-02-01 00:00:00")
    simulator.clear()
    record = world.run()
    assert (record.counters.created, record.counters.replaced) == (0, 1)
    assert world.contents()["2"] == b"later"
    assert not [sql for sql in simulator.texts("ORDER BY") if "WHERE" not in sql]


def test_an_outage_inside_a_listing_is_waited_for(sync, put, simulator):
    put(1)
    world = sync()
    simulator.faults.append(Fault("ORDER BY", status=503, times=2))
    assert world.run().counters.created == 1
