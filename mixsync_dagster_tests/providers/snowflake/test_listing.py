import json

import pytest

from mixsync_dagster.errors import CursorExpired, MixsyncError
from mixsync_dagster.model.items import items_of
from mixsync_dagster.testing.contracts.provider import listed

UGLY = 'x\' OR 1=1; DROP TABLE "T"; --'


def values_of(item):
    return json.loads(item.native)["values"]


def numbers(tables, count, name="NUMBERS"):
    tables.run(f"CREATE TABLE ${name} (ID NUMBER(38,0), N VARCHAR)")
    tables.run(f"INSERT INTO ${name} SELECT SEQ4(), 'n' || SEQ4() FROM TABLE(GENERATOR(ROWCOUNT => {count}))")
    tables.simulator.clear()


def test_values_of_all_types_come_through_the_wire_unharmed(tables):
    tables.run(
        "CREATE TABLE $KINDS (ID NUMBER(38,0), BIG NUMBER(38,4), MONEY NUMBER(10,2), F FLOAT, B BOOLEAN, D DATE,"
        " TM TIME, NTZ TIMESTAMP_NTZ, LTZ TIMESTAMP_LTZ, TZ TIMESTAMP_TZ, V VARIANT, O OBJECT, A ARRAY, BIN BINARY,"
        " E VARCHAR)"
    )
    tables.run(
        "INSERT INTO $KINDS SELECT 9007199254740993, '1234567890123456789012345678901234.5678', 1.10, 0.1, true,"
        " '2026-01-31', '01:02:03.5', '2026-01-01 00:00:00.123456', '2026-01-01 00:00:00+00:00',"
        " '2026-01-01 02:00:00+02:00', PARSE_JSON('{\"b\":[1,null],\"a\":\"\u00e9\"}'), OBJECT_CONSTRUCT('k', 1),"
        " ARRAY_CONSTRUCT(1, 2), TO_BINARY('00FF', 'HEX'), NULL"
    )
    (item,) = listed(tables.provider("KINDS", primary_key_columns=("ID",), content_column="BIN"))
    assert values_of(item) == {
        "ID": 9007199254740993,
        "BIG": "1234567890123456789012345678901234.5678",
        "MONEY": 1.1,
        "F": 0.1,
        "B": True,
        "D": "2026-01-31",
        "TM": "01:02:03.500",
        "NTZ": "2026-01-01T00:00:00.123456",
        "LTZ": "2026-01-01T00:00:00+00:00",
        "TZ": "2026-01-01T00:00:00+00:00",
        "V": {"a": "\u00e9", "b": [1, None]},
        "O": {"k": 1},
        "A": [1, 2],
        "BIN": {"sha256": "06eb7d6a69ee19e5fbdf749018d3d2abfa04bcbd1365db312eb86dc7169389b8"},
    }
    assert item.source_object_id == f"WORLD.{tables.schema}.KINDS/[9007199254740993]"
    assert item.size_bytes == 2


def test_a_listing_is_one_statement_and_one_look_at_the_columns(tables, simulator):
    numbers(tables, 23)
    pages = list(tables.provider("NUMBERS", primary_key_columns=("ID",), page_rows=5).list_pages())
    assert [page.items.num_rows for page in pages] == [5, 5, 5, 5, 3]
    name = tables.name("NUMBERS")
    assert simulator.texts() == [
        f"DESCRIBE TABLE {name}",
        f'SELECT "ID", "N", "ID" FROM {name} ORDER BY "ID" ASC NULLS FIRST',
    ]


def test_numbers_come_in_the_order_of_numbers(tables):
    numbers(tables, 12)
    found = listed(tables.provider("NUMBERS", primary_key_columns=("ID",)))
    assert [item.path for item in found] == [str(number) for number in range(12)]


def test_a_listing_goes_on_by_a_bound_key(tables, simulator):
    tables.run("CREATE TABLE $T (K VARCHAR, N NUMBER)")
    for key in ("a", UGLY, "y"):
        tables.run("INSERT INTO $T SELECT ?, 1", key)
    provider = tables.provider("T", primary_key_columns=("K",), page_rows=2)
    first, second = provider.list_pages()
    assert [item.path for item in items_of(first.items)] == ["a", UGLY]
    simulator.clear()
    assert [item.path for item in listed(provider, first.cursor)] == ["y"]
    (sent,) = simulator.statements
    assert sent.binds == (UGLY,)
    assert "DROP" not in sent.sql
    assert 'WHERE "K" > ? ORDER BY' in sent.sql
    assert second.cursor is None


