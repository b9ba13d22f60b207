"""The table that a benchmark run prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

_COLUMNS = (
    "scenario",
    "tool",
    "median s",
    "ours / tool",
    "objects/s",
    "MB/s",
    "CPU s",
    "CPU us/object",
    "peak MB",
    "requests",
)


def report_table(document: Mapping[str, Any]) -> Table:
    """Return the results as a table: one line per tool, with the machine in its caption."""
    machine = document["machine"]
    limits = ", ".join(f"{name} {value}" for name, value in document["server_limits"].items()) or "not measured"
    caption = ", ".join(f"{name} {value}" for name, value in machine.items())
    table = Table(title=document["date"], caption=f"{caption}\nserver alone: {limits}", caption_justify="left")
    for column in _COLUMNS:
        numeric = column not in {"scenario", "tool", "requests"}
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for scenario in document["scenarios"]:
        label = f"{scenario['name']} ({scenario['objects']:,})"
        for row in scenario["tools"]:
            table.add_row(label, *_cells(row))
            label = ""
        table.add_section()
    return table


def report_markdown(document: Mapping[str, Any]) -> str:
    """Return the results as a Markdown table with the date and the machine above it."""
    machine = ", ".join(f"{name} {value}" for name, value in document["machine"].items())
    limits = ", ".join(f"{name} {value}" for name, value in document["server_limits"].items()) or "not measured"
    lines = [f"{document['date']}; {machine}; server alone: {limits}.", ""]
    lines += [f"| {' | '.join(_COLUMNS)} |", "|---|---|" + "---:|" * (len(_COLUMNS) - 3) + "---|"]
    for scenario in document["scenarios"]:
        label = f"`{scenario['name']}` ({scenario['objects']:,})"
        for row in scenario["tools"]:
            lines.append(f"| {' | '.join((label, *_cells(row)))} |")
            label = ""
    return "\n".join(lines) + "\n"


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    asked = " ".join(f"{kind} {count}" for kind, count in row["requests"].items() if count)
    return (
        row["tool"],
        f"{row['wall_seconds']:.2f}",
        "" if row["ratio"] is None else f"{row['ratio']:.2f}",
        f"{row['objects_per_second']:,.0f}",
        f"{row['megabytes_per_second']:,.0f}" if row["megabytes_per_second"] else "",
        f"{row['cpu_seconds']:.2f}",
        f"{row['cpu_microseconds_per_object']:,.0f}",
        f"{row['peak_rss_megabytes']:,.0f}",
        asked,
    )
