"""What commands print: tables for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNITS = ("B", "KB", "MB", "GB", "TB")
_STEP = 1024


def console() -> Console:
    """Return a console on stdout; wide when stdout is no terminal, so that lines are not broken in pipes."""
    out = Console(highlight=False, emoji=False)
    return out if out.is_terminal else Console(highlight=False, emoji=False, width=200)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON document on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=_plain) + "\n")


def print_json_lines(values: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object a line."""
    for value in values:
        print_json(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows as a table, or the sentence `empty` when there are none."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    count = 0
    for row in rows:
        # Text, not markup: names may hold square brackets.
        table.add_row(*(Text(shown(cell)) for cell in row))
        count += 1
    if count:
        console().print(table)
    else:
        print_line(empty)


def print_line(text: str) -> None:
    """Print a line as it is, at once: who reads a pipe may wait for it while the command goes on."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_text(text: str) -> None:
    """Print text of several lines, which ends with a line end, as it is."""
    sys.stdout.write(text)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values in two columns; absent values are left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in facts.items():
        if value is not None and value != "":
            table.add_row(Text(name, style="bold"), Text(shown(value)))
    console().print(table)


def shown(value: object) -> str:
    """Return a value as a table shows it: times to the second in UTC, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={element}" for key, element in value.items())
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(value))


def size(size_bytes: float | None) -> str:
    """Return a number of bytes with a unit, e.g. `1.5 MB`; nothing for None."""
    if size_bytes is None:
        return ""
    amount = float(size_bytes)
    for unit in _UNITS:
        if amount < _STEP or unit == _UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _STEP
    return ""


def duration(seconds: float | None) -> str:
    """Return a duration, e.g. `4.2 s` or `3 min 5 s`; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
