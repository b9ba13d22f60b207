"""The statements that read rows: identifiers in quotes, values bound by the server, never an OFFSET.

Nothing that a user or a row says stands in a statement but quoted identifiers of columns that the table has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mixsync_dagster.providers.snowflake.columns import Column, Kind, bind, quoted
from mixsync_dagster.providers.snowflake.shape import Shape


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a WHERE clause and the values bound in it, in order."""

    sql: str
    binds: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and the values bound in it, in order."""

    sql: str
    binds: tuple[str | None, ...] = field(default=())


def selected(shape: Shape) -> list[str]:
    """Return the expressions of a row: values of all columns, parts of the key, then size of the content, if any."""
    expressions = [column.selected for column in shape.columns]
    expressions += [column.as_key for column in shape.key]
    if shape.content is not None:
        content = _content(shape.content)
        # OCTET_LENGTH would do for text too, but for DuckDB, which the tests' server runs on.
        binary = shape.content.kind is Kind.BINARY
        expressions.append(f"OCTET_LENGTH({content})" if binary else f"BIT_LENGTH({content}) / 8")
    return expressions


def _content(column: Column) -> str:
    return column.selected if column.kind is Kind.JSON else quoted(column.name)


def behind(columns: Sequence[Column], values: Sequence[Any]) -> Condition:
    """Return the condition of rows behind these values in ascending order of the columns, NULL first.

    Spelled out by column: a comparison of whole rows knows no NULL.
    """
    column, value = columns[0], values[0]
    name, bound = column.ordered_by, bind(value)
    beyond = Condition(f"{name} IS NOT NULL") if value is None else Condition(f"{name} > {column.bound}", (bound,))
    if len(columns) == 1:
        return beyond
    same = Condition(f"{name} IS NULL") if value is None else Condition(f"{name} = {column.bound}", (bound,))
    rest = behind(columns[1:], values[1:])
    return Condition(f"({beyond.sql} OR ({same.sql} AND {rest.sql}))", beyond.binds + same.binds + rest.binds)


def equal(columns: Sequence[Column], values: Sequence[Any]) -> Condition:
    """Return the condition of rows with exactly these values."""
    parts: list[str] = []
    binds: list[str | None] = []
    for column, value in zip(columns, values, strict=True):
        if value is None:
            parts.append(f"{column.ordered_by} IS NULL")
        else:
            parts.append(f"{column.ordered_by} = {column.bound}")
            binds.append(bind(value))
    return Condition(" AND ".join(parts), tuple(binds))


def both(one: Condition, other: Condition | None) -> Condition:
    """Return the condition that both hold."""
    return one if other is None else Condition(f"({one.sql}) AND ({other.sql})", one.binds + other.binds)


def in_order(shape: Shape, where: Condition | None, *, first: Sequence[Column] = ()) -> Statement:
    """Return the statement of the rows that fulfil a condition, in ascending order of `first` and the key."""
    order = [f"{column.ordered_by} ASC NULLS FIRST" for column in _once([*first, *shape.key])]
    sql = f"SELECT {', '.join(selected(shape))} FROM {shape.table.quoted}"  # noqa: S608 - quoted names only
    if where is not None:
        sql += f" WHERE {where.sql}"
    return Statement(f"{sql} ORDER BY {', '.join(order)}", () if where is None else where.binds)


def grouped(shape: Shape, where: Condition | None) -> Statement:
    """Return the statement of a table without a key: distinct rows, each with the number of its likes."""
    expressions = selected(shape)
    sql = f"SELECT {', '.join(expressions)}, COUNT(*) FROM {shape.table.quoted}"  # noqa: S608 - quoted names only
    if where is not None:
        sql += f" WHERE {where.sql}"
    places = ", ".join(str(place) for place in range(1, len(expressions) + 1))
    return Statement(f"{sql} GROUP BY {places}", () if where is None else where.binds)


def one_row(shape: Shape, key: Sequence[Any]) -> Statement:
    """Return the statement of the rows with this key, with their content at the end."""
    expressions = selected(shape)
    if shape.content is not None:
        expressions.append(_content(shape.content))
    where = equal(shape.key, key)
    sql = f"SELECT {', '.join(expressions)} FROM {shape.table.quoted} WHERE {where.sql}"  # noqa: S608 - quoted names only
    return Statement(sql, where.binds)


def first_row(shape: Shape) -> Statement:
    """Return the statement of any one row."""
    sql = f"SELECT {', '.join(selected(shape))} FROM {shape.table.quoted} LIMIT 1"  # noqa: S608 - quoted names only
    return Statement(sql)


def _once(columns: Sequence[Column]) -> list[Column]:
    return list({column.name: column for column in columns}.values())
