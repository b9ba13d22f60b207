"""Columns and constants made of buffers are what pyarrow makes of the same values."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mixsync_dagster.model.columns import column, constant, empty, equal_or_both_null, flag, moment

CASES = [
    ([], pa.string()),
    ([], pa.bool_()),
    (["", "a", "b c"], pa.string()),
    (["ä", "", "\U0001f600", "plain"], pa.string()),
    ([None, "a", None], pa.string()),
    ([None, "é"], pa.string()),
    ([None, None], pa.string()),
    ([b"", b"\xff\x00", b"abc"], pa.binary()),
    ([None, b"x"], pa.binary()),
    ([True, False, True, True, False, False, False, True, True], pa.bool_()),
    ([None, True, False], pa.bool_()),
    ([0, -1, 2**63 - 1, -(2**63)], pa.int64()),
    ([None, 7], pa.int64()),
    (range(20), pa.int32()),
]


@pytest.mark.parametrize(("values", "kind"), CASES)
def test_a_column_is_what_pyarrow_makes_of_the_values(values: list[object], kind: pa.DataType) -> None:
    made = column(values, kind)

    made.validate(full=True)
    assert made.equals(pa.array(values, kind))
    assert made.null_count == pa.array(values, kind).null_count


def test_columns_of_any_length_keep_every_null_and_flag_in_its_place() -> None:
    chance = random.Random(5)
    for length in range(70):
        flags = [chance.choice([True, False, None]) for _ in range(length)]
        texts = [chance.choice(["x" * chance.randrange(4), "ß", None]) for _ in range(length)]

        assert column(flags, pa.bool_()).to_pylist() == flags
        assert column(texts, pa.string()).to_pylist() == texts


def test_constants_work_in_compute_functions() -> None:
    sizes = column([1, None, 3], pa.int64())

    assert pc.equal(sizes, constant(3, pa.int64())).to_pylist() == [False, None, True]
    assert pc.fill_null(pc.equal(sizes, constant(3, pa.int64())), flag(False)).to_pylist() == [False, False, True]
    assert flag(True).as_py() is True


@pytest.mark.parametrize(
    ("values", "kind", "error"),
    [
        ([2**31], pa.int32(), OverflowError),
        ([2**63], pa.int64(), OverflowError),
        (["\ud800"], pa.string(), UnicodeEncodeError),
        ([1.5], pa.float64(), TypeError),
        (["1"], pa.int64(), TypeError),
        ([1], pa.string(), TypeError),
    ],
)
def test_what_does_not_fit_is_refused(values: list[object], kind: pa.DataType, error: type[Exception]) -> None:
    with pytest.raises(error):
        column(values, kind)


def test_two_absent_values_are_equal_and_one_is_not() -> None:
    ours, theirs = column(["a", "a", None, None], pa.string()), column(["a", "b", "a", None], pa.string())

    assert equal_or_both_null(ours, theirs).to_pylist() == [True, False, False, True]


def test_a_moment_is_what_pyarrow_makes_of_it() -> None:
    late = datetime(2026, 11, 26, 5, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))

    assert moment(late) == pa.scalar(late, pa.timestamp("us", tz="UTC"))


def test_a_table_of_no_rows_has_the_schema() -> None:
    schema = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("at", pa.timestamp("us", tz="UTC"))])

    assert empty(schema).equals(schema.empty_table())
    assert empty(schema).schema == schema


def test_columns_and_constants_bring_no_pandas_along() -> None:
    asked = (
        "import sys, pyarrow as pa; from mixsync_dagster.model.columns import column, constant, empty;"
        "column(['a', None], pa.string()); constant(1, pa.int64()); empty(pa.schema([('a', pa.int64())]));"
        "print('pandas' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "False"
