import json

import pytest

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.model.items import items_of
from mixsync_dagster.ports.provider import Cursor, Probe


class Log:
    """A table with a watermark, and a feed over it."""

    def __init__(self, tables, kind="TIMESTAMP_TZ", **settings):
        self.tables = tables
        self.kind = kind
        tables.run(f"CREATE TABLE $LOG (ID NUMBER, N VARCHAR, SEEN {kind})")
        self.settings = {"primary_key_columns": ("ID",), "incremental_column": "seen", "page_rows": 2} | settings

    @property
    def provider(self):
        return self.tables.provider("LOG", **self.settings)

    def put(self, number, at, name="n"):
        self.tables.run("DELETE FROM $LOG WHERE ID = ?", str(number))
        self.tables.run(f"INSERT INTO $LOG SELECT CAST(? AS NUMBER), ?, CAST(? AS {self.kind})", str(number), name, at)

    def since(self, cursor, provider=None):
        pages = list((provider or self.provider).changes(cursor))
        assert [page.caught_up for page in pages] == [False] * (len(pages) - 1) + [True]
        assert not any(page.removed for page in pages)
        return [item.path for page in pages for item in items_of(page.items)], pages[-1].cursor


@pytest.fixture
def log(tables):
    return Log(tables)


def test_what_changed_after_the_head_is_told(log):
    log.put(1, "2026-01-01 00:00:00+00:00")
    head = log.provider.head()
    assert log.since(head) == ([], head)
    log.put(2, "2026-02-01 00:00:00+00:00")
    log.put(3, "2026-02-02 00:00:00+00:00")
    found, after = log.since(head)
    assert found[-2:] == ["2", "3"]
    assert log.since(after) == ([], after)


def test_the_second_row_of_a_key_is_rejected_as_in_a_listing(log):
    log.put(1, "2026-01-01 00:00:00+00:00")
    head = log.provider.head()
    for name in ("one", "other"):
        log.tables.run("INSERT INTO $LOG SELECT 2, ?, CAST(? AS TIMESTAMP_TZ)", name, "2026-02-01 00:00:00+00:00")
    rejected = [one for page in log.provider.changes(head) for one in page.rejected]
    assert [one.error_type for one in rejected] == ["duplicate_key"]


def test_a_look_without_change_is_one_statement(log, simulator):
    log.put(1, "2026-01-01 00:00:00+00:00")
    provider = log.provider
    head = provider.head()
    simulator.clear()
    assert provider.probe(head) is Probe.NOTHING_NEW
    assert len(simulator.texts()) == 1
    log.since(head, provider)
    assert len(simulator.texts()) == 2


def test_rows_of_the_same_time_are_not_lost(log):
    log.put(1, "2026-01-01 00:00:00+00:00")
    head = log.provider.head()
    log.put(2, "2026-01-01 00:00:00+00:00")
    assert log.provider.probe(head) is Probe.CHANGED
    assert log.since(head)[0] == ["1", "2"]


def test_a_transaction_that_began_earlier_and_ended_later_is_seen(log):
    log.put(1, "2026-01-01 00:10:00+00:00")
    head = log.provider.head()
    log.put(2, "2026-01-01 00:00:01+00:00")
    assert log.provider.probe(head) is Probe.CHANGED
    assert "2" in log.since(head)[0]


def test_the_overlap_ends_where_it_is_said_to(log):
    log.put(1, "2026-01-01 00:10:00+00:00")
    head = log.provider.head()
    log.put(2, "2025-12-31 23:59:59+00:00")
    assert log.provider.probe(head) is Probe.NOTHING_NEW


def test_a_row_dated_into_the_future_hides_nothing(log):
    log.put(1, "2026-01-01 00:00:00+00:00")
    log.put(2, "9000-01-01 00:00:00+00:00")
    head = log.provider.head()
    assert json.loads(head)["since"] < "3000"
    log.tables.run("INSERT INTO $LOG SELECT 3, 'n', CURRENT_TIMESTAMP()")
    assert log.provider.probe(head) is Probe.CHANGED
    assert "3" in log.since(head)[0]


def test_a_range_has_both_ends_and_bound_values(log, simulator):
    log.put(1, "2026-01-01 00:00:00+00:00")
    head = log.provider.head()
    log.put(2, "2026-01-02 00:00:00+00:00")
    simulator.clear()
    log.since(head)
    sent = simulator.statements[-1]
    assert (
        'WHERE ("SEEN" >= DATEADD(second, -600, CAST(? AS TIMESTAMP_TZ(9)))) '
        'AND ("SEEN" <= CAST(? AS TIMESTAMP_TZ(9))) '
        'ORDER BY "SEEN" ASC NULLS FIRST, "ID" ASC NULLS FIRST'
    ) in sent.sql
    assert sent.binds == ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")
    assert not simulator.texts("OFFSET")


