"""`python -m mixsync_dagster_tests.benchmarks.pages`: pages of Drive and Graph a second, against the bare clients.

Each reader is a process of its own and reads every page once from a server that answers from memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from mixsync_dagster_tests.benchmarks.machine import describe_machine
from mixsync_dagster_tests.benchmarks.measuring import BenchmarkFailed, Command, Sample, Series, as_row, measure, rate
from mixsync_dagster_tests.benchmarks.page_readers import OURS, READERS
from mixsync_dagster_tests.benchmarks.pages_server import serving
from mixsync_dagster_tests.benchmarks.report import report_markdown, report_table

__all__ = ["memory_of"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for and print the table; return 0."""
    options = _parser().parse_args(arguments)
    if options.read is not None:
        return _read(*options.read)
    document: dict[str, Any] = {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "machine": describe_machine()}
    with tempfile.TemporaryDirectory(prefix="mixsync-pages-") as work, serving(options.files) as port:
        document["scenarios"] = [
            _measured(name, port, options.files, options.rounds, Path(work))
            for name in READERS
            if not options.only or name in options.only.split(",")
        ]
    document["server_limits"] = {
        one["name"]: f"{one['pages_per_second']['bytes alone']:,.0f} pages/s" for one in document["scenarios"]
    }
    console = Console(width=max(Console().width, 150))
    console.print(report_table(document))
    for one in document["scenarios"]:
        rates = ", ".join(f"{tool} {pages:,.0f}" for tool, pages in one["pages_per_second"].items())
        console.print(f"{one['name']}: pages a second without the start of the process: {rates}", markup=False)
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if options.markdown is not None:
        options.markdown.write_text(report_markdown(document), encoding="utf-8")
    return 0


def _measured(name: str, port: int, files: int, rounds: int, work: Path) -> dict[str, Any]:
    tools = list(READERS[name])
    samples: dict[str, list[Sample]] = {tool: [] for tool in tools}
    told: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    for number in range(rounds):
        shift = number % len(tools)
        for tool in tools[shift:] + tools[:shift]:
            log = work / f"{name}-{number}-{tools.index(tool)}.log"
            samples[tool].append(measure(_command(name, tool, port, files), log))
            told[tool].append(_told(log))
    series = [Series(tool, samples[tool], {"pages": int(told[tool][-1]["pages"])}) for tool in tools]
    return {
        "name": name,
        "title": "read every page",
        "objects": files,
        "content_bytes": 0,
        "rounds": rounds,
        "tools": [as_row(one, series[0], files, 0) for one in series],
        "pages_per_second": {
            tool: round(median(rate(one["pages"] - 1, one["seconds"]) for one in told[tool]), 1) for tool in tools
        },
    }


def _command(name: str, tool: str, port: int, files: int) -> Command:
    argv = [sys.executable, "-m", "mixsync_dagster_tests.benchmarks.pages", "--read", name, tool, str(port), str(files)]
    return Command(argv, {"PYTHONPATH": str(Path(__file__).resolve().parents[2])})


def _told(log: Path) -> dict[str, float]:
    told: dict[str, float] = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    return told


def memory_of(name: str, files: int, folder: Path) -> int:
    """Return the most bytes that our reader of so many files held."""
    with serving(files) as port:
        return measure(_command(name, OURS, port, files), folder / f"{files}.log").peak_rss_bytes


def _read(name: str, tool: str, port: str, files: str) -> int:
    """Be a reader and say how long the reading took. Raises BenchmarkFailed unless all files came."""
    began, pages, found = time.perf_counter(), 0, 0
    for count in READERS[name][tool](int(port), int(files)):
        # The first page ends the start (imports, sign-in, folders): the rate is that of the pages behind it.
        began = time.perf_counter() if pages == 0 else began
        pages, found = pages + 1, found + count
    if found != int(files):
        raise BenchmarkFailed(f"{tool} found {found} of {files} files.")
    sys.stdout.write(json.dumps({"pages": pages, "seconds": time.perf_counter() - began}) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mixsync_dagster_tests.benchmarks.pages",
        description="Measures how fast pages of Drive and Graph are read, and with how much memory.",
        epilog="example: python -m mixsync_dagster_tests.benchmarks.pages --files 20000 --only drive-listing",
    )
    parser.add_argument("--files", type=int, default=100_000, metavar="N", help="files of the drive (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of every reader (%(default)s)")
    parser.add_argument("--only", default="", metavar="A,B", help=f"these only; of {', '.join(READERS)}")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the numbers here as well")
    parser.add_argument("--markdown", type=Path, default=None, metavar="FILE", help="write the table for a README")
    parser.add_argument("--read", nargs=4, default=None, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
