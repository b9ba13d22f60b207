import json

import pytest

from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.ports.provider import Cursor, Probe
from mixsync_dagster.providers.snowflake.errors import Failure, Kind, Stage
from mixsync_dagster.providers.snowflake.feed import TableFeed
from mixsync_dagster_tests.providers.snowflake.made import SETTINGS, ScriptedClient, shape


@pytest.fixture
def table(tables):
    tables.run("CREATE TABLE $T (ID NUMBER)")
    tables.run("INSERT INTO $T SELECT 1")
    tables.simulator.clear()
    return tables


def test_a_table_without_watermark_and_tracking_tells_only_that_it_changed(table, simulator):
    provider = table.provider("T", primary_key_columns=("ID",))
    head = provider.head()
    assert json.loads(head)["feed"] == "commits"
    simulator.clear()
    assert provider.probe(head) is Probe.NOTHING_NEW
    (page,) = provider.changes(head)
    assert (page.items.num_rows, page.removed, page.cursor, page.caught_up) == (0, (), head, True)
    table.run("INSERT INTO $T SELECT 2")
    assert provider.probe(head) is Probe.CHANGED
    with pytest.raises(CursorExpired):
        list(provider.changes(head))


def test_a_look_without_change_is_one_statement_that_reads_no_row(table, simulator):
    provider = table.provider("T", primary_key_columns=("ID",))
    head = provider.head()
    simulator.clear()
    provider.probe(head)
    name = table.name("T")
    assert simulator.texts() == [f"SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME('{name}')"]


def test_a_process_of_its_own_needs_one_look_at_the_columns_more(table, simulator):
    head = table.provider("T").head()
    simulator.clear()
    table.provider("T").probe(head)
    assert len(simulator.texts()) == 2


@pytest.mark.parametrize(("days", "feed"), [("1", "changes"), (90, "changes"), ("0", "commits"), (None, "commits")])
def test_changes_are_followed_where_they_are_tracked_and_kept(days, feed):
    client = ScriptedClient(("SYSTEM$", [(5,)]), ("CURRENT_TIMESTAMP", [("2026-01-01T00:00:00.000000000+0000",)]))
    client.first_named = lambda sql, name, wanted: client.sent.append((sql, name, wanted)) or days
    head = TableFeed(client, shape([("ID", "NUMBER(38,0)")], primary_key_columns=("ID",)), SETTINGS).head()
    assert json.loads(head)["feed"] == feed
    wanted = {"name": "T", "change_tracking": "ON"}
    assert client.sent[0] == ('SHOW TABLES LIKE \'T\' IN SCHEMA "DB"."S"', "retention_time", wanted)


def test_a_table_whose_last_commit_is_not_told_is_always_listed():
    client = ScriptedClient(("SYSTEM$", Failure(Kind.REFUSAL, Stage.STATEMENT, 1003)))
    feed = TableFeed(client, shape([("ID", "NUMBER(38,0)")]), SETTINGS)
    head = feed.head()
    assert json.loads(head)["feed"] == "none"
    assert feed.probe(head) is Probe.UNKNOWN
    with pytest.raises(CursorExpired):
        list(feed.changes(head))


def test_an_outage_is_not_taken_for_a_table_that_tells_nothing():
    client = ScriptedClient(("SYSTEM$", Failure(Kind.OUTAGE, Stage.STATEMENT, 250003)))
    with pytest.raises(ProviderUnavailable):
        TableFeed(client, shape([("ID", "NUMBER(38,0)")]), SETTINGS).head()


def test_a_name_cannot_break_out_of_the_constant_that_holds_it():
    client = ScriptedClient(("SYSTEM$", [(5,)]))
    made = shape([("ID", "NUMBER(38,0)")], table=SETTINGS.table.__class__("D", "S", "x'); DROP TABLE y; --"))
    TableFeed(client, made, SETTINGS).head()
    assert client.sent[-1][0] == 'SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME(\'"D"."S"."x\'\'); DROP TABLE y; --"\')'


@pytest.mark.parametrize("cursor", ["", "7", "{}", '{"of":"x","feed":"commits"}', "[" * 100_000])
def test_positions_of_nobody_are_refused(cursor):
    feed = TableFeed(ScriptedClient(), shape([("ID", "NUMBER(38,0)")]), SETTINGS)
    with pytest.raises(CursorExpired):
        list(feed.changes(Cursor(cursor)))
    with pytest.raises(CursorExpired):
        feed.probe(Cursor(cursor))
