"""Arrow columns and constants from Python values, without what `pa.array` and `pa.scalar` bring along.

Both ask at their first call whether their argument is a pandas object, and import pandas to find out (`_is_array_like`
in pyarrow's array.pxi): measured 0.2 seconds and 45 MB in every process, which a short run, or a step of a run in a
process of its own, feels. Plain buffers need neither.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

TIME = pa.timestamp("us", tz="UTC")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT, _BYTES, _FLAG, _WHOLE, _INDEX = pa.string(), pa.binary(), pa.bool_(), pa.int64(), pa.int32()


def column(values: Sequence[Any], kind: pa.DataType) -> Any:
    """Return the values as an array of `kind` (string, binary, bool, int32 or int64); None is null.

    Raises OverflowError for an integer that
    does not fit and for more than 2 GiB of text, UnicodeEncodeError for text that is no Unicode, TypeError for values
    of another type.
    """
    nulls, valid = None, values
    if None in values:
        nulls = _bits([value is not None for value in values])
        blank = _blank(kind)
        valid = [blank if value is None else value for value in values]
    return pa.Array.from_buffers(kind, len(values), [nulls, *_buffers(valid, kind)])


def constant(value: Any, kind: pa.DataType) -> Any:
    """Return the value as a scalar for compute functions; kinds and errors as `column` has them."""
    return column([value], kind)[0]


def empty(schema: pa.Schema) -> pa.Table:
    """Return a table of no rows."""
    return pa.Table.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def _buffers(values: Sequence[Any], kind: pa.DataType) -> list[Any]:
    if kind == _TEXT:
        joined = "".join(values)
        data = joined.encode()
        if len(data) == len(joined):
            return [_offsets(map(len, values)), pa.py_buffer(data)]
        parts = [value.encode() for value in values]
        return [_offsets(map(len, parts)), pa.py_buffer(data)]
    if kind == _BYTES:
        return [_offsets(map(len, values)), pa.py_buffer(b"".join(values))]
    if kind == _FLAG:
        return [_bits(values)]
    if kind == _WHOLE:
        return [pa.py_buffer(array("q", values))]
    if kind == _INDEX:
        return [pa.py_buffer(array("i", values))]
    raise TypeError(f"columns of {kind} are not made here")


def _blank(kind: pa.DataType) -> Any:
    if kind == _TEXT:
        return ""
    if kind == _BYTES:
        return b""
    return 0


def _offsets(lengths: Iterable[int]) -> Any:
    return pa.py_buffer(array("i", accumulate(lengths, initial=0)))


def _bits(values: Sequence[Any]) -> Any:
    # Least significant bit first: the first value is the last digit of the number that the bits spell.
    digits = "".join(["1" if value else "0" for value in reversed(values)])
    return pa.py_buffer(int(digits or "0", 2).to_bytes((len(values) + 7) // 8, "little"))


TRUE, FALSE = column([True, False], _FLAG)


def moment(value: datetime) -> Any:
    """Return an aware time as a scalar of type TIME."""
    return constant((value - EPOCH) // timedelta(microseconds=1), _WHOLE).cast(TIME)


def equal_or_both_null(ours: Any, theirs: Any) -> Any:
    """Return where both columns have the same value or both have none."""
    both_null = pc.and_(pc.is_null(ours), pc.is_null(theirs))
    return pc.or_(both_null, pc.fill_null(pc.equal(ours, theirs), fill_value=FALSE))


def flag(value: bool) -> Any:
    """Return the truth value as a scalar for compute functions."""
    return TRUE if value else FALSE
