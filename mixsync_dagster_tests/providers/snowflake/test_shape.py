import pytest

from mixsync_dagster.errors import ConfigurationError, InvalidInput
from mixsync_dagster_tests.providers.snowflake.made import shape

TABLE = [("id", "NUMBER(38,0)"), ("ID", "NUMBER(38,0)"), ("V", "VARIANT"), ("B", "BINARY(9)"), ("N", "VARCHAR(9)")]


@pytest.mark.parametrize(("asked", "found"), [("id", "id"), ("ID", "ID"), ("n", "N"), ("Id", "ID")])
def test_a_column_is_meant_exactly_or_in_upper_case(asked, found):
    assert shape(TABLE, primary_key_columns=(asked,)).key[0].name == found


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"primary_key_columns": ("nope",)},
            "primary_key_columns: nope is not accepted; give a column of the table: id",
        ),
        ({"primary_key_columns": ("V",)}, "primary_key_columns: V .json. is not accepted"),
        ({"primary_key_columns": ("N", "n")}, "name a column twice"),
        ({"incremental_column": "N"}, "incremental_column: N .text. is not accepted; give a column that holds a date"),
        ({"incremental_column": "nope"}, "incremental_column: nope"),
        ({"content_column": "id", "primary_key_columns": ("N",)}, "content_column: id .number. is not accepted"),
        ({"content_column": "B"}, "primary_key_columns: none are given"),
    ],
)
def test_columns_that_cannot_serve_are_refused_by_name(settings, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        shape(TABLE, **settings)
    assert issubclass(InvalidInput, ConfigurationError)


def test_the_only_binary_column_of_a_table_with_a_key_is_the_content():
    assert shape(TABLE, primary_key_columns=("N",)).content.name == "B"
    assert shape(TABLE).content is None
    assert shape([*TABLE, ("B2", "BINARY(9)")], primary_key_columns=("N",)).content is None
    assert shape(TABLE, primary_key_columns=("N",), content_column="v").content.name == "V"


def test_positions_lose_their_meaning_with_another_key_or_watermark():
    plain = shape(TABLE, primary_key_columns=("N",)).digest
    assert shape(TABLE, primary_key_columns=("id",)).digest != plain
    assert shape(TABLE, primary_key_columns=("N",), incremental_column="ID").digest != plain
    assert shape([*TABLE, ("NEW", "DATE")], primary_key_columns=("N",)).digest == plain
