"""CHANGES by the text of its statements and by rows of the form that Snowflake documents; no server here knows it."""

import json

import pytest

from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.model.items import items_of
from mixsync_dagster.ports.provider import Cursor, Probe
from mixsync_dagster.providers.snowflake.changes import ChangesFeed
from mixsync_dagster.providers.snowflake.errors import Failure, Kind, Stage
from mixsync_dagster_tests.providers.snowflake.made import ScriptedClient, shape

T0 = "2026-01-01T00:00:00.123456789+00:00"
T1 = "2026-01-02T00:00:00+00:00"
NOW = ("CURRENT_TIMESTAMP", [("2026-01-02 00:00:00.000000000 +0000",)])


def feed_over(*answers, page_rows=2):
    client = ScriptedClient(*answers)
    made = shape([("ID", "NUMBER(38,0)"), ("N", "VARCHAR(9)")], primary_key_columns=("ID",))
    return ChangesFeed(client, made, page_rows), client


def cursor_at(time, feed, **more):
    head = json.loads(feed.head())
    return Cursor(json.dumps({**head, "at": time, **more}))


def row(number, name, action):
    return (number, name, number, action)


def told(pages):
    found = [item.path for page in pages for item in items_of(page.items)]
    return found, [identity for page in pages for identity in page.removed]


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2026-01-02 00:00:00.000000000 +0000", T1),
        ("2026-01-02T00:00:00.123999999+00:00", "2026-01-02T00:00:00.123+00:00"),
    ],
)
def test_the_head_is_the_servers_time_a_little_ago_in_milliseconds(told, at):
    feed, client = feed_over(("CURRENT_TIMESTAMP", [(told,)]))
    assert json.loads(feed.head())["at"] == at
    assert [sql for sql, _ in client.sent] == ["SELECT DATEADD(second, -10, CURRENT_TIMESTAMP())::VARCHAR"]


def test_the_statement_names_both_ends_of_the_interval():
    feed, client = feed_over(NOW, ("CHANGES", []))
    list(feed.changes(cursor_at(T0, feed)))
    sql = (
        'SELECT "ID", "N", "ID", METADATA$ACTION FROM "DB"."S"."T" CHANGES(INFORMATION => DEFAULT) '
        f"AT(TIMESTAMP => '{T0}'::TIMESTAMP_TZ) END(TIMESTAMP => '{T1}'::TIMESTAMP_TZ) "
        'ORDER BY "ID" ASC NULLS FIRST, METADATA$ACTION ASC'
    )
    assert client.sent[-1] == (sql, ())


def test_inserted_updated_and_deleted_rows_are_told_apart():
    rows = [row(1, "new", "INSERT"), row(2, "old", "DELETE"), row(2, "now", "INSERT"), row(3, "gone", "DELETE")]
    feed, _ = feed_over(NOW, ("CHANGES", rows), page_rows=9)
    (page,) = feed.changes(cursor_at(T0, feed))
    assert [json.loads(item.native)["values"]["N"] for item in items_of(page.items)] == ["new", "now"]
    assert page.removed == ("DB.S.T/[3]",)
    assert page.caught_up
    assert json.loads(page.cursor)["at"] == T1


def test_an_update_is_not_torn_by_the_end_of_a_page():
    rows = [row(1, "a", "DELETE"), row(1, "b", "INSERT"), row(2, "a", "DELETE"), row(2, "b", "INSERT")]
    rows += [row(3, "a", "DELETE"), row(4, "a", "INSERT"), row(5, "a", "DELETE")]
    feed, _ = feed_over(NOW, ("CHANGES", rows))
    pages = list(feed.changes(cursor_at(T0, feed)))
    assert told(pages) == (["1", "2", "4"], ["DB.S.T/[3]", "DB.S.T/[5]"])
    assert [page.caught_up for page in pages] == [False, False, True]


def test_a_round_goes_on_in_the_same_interval_behind_the_last_key():
    rows = [row(number, "n", "INSERT") for number in range(1, 4)]
    feed, client = feed_over(NOW, ("CHANGES", rows))
    first = next(feed.changes(cursor_at(T0, feed)))
    list(feed.changes(first.cursor))
    sql, binds = client.sent[-1]
    assert 'WHERE "ID" > CAST(? AS NUMBER(38, 0)) ORDER BY' in sql
    assert f"AT(TIMESTAMP => '{T0}'::TIMESTAMP_TZ) END(TIMESTAMP => '{T1}'::TIMESTAMP_TZ)" in sql
    assert binds == ("2",)


def test_no_change_is_one_empty_page():
    feed, _ = feed_over(NOW, ("CHANGES", []))
    (page,) = feed.changes(cursor_at(T0, feed))
    assert (page.items.num_rows, page.removed, page.caught_up) == (0, (), True)


@pytest.mark.parametrize("time", [T1, "2026-01-02T00:00:00.001+00:00", "2026-01-02T00:00:09+00:00"])
def test_an_interval_without_length_is_not_asked_for_and_never_goes_back(time):
    feed, client = feed_over(NOW)
    (page,) = feed.changes(cursor_at(time, feed))
    assert (page.caught_up, json.loads(page.cursor)["at"]) == (True, time)
    assert not [sql for sql, _ in client.sent if "CHANGES" in sql]


@pytest.mark.parametrize(("rows", "probe"), [([], Probe.NOTHING_NEW), ([(1,)], Probe.CHANGED)])
def test_a_probe_asks_for_any_one_change(rows, probe):
    feed, client = feed_over(NOW, ("CHANGES", rows))
    after = cursor_at(T0, feed)
    client.sent.clear()
    assert feed.probe(after) is probe
    ((sql, _),) = client.sent
    assert sql == (
        f'SELECT 1 FROM "DB"."S"."T" CHANGES(INFORMATION => DEFAULT) AT(TIMESTAMP => \'{T0}\'::TIMESTAMP_TZ) LIMIT 1'
    )


@pytest.mark.parametrize("code", [707, 2085, 1003])
def test_an_interval_that_snowflake_does_not_know_means_a_full_listing(code):
    feed, _ = feed_over(NOW, ("CHANGES", Failure(Kind.REFUSAL, Stage.STATEMENT, code)))
    with pytest.raises(CursorExpired, match=f"code {code}"):
        list(feed.changes(cursor_at(T0, feed)))
    with pytest.raises(CursorExpired):
        feed.probe(cursor_at(T0, feed))


@pytest.mark.parametrize(
    "failure", [Failure(Kind.OUTAGE, Stage.STATEMENT, None), Failure(Kind.REFUSAL, Stage.STATEMENT, 390112)]
)
def test_an_outage_does_not_cost_a_full_listing(failure):
    feed, _ = feed_over(NOW, ("CHANGES", failure))
    with pytest.raises(ProviderUnavailable):
        list(feed.changes(cursor_at(T0, feed)))


@pytest.mark.parametrize("time", ["x'); DROP TABLE t; --", "2026-01-01", 7, None, T0 + "'"])
def test_only_a_time_of_our_own_form_reaches_a_statement(time):
    feed, client = feed_over(NOW, ("CHANGES", []))
    after = cursor_at(time, feed)
    client.sent.clear()
    for ask in (lambda: list(feed.changes(after)), lambda: feed.probe(after)):
        with pytest.raises(CursorExpired):
            ask()
    assert client.sent == []