def test_a_round_goes_on_behind_its_pages_by_watermark_and_key(log):
    head = log.provider.head()
    for number in range(1, 8):
        log.put(number, "2026-01-01 00:00:00+00:00" if number < 6 else "2026-01-02 00:00:00+00:00")
    pages = list(log.provider.changes(head))
    assert [page.items.num_rows for page in pages] == [2, 2, 2, 1]
    for done, page in enumerate(pages[:-1], 1):
        assert log.provider.probe(page.cursor) is Probe.CHANGED
        found, end = log.since(page.cursor)
        assert found == [str(number) for number in range(done * 2 + 1, 8)]
        assert end == pages[-1].cursor


def test_rows_without_a_watermark_are_read_when_their_number_changes(log):
    log.put(1, None)
    head = log.provider.head()
    assert log.provider.probe(head) is Probe.NOTHING_NEW
    log.put(2, None)
    assert log.provider.probe(head) is Probe.CHANGED
    found, after = log.since(head)
    assert found == ["1", "2"]
    log.put(3, "2026-01-01 00:00:00+00:00")
    assert log.since(after)[0] == ["3"]


def test_a_deleted_row_of_the_overlap_is_looked_after_and_does_no_harm(log):
    log.put(1, "2026-01-01 00:00:00+00:00")
    log.put(2, "2026-01-02 00:00:00+00:00")
    head = log.provider.head()
    log.tables.run("DELETE FROM $LOG WHERE ID = 2")
    assert log.provider.probe(head) is Probe.CHANGED
    found, after = log.since(head)
    assert found == []
    log.put(3, "2026-01-02 12:00:00+00:00")
    assert log.since(after)[0] == ["3"]


def test_the_look_leaves_out_what_lies_before_the_overlap(log, simulator):
    log.put(1, "2026-01-01 00:00:00+00:00")
    head = log.provider.head()
    simulator.clear()
    log.provider.probe(head)
    sent = simulator.statements[-1]
    assert sent.sql.endswith('WHERE "SEEN" >= DATEADD(second, -600, CAST(? AS TIMESTAMP_TZ(9))) OR "SEEN" IS NULL')
    assert sent.binds == ("2026-01-01T00:00:00+00:00",) * 2


def test_a_table_whose_rows_all_went_is_followed_on(log):
    log.put(1, "2026-01-02 00:00:00+00:00")
    head = log.provider.head()
    log.tables.run("DELETE FROM $LOG")
    found, after = log.since(head)
    assert found == []
    assert log.since(after) == ([], after)
    log.put(2, "2026-01-02 00:00:01+00:00")
    assert log.since(after)[0] == ["2"]


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("TIMESTAMP_NTZ", "2026-01-01 00:00:00.000001", "2026-01-01 00:00:00.000002"),
        ("TIMESTAMP_LTZ", "2026-01-01 00:00:00+00:00", "2026-01-01 00:00:01+00:00"),
        ("DATE", "2026-01-01", "2026-01-02"),
        ("NUMBER(38,0)", "7", "8"),
        ("NUMBER(20,4)", "7.0001", "7.0002"),
    ],
)
def test_watermarks_of_every_kind_are_followed(tables, kind, old, new):
    log = Log(tables, kind)
    log.put(1, old)
    head = log.provider.head()
    assert log.provider.probe(head) is Probe.NOTHING_NEW
    log.put(2, new)
    found, after = log.since(head)
    assert found[-1] == "2"
    assert log.provider.probe(after) is Probe.NOTHING_NEW


def test_rows_without_a_key_are_told_with_their_like(tables):
    log = Log(tables, primary_key_columns=(), page_rows=3)
    head = log.provider.head()
    for _ in range(2):
        log.tables.run("INSERT INTO $LOG SELECT 1, 'n', CAST('2026-01-01 00:00:00+00:00' AS TIMESTAMP_TZ)")
    found, after = log.since(head)
    assert len(set(found)) == 2
    assert log.since(after)[0] == []


@pytest.mark.parametrize(
    "change",
    [
        {"since": 7, "rows": "x"},
        {"target": {}},
        {"target": {"since": None}, "at": [1]},
        {"of": "other"},
        {"feed": "odd"},
    ],
)
def test_a_position_that_cannot_be_is_refused(log, change):
    head = json.dumps(json.loads(log.provider.head()) | change)
    with pytest.raises(CursorExpired):
        list(log.provider.changes(Cursor(head)))
