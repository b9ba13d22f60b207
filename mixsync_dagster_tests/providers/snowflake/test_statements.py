import pytest

from mixsync_dagster.providers.snowflake.statements import behind, equal, first_row, grouped, in_order, one_row
from mixsync_dagster_tests.providers.snowflake.made import shape

UGLY = 'k"; DROP TABLE t; --'
TABLE = [("ID", "NUMBER(38,0)"), ("NAME", "VARCHAR(10)"), ("AT", "TIMESTAMP_NTZ(9)")]


def test_rows_are_asked_for_in_the_order_of_the_key():
    statement = in_order(shape(TABLE, primary_key_columns=("id",)), None)
    assert statement.sql == ('SELECT "ID", "NAME", "AT"::VARCHAR, "ID" FROM "DB"."S"."T" ORDER BY "ID" ASC NULLS FIRST')
    assert statement.binds == ()


def test_a_listing_goes_on_by_the_key_and_never_by_counting():
    made = shape(TABLE, primary_key_columns=("ID", "NAME"))
    statement = in_order(made, behind(made.key, [7, UGLY]))
    assert (
        'WHERE ("ID" > CAST(? AS NUMBER(38, 0)) OR ("ID" = CAST(? AS NUMBER(38, 0)) AND "NAME" > ?))' in statement.sql
    )
    assert statement.binds == ("7", "7", UGLY)
    assert "OFFSET" not in statement.sql
    assert "DROP" not in statement.sql


@pytest.mark.parametrize(
    ("values", "sql", "binds"),
    [
        ([None, "a"], '("ID" IS NOT NULL OR ("ID" IS NULL AND "NAME" > ?))', ("a",)),
        (
            [1, None],
            '("ID" > CAST(? AS NUMBER(38, 0)) OR ("ID" = CAST(? AS NUMBER(38, 0)) AND "NAME" IS NOT NULL))',
            ("1", "1"),
        ),
    ],
)
def test_nulls_of_a_key_come_first_and_are_gone_on_from(values, sql, binds):
    condition = behind(shape(TABLE, primary_key_columns=("ID", "NAME")).key, values)
    assert (condition.sql, condition.binds) == (sql, binds)


def test_a_row_is_found_by_its_key_with_nulls():
    condition = equal(shape(TABLE, primary_key_columns=("ID", "NAME")).key, [None, "x"])
    assert (condition.sql, condition.binds) == ('"ID" IS NULL AND "NAME" = ?', ("x",))


def test_rows_without_a_key_are_counted_with_their_like():
    assert grouped(shape(TABLE), None).sql == (
        'SELECT "ID", "NAME", "AT"::VARCHAR, COUNT(*) FROM "DB"."S"."T" GROUP BY 1, 2, 3'
    )


def test_content_is_asked_for_with_one_row_and_only_its_size_with_many():
    made = shape([("K", "VARCHAR(9)"), ("DATA", "BINARY(9)")], primary_key_columns=("K",))
    assert in_order(made, None).sql.startswith('SELECT "K", SHA2("DATA", 256), "K", OCTET_LENGTH("DATA") FROM')
    statement = one_row(made, ["a'b"])
    assert statement.sql == (
        'SELECT "K", SHA2("DATA", 256), "K", OCTET_LENGTH("DATA"), "DATA" FROM "DB"."S"."T" WHERE "K" = ?'
    )
    assert statement.binds == ("a'b",)


def test_a_binary_key_travels_as_text():
    made = shape([("K", "BINARY(9)"), ("N", "VARCHAR(9)")], primary_key_columns=("K",))
    assert 'HEX_ENCODE("K") FROM' in first_row(made).sql
    assert behind(made.key, ["00FF"]).sql == "\"K\" > TO_BINARY(?, 'HEX')"


def test_names_that_differ_in_case_only_and_ugly_names_stay_apart():
    made = shape([("id", "NUMBER(38,0)"), ("ID", "NUMBER(38,0)"), (UGLY, "DATE")], primary_key_columns=("id",))
    statement = in_order(made, None)
    assert statement.sql.startswith('SELECT "id", "ID", "k""; DROP TABLE t; --"::VARCHAR, "id" FROM')
    assert statement.sql.endswith('ORDER BY "id" ASC NULLS FIRST')
