"""A Snowflake on loopback, in a process of its own, whose one table is listed from memory, in parts.

`python -m mixsync_dagster_tests.benchmarks.rows_server ROWS` prints its port and serves until its input ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from mixsync_dagster.model.paths import SnowflakeTable
from mixsync_dagster.providers.snowflake.settings import SnowflakeSettings

TABLE = SnowflakeTable("BENCHMARK", "PUBLIC", "ITEMS")
STATEMENT = 'SELECT "ID", "NAME", "SEEN"::VARCHAR, "ID" FROM "BENCHMARK"."PUBLIC"."ITEMS" ORDER BY "ID" ASC NULLS FIRST'
"""What our listing asks; the bare connector asks the same."""

PART_ROWS = 25_000
"""Rows of a part; Snowflake makes them a few megabytes to some tens of megabytes each."""

_SCHEMA = pa.schema([("ID", pa.int64()), ("NAME", pa.string()), ("SEEN", pa.string()), ("ID2", pa.int64())])


def rows_between(first: int, stop: int) -> pa.Table:
    """Return the answer's rows from one number up to another, as `STATEMENT` asks for them."""
    numbers = range(first, stop)
    names = [f"item {number} of a table" for number in numbers]
    times = [
        f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000000000" for number in numbers
    ]
    keys = pa.array(numbers, pa.int64())
    return pa.Table.from_arrays([keys, pa.array(names), pa.array(times), keys], schema=_SCHEMA)


def settings_of(port: int) -> SnowflakeSettings:
    """Return what reads the table at the server of a port."""
    return SnowflakeSettings(
        account="acct",
        warehouse="WH",
        table=TABLE,
        username="reader",
        password="of-no-value",
        primary_key_columns=("ID",),
        host="127.0.0.1",
        port=port,
        protocol="http",
    )


@contextmanager
def serving(rows: int) -> Iterator[int]:
    """Yield the port of a server of so many rows in a process of its own."""
    command = [sys.executable, "-m", "mixsync_dagster_tests.benchmarks.rows_server", str(rows)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        if process.stdout is None or not (line := process.stdout.readline()).strip():
            raise RuntimeError("the server of rows did not start")
        yield int(line)
    finally:
        process.communicate()


def main(arguments: Sequence[str]) -> int:
    """Serve until the input ends."""
    from mixsync_dagster.providers.snowflake.client import SnowflakeClient
    from mixsync_dagster.testing.snowflake_results import PreparedResult
    from mixsync_dagster.testing.snowflake_simulator import running

    rows = int(arguments[0])
    parts = (rows_between(first, min(first + PART_ROWS, rows)) for first in range(0, rows, PART_ROWS))
    result = PreparedResult.of("ORDER BY", parts)
    with running() as simulator:
        client = SnowflakeClient(settings_of(simulator.port))
        columns = "ID NUMBER(38,0), NAME VARCHAR, SEEN TIMESTAMP_NTZ(9)"
        client.rows(f"CREATE TABLE {TABLE.quoted} ({columns})")
        client.close()
        simulator.clear()
        simulator.results.append(result)
        sys.stdout.write(f"{simulator.port}\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
