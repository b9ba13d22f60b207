import json

import pytest

from mixsync_dagster.model.items import ITEM_SCHEMA, items_of
from mixsync_dagster.model.paths import SnowflakeTable
from mixsync_dagster.providers.snowflake.rows import RowBuilder, identity_prefix
from mixsync_dagster_tests.providers.snowflake.made import shape


def built(columns, rows, **settings):
    return RowBuilder(shape(columns, **settings)).build(rows)


def items(columns, rows, **settings):
    return list(items_of(built(columns, rows, **settings).items))


def test_an_item_is_named_by_table_and_key_with_its_types():
    columns = [("ID", "NUMBER(38,0)"), ("CODE", "VARCHAR(9)")]
    (item,) = items(columns, [(10**37, "1", 10**37, "1")], primary_key_columns=("ID", "CODE"))
    assert item.source_object_id == 'DB.S.T/[10000000000000000000000000000000000000,"1"]'
    assert item.path == "10000000000000000000000000000000000000/1"


def test_a_number_and_its_text_are_different_keys():
    (number,) = items([("K", "NUMBER(38,0)")], [(1, 1)], primary_key_columns=("K",))
    (text,) = items([("K", "VARCHAR(9)")], [("1", "1")], primary_key_columns=("K",))
    assert (number.source_object_id, text.source_object_id) == ("DB.S.T/[1]", 'DB.S.T/["1"]')


def test_names_that_need_quotes_have_them_in_the_identity():
    assert identity_prefix(SnowflakeTable("DB", "s", 'a.b"c')) == 'DB."s"."a.b""c"/'


def test_a_row_carries_its_values_and_no_nulls():
    (item,) = items([("ID", "NUMBER(38,0)"), ("N", "VARCHAR(9)")], [(1, None, 1)], primary_key_columns=("ID",))
    assert json.loads(item.native) == {"key": [1], "values": {"ID": 1}}
    assert (item.mime_type, item.size_bytes) == ("application/json", len('{"ID":1}'))


def test_a_nanosecond_makes_another_version():
    def version(text):
        rows = [(1, text, 1)]
        return items([("ID", "NUMBER(38,0)"), ("AT", "TIMESTAMP_NTZ(9)")], rows, primary_key_columns=("ID",))[0].version

    assert version("2026-01-01T00:00:00.000000001") != version("2026-01-01T00:00:00.000000002")
    assert version("2026-01-01T00:00:00.000000000") == version("2026-01-01 00:00:00")


def test_the_version_looks_at_values_and_not_at_how_they_are_ordered():
    one = items([("ID", "NUMBER(38,0)"), ("V", "VARIANT")], [(1, '{"a":1,"b":2}', 1)], primary_key_columns=("ID",))
    two = items([("V", "VARIANT"), ("ID", "NUMBER(38,0)")], [('{"b":2,"a":1}', 1, 1)], primary_key_columns=("ID",))
    assert one[0].version == two[0].version


def test_a_new_column_that_nobody_filled_changes_no_version():
    old = items([("ID", "NUMBER(38,0)")], [(1, 1)], primary_key_columns=("ID",))
    new = items([("ID", "NUMBER(38,0)"), ("N", "VARCHAR(9)")], [(1, None, 1)], primary_key_columns=("ID",))
    assert old[0].version == new[0].version


def test_columns_that_differ_in_case_only_are_two():
    columns = [("id", "NUMBER(38,0)"), ("ID", "NUMBER(38,0)")]
    (item,) = items(columns, [(1, 2, 1)], primary_key_columns=("id",))
    assert json.loads(item.native)["values"] == {"id": 1, "ID": 2}


def test_the_second_row_of_a_key_is_rejected_also_on_the_next_page():
    builder = RowBuilder(shape([("ID", "NUMBER(38,0)"), ("N", "VARCHAR(9)")], primary_key_columns=("ID",)))
    first = builder.build([(1, "a", 1), (1, "b", 1)])
    second = builder.build([(1, "c", 1), (2, "d", 2)])
    assert [item.path for item in items_of(first.items)] == ["1"]
    assert [item.path for item in items_of(second.items)] == ["2"]
    rejected = [*first.rejected, *second.rejected]
    assert [one.source_object_id for one in rejected] == ["DB.S.T/[1]#2", "DB.S.T/[1]#3"]
    assert rejected[0].error_type == "duplicate_key"
    assert "primary_key_columns" in rejected[0].message


def test_rows_without_a_key_are_named_by_hash_and_ordinal():
    found = items([("N", "VARCHAR(9)")], [("a", 1), ("b", 3)])
    assert len({item.source_object_id for item in found}) == 4
    assert len({item.version for item in found}) == 2
    assert [item.path for item in found[1:]] == [found[1].version, f"{found[1].version}-2", f"{found[1].version}-3"]


@pytest.mark.parametrize(
    ("key", "path"),
    [("a/b.txt", "a/b.txt"), ("nul\x00 and\nline", "nul\\u0000 and\\nline"), ("\u202ertl", "\u202ertl"), ("", "")],
)
def test_a_text_key_is_the_path_but_for_control_characters(key, path):
    (item,) = items([("K", "VARCHAR(9)")], [(key, key)], primary_key_columns=("K",))
    assert item.path == path
    assert "\x00" not in item.source_object_id
    assert "\x00" not in item.native


def test_a_key_of_many_kilobytes_is_named_by_its_digest():
    one, two = items(
        [("K", "VARCHAR(9)")], [("x" * 5000, "x" * 5000), ("x" * 5001, "x" * 5001)], primary_key_columns=("K",)
    )
    assert one.source_object_id != two.source_object_id
    assert len(one.source_object_id) < 100


@pytest.mark.parametrize(
    ("type_text", "text", "micros"),
    [
        ("TIMESTAMP_TZ(9)", "2026-01-01T02:00:00.000001999+0200", 1767225600000001),
        ("TIMESTAMP_NTZ(9)", "2026-01-01T00:00:00", 1767225600000000),
        ("DATE", "2026-01-01", 1767225600000000),
        ("TIMESTAMP_NTZ(9)", "12026-01-01T00:00:00", None),
    ],
)
def test_the_watermark_says_when_a_row_was_modified(type_text, text, micros):
    columns = [("ID", "NUMBER(38,0)"), ("AT", type_text)]
    found = built(columns, [(1, text, 1)], primary_key_columns=("ID",), incremental_column="AT")
    assert found.items.column("modified_at").cast("int64").to_pylist() == [micros]


def test_no_rows_are_an_empty_table():
    assert built([("N", "VARCHAR(9)")], []).items.schema.equals(ITEM_SCHEMA)
