"""`python -m mixsync_dagster_tests.benchmarks`: runs the scenarios, prints the table, writes JSON where asked."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from mixsync_dagster_tests.benchmarks.contenders import OURS
from mixsync_dagster_tests.benchmarks.machine import describe_machine, server_limits
from mixsync_dagster_tests.benchmarks.measuring import BenchmarkFailed, Sample, Series, as_row, measure
from mixsync_dagster_tests.benchmarks.report import report_markdown, report_table
from mixsync_dagster_tests.benchmarks.scenarios import SCENARIOS, Bench, Scenario
from mixsync_dagster_tests.benchmarks.source_server import ServerMissing, SourceServer

FEW_FILES = 1000
"""What so few objects became is deleted after each round: it may be large, and costs the file system nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit status: 0, or 1 when a scenario could not be measured."""
    options = _parser().parse_args(arguments)
    # So that the server goes too when this process is told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(stderr=True)
    now = datetime.now(UTC)
    work = options.work.resolve()
    run_folder = work / f"run-{now:%Y%m%d-%H%M%S}"
    chosen = [one for one in SCENARIOS if not options.only or one.name in options.only]
    results: list[dict[str, Any]] = []
    failures: list[str] = []
    try:
        with SourceServer(run_folder / "server", work / "datasets") as server:
            document: dict[str, Any] = {"date": f"{now:%Y-%m-%d %H:%M} UTC", "machine": describe_machine()}
            document["server_limits"] = server_limits(server)
            for scenario in chosen:
                wanted = scenario.quick() if options.quick else scenario
                console.print(f"{wanted.name}: {wanted.title}, {wanted.dataset.count:,} objects ...")
                try:
                    results.append(_run(wanted, options, Bench(server, run_folder / wanted.name, work / "datasets")))
                except BenchmarkFailed as failure:
                    failures.append(f"{wanted.name}: {failure}")
                    console.print(failures[-1], style="red", markup=False)
    except ServerMissing as missing:
        console.print(str(missing), style="red", markup=False)
        return 1
    document["scenarios"] = results
    Console(width=max(Console().width, 150)).print(report_table(document))
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    if options.markdown is not None:
        options.markdown.write_text(report_markdown(document))
    return 1 if failures else 0


def _run(scenario: Scenario, options: argparse.Namespace, bench: Bench) -> dict[str, Any]:
    bench.folder.mkdir(parents=True)
    dataset = scenario.dataset
    bench.server.offer(dataset)
    contenders = [
        one
        for one in scenario.contenders(bench, dataset)
        if not options.tools or any(one.tool.startswith(wanted) for wanted in options.tools)
    ]
    samples: dict[str, list[Sample]] = {one.tool: [] for one in contenders}
    requests: dict[str, dict[str, int]] = {}
    for number in range(options.rounds or scenario.rounds):
        # In turn, and each round begins with the next: what disturbs the machine disturbs all of them.
        shift = number % len(contenders)
        for one in contenders[shift:] + contenders[:shift]:
            folder = bench.folder / f"{number}-{one.tool.replace(' ', '-').replace(',', '')}"
            folder.mkdir()
            command = one.prepare(folder)
            bench.server.take_counts()
            samples[one.tool].append(measure(command, folder / "output.log"))
            requests[one.tool] = bench.server.take_counts()
            if one.reads_source:
                _check(scenario, one.tool, requests[one.tool])
            if dataset.count <= FEW_FILES:
                shutil.rmtree(folder)
    series = [Series(one.tool, samples[one.tool], requests[one.tool]) for one in contenders]
    ours = next((one for one in series if one.tool == OURS), None)
    content_bytes = dataset.total_bytes if scenario.transfers else 0
    return {
        "name": scenario.name,
        "title": scenario.title,
        "objects": dataset.count,
        "content_bytes": content_bytes,
        "rounds": options.rounds or scenario.rounds,
        "tools": [as_row(one, ours, dataset.count, content_bytes) for one in series],
    }


def _check(scenario: Scenario, tool: str, requests: dict[str, int]) -> None:
    # A time counts only if the work was done: the server knows what was read.
    count = scenario.dataset.count
    if scenario.transfers and requests["get"] < count:
        raise BenchmarkFailed(f"{tool}: read {requests['get']} of {count} objects.")
    if not scenario.transfers and (requests["get"] or requests["list"] < count / 1000):
        raise BenchmarkFailed(f"{tool}: read {requests['get']} objects in {requests['list']} listing requests.")


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(one.name for one in SCENARIOS)
    parser = argparse.ArgumentParser(
        prog="python -m mixsync_dagster_tests.benchmarks",
        description="Measures mixsync and its peers on synthetic buckets of a local server.",
        epilog="example: python -m mixsync_dagster_tests.benchmarks --only small,latency --quick --json numbers.json",
    )
    parser.add_argument("--only", type=_names, default=(), metavar="A,B", help=f"these scenarios only; of {names}")
    parser.add_argument("--tools", type=_tools, default=(), metavar="A,B", help="tools whose names begin so")
    parser.add_argument("--quick", action="store_true", help="small sizes and at most two rounds")
    parser.add_argument("--rounds", type=int, default=None, metavar="N", help="rounds of every scenario")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "mixsync-benchmarks",
        metavar="DIR",
        help="where data sets are kept and each run gets a new folder (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the numbers here as well")
    parser.add_argument("--markdown", type=Path, default=None, metavar="FILE", help="write the table for a README")
    return parser


def _tools(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _names(text: str) -> tuple[str, ...]:
    names = _tools(text)
    known = {one.name for one in SCENARIOS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no scenario; choose of {', '.join(sorted(known))}.")
    return names


if __name__ == "__main__":
    sys.exit(main())
