from decimal import Decimal

import pytest

from mixsync_dagster.providers.snowflake.columns import Column, Kind, bind, literal, quoted, spelled
from mixsync_dagster.providers.snowflake.values import moment, to_json


@pytest.mark.parametrize(
    ("type_text", "kind", "precision", "scale"),
    [
        ("NUMBER(38,0)", Kind.NUMBER, 38, 0),
        ("NUMBER(20,4)", Kind.NUMBER, 20, 4),
        ("FLOAT", Kind.FLOAT, None, None),
        ("VARCHAR(16777216)", Kind.TEXT, 16777216, None),
        ("TIMESTAMP_NTZ(9)", Kind.TIMESTAMP_NTZ, 9, None),
        ("TIMESTAMP_LTZ(3)", Kind.TIMESTAMP_LTZ, 3, None),
        ("VARIANT", Kind.JSON, None, None),
        ("OBJECT(a NUMBER, b VARCHAR)", Kind.JSON, None, None),
        ("MAP(VARCHAR, NUMBER)", Kind.JSON, None, None),
        ("BINARY(8388608)", Kind.BINARY, 8388608, None),
        ("VECTOR(FLOAT, 256)", Kind.VECTOR, None, None),
        ("GEOMETRY", Kind.GEOGRAPHY, None, None),
        ("SOMETHING_NEW(1)", Kind.OTHER, 1, None),
        ("", Kind.OTHER, None, None),
    ],
)
def test_types_are_read_from_their_description(type_text, kind, precision, scale):
    column = Column.described("C", type_text)
    assert (column.kind, column.precision, column.scale) == (kind, precision, scale)


@pytest.mark.parametrize(
    ("type_text", "selected"),
    [
        ("NUMBER(38,0)", '"C"'),
        ("VARCHAR(10)", '"C"'),
        ("TIMESTAMP_TZ(9)", '"C"::VARCHAR'),
        ("DATE", '"C"::VARCHAR'),
        ("TIME(9)", '"C"::VARCHAR'),
        ("VARIANT", 'TO_JSON("C"::VARIANT)'),
        ("ARRAY", 'TO_JSON("C"::VARIANT)'),
        ("BINARY(10)", 'SHA2("C", 256)'),
        ("GEOGRAPHY", 'TO_JSON(ST_ASGEOJSON("C")::VARIANT)'),
        ("VECTOR(FLOAT, 3)", 'TO_JSON("C"::ARRAY::VARIANT)'),
        ("SOMETHING_NEW", '"C"::VARCHAR'),
    ],
)
def test_a_column_is_asked_for_so_that_nothing_is_lost(type_text, selected):
    assert Column.described("C", type_text).selected == selected


@pytest.mark.parametrize(
    ("type_text", "bound"),
    [
        ("NUMBER(38,0)", "CAST(? AS NUMBER(38, 0))"),
        ("NUMBER(10,2)", "CAST(? AS NUMBER(10, 2))"),
        ("VARCHAR(5)", "?"),
        ("TIMESTAMP_NTZ(3)", "CAST(? AS TIMESTAMP_NTZ(9))"),
        ("DATE", "CAST(? AS DATE)"),
        ("TIME(9)", "CAST(? AS TIME(9))"),
        ("BOOLEAN", "CAST(? AS BOOLEAN)"),
        ("BINARY(8)", "TO_BINARY(?, 'HEX')"),
    ],
)
def test_values_are_bound_as_text_with_their_own_type(type_text, bound):
    assert Column.described("C", type_text).bound == bound


@pytest.mark.parametrize(
    ("type_text", "given", "value"),
    [
        ("NUMBER(38,0)", Decimal("9" * 38), 99999999999999999999999999999999999999),
        ("NUMBER(38,0)", 7, 7),
        ("NUMBER(38,4)", Decimal("1234567890123456789012345678901234.5670"), "1234567890123456789012345678901234.5670"),
        ("NUMBER(10,2)", Decimal("1.10"), 1.1),
        ("FLOAT", float("nan"), "nan"),
        ("FLOAT", 0.1, 0.1),
        ("FLOAT", 1e300, 1e300),
        ("VARCHAR(9)", 'a"\x00\u00e9\u2028', 'a"\x00\u00e9\u2028'),
        ("BOOLEAN", False, False),
        ("DATE", "2026-01-01", "2026-01-01"),
        ("TIMESTAMP_NTZ(9)", "2026-01-01T00:00:00.120000000", "2026-01-01T00:00:00.120"),
        ("BOOLEAN", True, True),
        ("VARIANT", '{"b":1,"a":[null,"x"]}', {"b": 1, "a": [None, "x"]}),
        ("VARIANT", "12345678901234567890123456789", 12345678901234567890123456789),
        ("VARIANT", "0.12345678901234567890123", "0.12345678901234567890123"),
        ("VARIANT", "1e999", "1e999"),
        ("ARRAY", "[1,undefined]", "[1,undefined]"),
        ("BINARY(9)", "00FFaa", {"sha256": "00ffaa"}),
        ("TIMESTAMP_NTZ(9)", "2026-01-01 00:00:00.123456789", "2026-01-01T00:00:00.123456789"),
    ],
)
def test_values_keep_what_they_are(type_text, given, value):
    column = Column.described("C", type_text)
    assert column.value(given) == value
    assert column.text(given) == to_json(value)


@pytest.mark.parametrize(
    ("text", "one_form"),
    [
        ("2026-01-01T00:00:00.000000000", "2026-01-01T00:00:00"),
        ("2026-01-01 00:00:00.120000000", "2026-01-01T00:00:00.120"),
        ("2026-01-01T00:00:00.123456789+0200", "2026-01-01T00:00:00.123456789+02:00"),
        ("2026-01-01 00:00:00.123456 -0330", "2026-01-01T00:00:00.123456-03:30"),
        ("2026-01-01T00:00:00.1234+0200", "2026-01-01T00:00:00.123400+02:00"),
        ("2026-01-01 00:00:00+00", "2026-01-01T00:00:00+00:00"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00"),
        ("2026-01-01", "2026-01-01"),
        ("01:02:03.500000000", "01:02:03.500"),
        ("no time at all", "no time at all"),
    ],
)
def test_times_have_one_form_whatever_the_server_writes(text, one_form):
    assert moment(text) == one_form


def test_parts_of_a_key_are_bound_as_text():
    assert [bind(part) for part in (7, "x", True, 0.1, None)] == ["7", "x", "true", "0.1", None]


def test_names_and_constants_cannot_break_out():
    assert quoted('a"; DROP TABLE x; --') == '"a""; DROP TABLE x; --"'
    assert literal("a'; DROP TABLE x; --\\'") == "'a''; DROP TABLE x; --\\\\'''"


def test_names_are_spelled_with_quotes_only_where_they_need_them():
    assert [spelled(name) for name in ("PLAIN_1", "lower", "A.B")] == ["PLAIN_1", '"lower"', '"A.B"']


def test_a_collated_column_is_compared_by_its_characters():
    column = Column.described("K", "VARCHAR(10) COLLATE 'en-ci'")
    assert column.ordered_by == "COLLATE(\"K\", 'utf8')"
    assert column.selected == '"K"'