def test_composite_keys_with_nulls_are_gone_on_from_everywhere(tables):
    tables.run("CREATE TABLE $T (A NUMBER, B VARCHAR)")
    keys = [(None, None), (None, "x"), (1, None), (1, "x"), (1, "y"), (2, "a")]
    for number, text in keys:
        tables.run("INSERT INTO $T SELECT CAST(? AS NUMBER), ?", None if number is None else str(number), text)
    provider = tables.provider("T", primary_key_columns=("A", "B"), page_rows=1)
    pages = list(provider.list_pages())
    assert [json.loads(next(items_of(page.items)).native)["key"] for page in pages] == [list(key) for key in keys]
    for number, page in enumerate(pages[:-1], 1):
        assert len(listed(provider, page.cursor)) == len(keys) - number


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("TIMESTAMP_NTZ", ["2026-01-01 00:00:00.000001", "2026-01-01 00:00:00.000002", "2026-01-02"]),
        ("TIMESTAMP_TZ", ["2026-01-01 00:00:00+00:00", "2026-01-01 00:00:01+00:00", "2026-01-01 00:00:02+00:00"]),
        ("DATE", ["2026-01-01", "2026-01-02", "2027-01-01"]),
        ("TIME", ["01:00:00", "01:00:00.000001", "02:00:00"]),
        ("NUMBER(38,4)", ["-1.5", "0.0001", "123456789012345678901234567890.0001"]),
        ("FLOAT", ["-1.5", "0.1", "1e300"]),
        ("BOOLEAN", ["false", "true"]),
    ],
)
def test_keys_of_other_types_are_gone_on_from(tables, kind, values):
    tables.run(f"CREATE TABLE $T (K {kind})")
    for value in values:
        tables.run(f"INSERT INTO $T SELECT CAST(? AS {kind})", value)
    provider = tables.provider("T", primary_key_columns=("K",), page_rows=1)
    pages = list(provider.list_pages())
    assert len(pages) == len(values)
    assert [len(listed(provider, page.cursor)) for page in pages[:-1]] == list(range(len(values) - 1, 0, -1))


def test_binary_keys_are_gone_on_from(tables):
    tables.run("CREATE TABLE $T (K BINARY, N NUMBER)")
    for value in ("00", "00FF", "FF"):
        tables.run("INSERT INTO $T SELECT TO_BINARY(?, 'HEX'), 1", value)
    provider = tables.provider("T", primary_key_columns=("K",), page_rows=1)
    pages = list(provider.list_pages())
    assert [item.path for item in listed(provider, pages[0].cursor)] == ["00FF", "FF"]


def test_rows_without_a_key_are_listed_with_their_like(tables, simulator):
    tables.run("CREATE TABLE $T (N VARCHAR, V VARIANT)")
    for name in ("a", "b", "b", "b"):
        tables.run("INSERT INTO $T SELECT ?, PARSE_JSON('{\"x\":1}')", name)
    provider = tables.provider("T", page_rows=2)
    pages = list(provider.list_pages())
    found = [item for page in pages for item in items_of(page.items)]
    assert len({item.source_object_id for item in found}) == 4
    assert sorted(values_of(item)["N"] for item in found) == ["a", "b", "b", "b"]
    with pytest.raises(CursorExpired):
        list(provider.list_pages(pages[0].cursor))
    assert len({page.cursor for page in pages}) == len(pages)


def test_a_row_that_changed_without_a_key_is_another_one(tables):
    tables.run("CREATE TABLE $T (N VARCHAR)")
    tables.run("INSERT INTO $T SELECT 'before'")
    provider = tables.provider("T")
    (before,) = listed(provider)
    tables.run("UPDATE $T SET N = 'after'")
    (after,) = listed(provider)
    assert after.source_object_id != before.source_object_id


def test_a_position_of_another_key_is_refused(tables):
    numbers(tables, 3)
    first = next(tables.provider("NUMBERS", primary_key_columns=("ID",), page_rows=1).list_pages())
    with pytest.raises(CursorExpired):
        list(tables.provider("NUMBERS", primary_key_columns=("N",), page_rows=1).list_pages(first.cursor))


def test_names_that_need_quotes_are_read(tables):
    tables.run('CREATE TABLE $"odd name" ("a b" NUMBER, "select" VARCHAR, "x""y" VARCHAR)')
    tables.run("INSERT INTO $\"odd name\" SELECT 1, 's', 'q'")
    (item,) = listed(tables.provider("odd name", primary_key_columns=("a b",)))
    assert values_of(item) == {"a b": 1, "select": "s", 'x"y': "q"}
    assert item.source_object_id == f'WORLD.{tables.schema}."odd name"/[1]'


def test_an_injection_in_a_table_name_stays_a_name(tables, simulator):
    name = 'T"; DROP TABLE "WORLD"."S"."T'
    with pytest.raises(MixsyncError):
        listed(tables.provider(name))
    assert simulator.texts("DESCRIBE") == [
        f'DESCRIBE TABLE "WORLD"."{tables.schema}"."T""; DROP TABLE ""WORLD"".""S"".""T"'
    ]
