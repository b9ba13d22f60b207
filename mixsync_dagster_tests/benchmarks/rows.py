"""`python -m mixsync_dagster_tests.benchmarks.rows`: rows of Snowflake a second, against the bare connector.

Each reader is a process of its own and reads the whole table once from a server that answers from memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from mixsync_dagster_tests.benchmarks.contenders import Contender, environment_of, executable, run_command
from mixsync_dagster_tests.benchmarks.machine import describe_machine
from mixsync_dagster_tests.benchmarks.measuring import Command, Sample, Series, as_row, measure
from mixsync_dagster_tests.benchmarks.report import report_markdown, report_table
from mixsync_dagster_tests.benchmarks.rows_server import STATEMENT, TABLE, rows_between, serving, settings_of

__all__ = ["LISTING", "RUN", "memory_of", "rows_between"]

LISTING = "mixsync, listing"
RUN = "mixsync run"
_PAGE_ROWS = 1000
"""The default of a connection's `fetch_size`."""


def _list_pages(port: int) -> Iterator[int]:
    from mixsync_dagster.providers.snowflake.provider import SnowflakeProvider

    with closing(SnowflakeProvider(settings_of(port))) as provider:
        for page in provider.list_pages():
            yield page.items.num_rows


def _arrow_batches(port: int) -> Iterator[int]:
    for table in _asked(port).fetch_arrow_batches():
        yield table.num_rows


def _pandas_batches(port: int) -> Iterator[int]:
    for frame in _asked(port).fetch_pandas_batches():
        yield len(frame)


def _tuples(port: int) -> Iterator[int]:
    cursor = _asked(port)
    while rows := cursor.fetchmany(_PAGE_ROWS):
        yield len(rows)


def _asked(port: int) -> Any:
    """Return the bare connector's cursor after the statement."""
    import snowflake.connector

    settings = settings_of(port)
    connection = snowflake.connector.connect(
        user=settings.username,
        password=settings.password,
        account=settings.account,
        database=TABLE.database,
        schema=TABLE.schema,
        host=settings.host,
        port=port,
        protocol="http",
        session_parameters={"CLIENT_TELEMETRY_ENABLED": False},
    )
    return connection.cursor().execute(STATEMENT)


READERS: Mapping[str, Callable[[int], Iterator[int]]] = {
    LISTING: _list_pages,
    "connector, Arrow batches": _arrow_batches,
    "connector, pandas batches": _pandas_batches,
    "connector, rows": _tuples,
}
"""What reads the table and tells how many rows came, part by part."""

_DEFINITIONS = """\
connections:
  warehouse:
    provider_type: snowflake
    provider_config:
      account: acct
      warehouse: WH
      host: 127.0.0.1
      port: {port}
      protocol: http
      primary_key_columns: [ID]
      credentials: {{type: username_password, username: reader, password: of-no-value}}
buckets:
  bkt_benchmark: {{description: Benchmark}}
syncs:
  benchmark:
    bucket_id: bkt_benchmark
    connection_id: warehouse
    source_path: BENCHMARK.PUBLIC.ITEMS
    max_objects_per_run: {rows}
    skip_batch_submission: true
"""


def _contenders(port: int, rows: int, wanted: Sequence[str]) -> list[Contender]:
    found = [_reading(name, port, rows) for name in READERS]
    found.insert(1, Contender(RUN, lambda folder: run_command(_home(folder, port, rows))))
    return [one for one in found if not wanted or any(one.tool.startswith(name) for name in wanted)]


def _reading(name: str, port: int, rows: int) -> Contender:
    argv = [sys.executable, "-m", "mixsync_dagster_tests.benchmarks.rows", "--read", name, str(port), str(rows)]
    root = str(Path(__file__).resolve().parents[2])
    return Contender(name, lambda _folder: Command(argv, {"PYTHONPATH": root}))


def _home(folder: Path, port: int, rows: int) -> Path:
    """Return a new home whose sync `benchmark` makes an object of every row."""
    home = folder / "home"
    (home / "dagster").mkdir(parents=True)
    definitions = folder / "benchmark.yaml"
    definitions.write_text(_DEFINITIONS.format(port=port, rows=rows), encoding="utf-8")
    environment = environment_of(home)
    measure(Command([executable("mixsync"), "init"], environment), folder / "init.log")
    apply = [executable("mixsync"), "apply", str(definitions), "--no-check"]
    measure(Command(apply, environment), folder / "apply.log")
    return home


def memory_of(reader: str, rows: int, folder: Path) -> int:
    """Return the most bytes that a reader of so many rows held."""
    with serving(rows) as port:
        return measure(_reading(reader, port, rows).prepare(folder), folder / f"{rows}.log").peak_rss_bytes


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for and print the table; return 0."""
    options = _parser().parse_args(arguments)
    if options.read is not None:
        return _read(*options.read)
    readers = tuple(name.strip() for name in options.readers.split(",") if name.strip())
    samples: dict[str, list[Sample]] = {}
    with tempfile.TemporaryDirectory(prefix="mixsync-rows-") as work, serving(options.rows) as port:
        contenders = _contenders(port, options.rows, readers)
        for number in range(options.rounds):
            shift = number % len(contenders)
            for one in contenders[shift:] + contenders[:shift]:
                folder = Path(work, f"{number}-{one.tool.replace(' ', '-').replace(',', '')}")
                folder.mkdir()
                samples.setdefault(one.tool, []).append(measure(one.prepare(folder), folder / "output.log"))
    series = [Series(one.tool, samples[one.tool], {}) for one in contenders]
    ours = next((one for one in series if one.tool == LISTING), None)
    document: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": describe_machine(),
        "server_limits": {},
        "scenarios": [
            {
                "name": "rows",
                "title": "read a whole table",
                "objects": options.rows,
                "content_bytes": 0,
                "rounds": options.rounds,
                "tools": [as_row(one, ours, options.rows, 0) for one in series],
            }
        ],
    }
    Console(width=max(Console().width, 150)).print(report_table(document))
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if options.markdown is not None:
        options.markdown.write_text(report_markdown(document), encoding="utf-8")
    return 0


def _read(name: str, port: str, rows: str) -> int:
    """Be a reader; return 1 unless all rows came."""
    return 0 if sum(READERS[name](int(port))) == int(rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mixsync_dagster_tests.benchmarks.rows",
        description="Measures how fast rows of Snowflake are read, and with how much memory.",
        epilog="example: python -m mixsync_dagster_tests.benchmarks.rows --rows 100000 --readers 'mixsync, listing'",
    )
    names = ", ".join(repr(name) for name in (*READERS, RUN))
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="rows of the table (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of every reader (%(default)s)")
    parser.add_argument("--readers", default="", metavar="A,B", help=f"readers whose names begin so; of {names}")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the numbers here as well")
    parser.add_argument("--markdown", type=Path, default=None, metavar="FILE", help="write the table for a README")
    parser.add_argument("--read", nargs=3, default=None, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
