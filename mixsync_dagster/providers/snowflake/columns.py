"""Columns of a table: how each is asked for, and what becomes of its values without losing anything.

Times are asked for as text, since Python's datetime ends at microseconds; BINARY columns as digest and length, so that
a listing carries no content; whole numbers stay whole whatever their size; VARIANT, OBJECT and ARRAY are JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from json.encoder import encode_basestring
from typing import Any

from mixsync_dagster.providers.snowflake import values

_TYPE = re.compile(r"\s*([A-Z_]+)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?", re.IGNORECASE)
_BARE = re.compile(r"[A-Z_][A-Z0-9_$]*")
_EXACT_FLOAT_DIGITS = 15
"""Decimals of so many digits survive the way through a JSON number of any reader."""


class Kind(StrEnum):
    """What a value is."""

    NUMBER = "number"
    FLOAT = "float"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    TIMESTAMP_NTZ = "timestamp_ntz"
    TIMESTAMP_LTZ = "timestamp_ltz"
    TIMESTAMP_TZ = "timestamp_tz"
    JSON = "json"
    BINARY = "binary"
    GEOGRAPHY = "geography"
    VECTOR = "vector"
    OTHER = "other"


TIMES = frozenset({Kind.DATE, Kind.TIMESTAMP_NTZ, Kind.TIMESTAMP_LTZ, Kind.TIMESTAMP_TZ})
"""Kinds that say when."""
MOMENTS = frozenset({Kind.TIMESTAMP_LTZ, Kind.TIMESTAMP_TZ})
"""Kinds that say when without a doubt about the zone."""
KEYS = TIMES | {Kind.NUMBER, Kind.FLOAT, Kind.TEXT, Kind.BOOLEAN, Kind.TIME, Kind.BINARY}
"""Kinds that can be part of a key."""

_KINDS = {
    "NUMBER": Kind.NUMBER,
    "DECIMAL": Kind.NUMBER,
    "NUMERIC": Kind.NUMBER,
    "INT": Kind.NUMBER,
    "INTEGER": Kind.NUMBER,
    "BIGINT": Kind.NUMBER,
    "FLOAT": Kind.FLOAT,
    "DOUBLE": Kind.FLOAT,
    "REAL": Kind.FLOAT,
    "VARCHAR": Kind.TEXT,
    "CHAR": Kind.TEXT,
    "STRING": Kind.TEXT,
    "TEXT": Kind.TEXT,
    "BOOLEAN": Kind.BOOLEAN,
    "DATE": Kind.DATE,
    "TIME": Kind.TIME,
    "TIMESTAMP_NTZ": Kind.TIMESTAMP_NTZ,
    "DATETIME": Kind.TIMESTAMP_NTZ,
    "TIMESTAMP_LTZ": Kind.TIMESTAMP_LTZ,
    "TIMESTAMP_TZ": Kind.TIMESTAMP_TZ,
    "VARIANT": Kind.JSON,
    "OBJECT": Kind.JSON,
    "ARRAY": Kind.JSON,
    "MAP": Kind.JSON,
    "BINARY": Kind.BINARY,
    "VARBINARY": Kind.BINARY,
    "GEOGRAPHY": Kind.GEOGRAPHY,
    "GEOMETRY": Kind.GEOGRAPHY,
    "VECTOR": Kind.VECTOR,
}


def quoted(name: str) -> str:
    """Return an identifier for a statement: in quotes, exactly as it is, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def spelled(name: str) -> str:
    """Return an identifier as people write it: in quotes only where it needs them."""
    return name if _BARE.fullmatch(name) else quoted(name)


