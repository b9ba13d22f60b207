import json
import subprocess
import sys

import pytest

from mixsync_dagster.errors import ItemChanged, ItemUnreadable, ItemVanished, PathNotFound
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.testing.contracts.provider import fetch, listed

KEY = ("ID",)


@pytest.fixture
def people(tables):
    tables.run("CREATE TABLE $PEOPLE (ID NUMBER, NAME VARCHAR, PHOTO BINARY, NOTE VARCHAR)")
    tables.run("INSERT INTO $PEOPLE SELECT 1, 'Ana', TO_BINARY('0102', 'HEX'), NULL")
    tables.simulator.clear()
    return tables


def test_a_row_reads_as_json_without_a_statement(tables, simulator):
    tables.run("CREATE TABLE $T (ID NUMBER, N VARCHAR, V VARIANT)")
    tables.run("INSERT INTO $T SELECT 1, 'caf\u00e9', PARSE_JSON('{\"b\":2}')")
    provider = tables.provider("T", primary_key_columns=KEY)
    (item,) = listed(provider)
    simulator.clear()
    content = fetch(provider, item)
    assert content == '{"ID":1,"N":"caf\u00e9","V":{"b":2}}'.encode()
    assert item.size_bytes == len(content)
    assert simulator.texts() == []


def test_column_values_come_without_a_statement_and_in_any_case(people, simulator):
    provider = people.provider("PEOPLE", primary_key_columns=KEY)
    (item,) = listed(provider)
    simulator.clear()
    columns = provider.read_attributes(item, frozenset({"column"}))["column"]
    assert (columns["NAME"], columns["name"], columns.get("Name")) == ("Ana", "Ana", "Ana")
    assert columns["photo"]["sha256"].startswith("a12871fee210fb86")
    assert "NOTE" not in columns
    assert "nobody" not in columns
    assert columns.get("nobody") is None
    assert set(columns) == {"ID", "NAME", "PHOTO"}
    assert provider.read_attributes(item, frozenset({"tag"})) == {}
    assert simulator.texts() == []


def test_a_binary_column_is_the_content_and_is_read_for_one_row_only(people, simulator):
    provider = people.provider("PEOPLE", primary_key_columns=KEY)
    (item,) = listed(provider)
    assert all(
        '"PHOTO"' not in part
        for part in simulator.texts("ORDER BY")[0]
        .replace('SHA2("PHOTO"', "")
        .replace('OCTET_LENGTH("PHOTO"', "")
        .split()
    )
    assert fetch(provider, item) == b"\x01\x02"
    assert simulator.statements[-1].binds == ("1",)
    assert 'WHERE "ID" = CAST(? AS NUMBER(38, 0))' in simulator.statements[-1].sql


def test_any_text_column_can_be_the_content(people):
    provider = people.provider("PEOPLE", primary_key_columns=KEY, content_column="name")
    (item,) = listed(provider)
    assert (item.size_bytes, fetch(provider, item)) == (3, b"Ana")


def test_a_null_content_is_empty(people):
    provider = people.provider("PEOPLE", primary_key_columns=KEY, content_column="NOTE")
    (item,) = listed(provider)
    assert (item.size_bytes, fetch(provider, item)) == (0, b"")


def test_content_of_a_row_that_changed_or_went_is_not_given(people):
    provider = people.provider("PEOPLE", primary_key_columns=KEY)
    (item,) = listed(provider)
    people.run("UPDATE $PEOPLE SET NAME = 'Bea'")
    with pytest.raises(ItemChanged):
        fetch(provider, item)
    people.run("DELETE FROM $PEOPLE")
    with pytest.raises(ItemVanished):
        fetch(provider, item)


def test_an_item_of_another_provider_is_refused(people):
    provider = people.provider("PEOPLE", primary_key_columns=KEY)
    stranger = SourceItem("x", "x", "v", native=json.dumps({"key": 1}))
    with pytest.raises(ItemUnreadable):
        fetch(provider, stranger)


def test_items_are_rows_and_only_a_watermark_hides_removals(people):
    can = people.provider("PEOPLE", primary_key_columns=KEY).capabilities
    assert can.rows
    assert not can.ordered_listing
    assert (can.change_feed, can.reports_removals) == (True, True)
    assert not people.provider("PEOPLE", incremental_column="ID").capabilities.reports_removals


def test_check_reads_one_row(people, simulator):
    people.provider("PEOPLE", primary_key_columns=KEY).check()
    assert [sql.endswith("LIMIT 1") for sql in simulator.texts()] == [False, True]


def test_check_names_a_table_that_does_not_exist(people):
    with pytest.raises(PathNotFound, match='"NOWHERE" does not exist, or the default role of reader lacks USAGE'):
        people.provider("NOWHERE").check()


def test_vendors_are_imported_with_the_first_statement_only():
    program = (
        "import sys; import mixsync_dagster.providers.snowflake.factory as f;"
        "heavy = {'snowflake.connector', 'dagster', 'dagster_snowflake', 'pandas'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