def literal(text: str) -> str:
    """Return a text constant for the few places where nothing can be bound; only for names and times of our own."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Column:
    """One column as DESCRIBE TABLE tells it."""

    name: str
    kind: Kind
    precision: int | None = None
    scale: int | None = None
    collated: bool = False

    @classmethod
    def described(cls, name: str, type_text: str) -> Column:
        """Return the column of a name and a type such as NUMBER(38,0); types not known here are kind OTHER."""
        match = _TYPE.match(type_text)
        if match is None:
            return cls(name, Kind.OTHER)
        kind = _KINDS.get(match[1].upper(), Kind.OTHER)
        precision, scale = (None if part is None else int(part) for part in (match[2], match[3]))
        if kind is Kind.NUMBER:
            precision, scale = precision or 38, scale or 0
        return cls(name, kind, precision, scale, collated="COLLATE" in type_text.upper())

    @property
    def selected(self) -> str:
        """The expression whose value `value` takes."""
        name = quoted(self.name)
        if self.kind in (Kind.NUMBER, Kind.FLOAT, Kind.TEXT, Kind.BOOLEAN):
            return name
        if self.kind is Kind.JSON:
            return f"TO_JSON({name}::VARIANT)"
        if self.kind is Kind.VECTOR:
            return f"TO_JSON({name}::ARRAY::VARIANT)"
        if self.kind is Kind.GEOGRAPHY:
            return f"TO_JSON(ST_ASGEOJSON({name})::VARIANT)"
        if self.kind is Kind.BINARY:
            return f"SHA2({name}, 256)"
        return f"{name}::VARCHAR"

    @property
    def as_key(self) -> str:
        """The expression whose value is the column's part of a key."""
        return f"HEX_ENCODE({quoted(self.name)})" if self.kind is Kind.BINARY else self.selected

    @property
    def ordered_by(self) -> str:
        """The expression that rows are ordered and compared by: a collation would call different keys equal."""
        name = quoted(self.name)
        return f"COLLATE({name}, 'utf8')" if self.collated else name

    @property
    def bound(self) -> str:
        """The placeholder for a value of this column, given as `bind` has it."""
        if self.kind is Kind.TEXT:
            return "?"
        if self.kind is Kind.BINARY:
            return "TO_BINARY(?, 'HEX')"
        if self.kind is Kind.NUMBER:
            return f"CAST(? AS NUMBER({self.precision}, {self.scale}))"
        suffix = "(9)" if self.kind in TIMES - {Kind.DATE} | {Kind.TIME} else ""
        return f"CAST(? AS {self.kind.value.upper()}{suffix})"

    @property
    def key_value(self) -> Callable[[Any], Any]:
        """As `value`, for `as_key`."""
        return str if self.kind is Kind.BINARY else self.value

    @property
    def text(self) -> Callable[[Any], str]:
        """The function that makes the JSON text of `value`, the same as `to_json` does, faster."""
        if self.kind is Kind.NUMBER and not self.scale:
            return values.whole_text
        if self.kind is Kind.NUMBER:
            return values.float_text if self.value is float else values.decimal_text
        return _TEXTS.get(self.kind) or values.text_of(self.value)

    @property
    def key_text(self) -> Callable[[Any], str]:
        """As `text`, for `as_key`."""
        return encode_basestring if self.kind is Kind.BINARY else self.text

    @property
    def value(self) -> Callable[[Any], Any]:
        """The function that makes a JSON value of what the connector gives for `selected`; never asked for None."""
        if self.kind is Kind.NUMBER:
            if not self.scale:
                return int
            return float if (self.precision or 38) <= _EXACT_FLOAT_DIGITS else values.decimal_value
        return _VALUES.get(self.kind, str)


def bind(part: Any) -> str | None:
    """Return a part of a key as the text that is bound for it."""
    if part is None:
        return None
    if isinstance(part, bool):
        return "true" if part else "false"
    return part if isinstance(part, str) else repr(part)


_VALUES: dict[Kind, Callable[[Any], Any]] = {
    Kind.FLOAT: values.float_value,
    Kind.BOOLEAN: bool,
    Kind.DATE: values.moment_value,
    Kind.TIME: values.moment_value,
    Kind.TIMESTAMP_NTZ: values.moment_value,
    Kind.TIMESTAMP_LTZ: values.moment_value,
    Kind.TIMESTAMP_TZ: values.moment_value,
    Kind.BINARY: values.digest_value,
    Kind.JSON: values.json_value,
    Kind.VECTOR: values.json_value,
    Kind.GEOGRAPHY: values.json_value,
}


_TEXTS: dict[Kind, Callable[[Any], str]] = {
    Kind.TEXT: encode_basestring,
    Kind.FLOAT: values.float_text,
    Kind.BOOLEAN: values.truth_text,
    **dict.fromkeys(TIMES | {Kind.TIME}, values.moment_text),
}
