"""`python -m mixsync_dagster_tests.benchmarks.api_requests`: requests a second and p99 of the REST API, by `wrk`.

Beside a FastAPI route that does nothing, in the same run and in turn, so that what disturbs the machine disturbs all.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from mixsync_dagster.model.api_keys import Role
from mixsync_dagster.settings import Settings, child_environment
from mixsync_dagster.state import schema, sync_rows
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.benchmarks.contenders import environment_of, executable, make_home
from mixsync_dagster_tests.benchmarks.datasets import Dataset
from mixsync_dagster_tests.benchmarks.machine import describe_machine
from mixsync_dagster_tests.benchmarks.measuring import BenchmarkFailed
from mixsync_dagster_tests.benchmarks.source_server import ServerMissing, SourceServer

UNIQUE = "UNIQUE"
BARE = "a bare FastAPI route"
_BUCKET = "bkt_benchmark"
_DATASET = Dataset(count=1, mean_bytes=3072)
_START_SECONDS = 60.0
_WARM_SECONDS = 5
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Load:
    """What `wrk` asks for, again and again."""

    name: str
    port: int
    path: str
    method: str = "GET"
    body: str = ""
    """Empty for none; UNIQUE in it becomes a word that no other request has."""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What `wrk` saw in one round."""

    requests_per_second: float
    p50_seconds: float
    p99_seconds: float


_SCRIPT = """\
local threads, n = 0, 0
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end
function init(args)
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = KEY
end
function request()
  n = n + 1
  local unique = ROUND .. "-" .. number .. "-" .. n
  return wrk.format(METHOD, PATH, nil, BODY)
end
"""


def script_of(load: Load, *, round_number: int) -> str:
    """Return the Lua script that makes the load's requests; names that are made differ from round to round."""
    words = {
        "KEY": _lua(f"Bearer {load.key}"),
        "ROUND": str(round_number),
        "METHOD": _lua(load.method),
        "PATH": _lua(load.path),
        "BODY": " .. unique .. ".join(_lua(part) for part in load.body.split(UNIQUE)) if load.body else "nil",
    }
    return re.sub(r"\b(?:" + "|".join(words) + r")\b", lambda word: words[word[0]], _SCRIPT)


def _lua(text: str) -> str:
    return f"[[{text}]]"


def answered(output: str) -> Answered:
    """Return what the output of `wrk --latency` says. Raises BenchmarkFailed when requests were not answered well."""
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    latency = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+(?:us|ms|s|m))\s*$", output, re.MULTILINE))
    if failed or rate is None or float(rate[1]) == 0 or set(latency) != {"50", "99"}:
        raise BenchmarkFailed(f"wrk's requests were not all answered: {failed[0] if failed else output[-300:]}")
    return Answered(float(rate[1]), _seconds(latency["50"]), _seconds(latency["99"]))


def _seconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]  # as it was found
    return float(number) * _UNITS[unit]


def ask(load: Load, folder: Path, *, seconds: int, connections: int, round_number: int) -> Answered:
    """Let `wrk` make the load's requests for some seconds."""
    script = folder / "load.lua"
    script.write_text(script_of(load, round_number=round_number))
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s", "-s", str(script)]
    done = subprocess.run([*argv, f"http://127.0.0.1:{load.port}"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkFailed(f"wrk ended with {done.returncode}: {done.stderr[-300:]}")
    return answered(done.stdout)


def fill(home: Path, count: int) -> str:
    """Put so many syncs into the home's bucket and return a key for them."""
    with Services.open(Settings(home=home, database_url=f"sqlite:///{home / 'state.db'}")) as services:
        [first] = services.store.list_syncs(bucket_id=_BUCKET)
        rows = [
            sync_rows.to_values(
                first.model_copy(update={"sync_config_id": f"sync_{number:015}", "name": f"filled-{number}"})
            )
            for number in range(count - 1)
        ]
        # In one transaction: one for each would take minutes.
        with services.store._database.write() as tx:
            tx.execute(sa.insert(schema.syncs).values(rows[:1]))
            tx.connection.execute(sa.insert(schema.syncs), rows[1:])
        namespace = first.namespace_id.removeprefix("ns_")
        organisation = first.internal_id.removeprefix("int_")
        return services.open_keys().create(namespace=namespace, organisation=organisation, role=Role.ADMIN)[1]


@contextmanager
def served(argv: Sequence[str], environment: dict[str, str], port: int, log: Path) -> Iterator[None]:
    """Run a server until the block ends; it answers when the block begins."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=child_environment(environment), stdout=output, stderr=output)
        try:
            _await_answer(process, port)
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def _await_answer(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise BenchmarkFailed(f"{process.args} does not listen on port {port}.")


def loads_of(bare: int, api: int, key: str) -> Sequence[Load]:
    """Return everything that is measured; the bare route first."""
    syncs = f"/v1/buckets/{_BUCKET}/syncs"
    sync = {"connection_id": "source", "source_path": f"{_DATASET.bucket}/data", "name": f"made-{UNIQUE}"}
    bucket = {"bucket_name": f"made-{UNIQUE}"}
    return (
        Load(BARE, bare, "/bare"),
        Load("get a sync", api, f"{syncs}/sync_{0:015}", key=key),
        Load("list 100 syncs, newest first", api, f"{syncs}/list", "POST", key=key),
        Load("list 100 syncs from the middle", api, f"{syncs}/list?offset=5000", "POST", key=key),
        Load("create a bucket", api, "/v1/buckets", "POST", json.dumps(bucket), key),
        Load("create a sync, its path tried", api, syncs, "POST", json.dumps(sync), key),
    )


def measured(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Return a row for each load: medians over the rounds."""
    with SourceServer(folder / "server", folder / "datasets") as source:
        source.offer(_DATASET)
        home = make_home(folder, source.url, _DATASET)
        key = fill(home, options.syncs)
        bare, api = _free_port(), _free_port()
        environment = environment_of(home) | {"MIXSYNC_API_REQUESTS_PER_MINUTE": "0"}
        bare_argv = [sys.executable, "-m", "mixsync_dagster_tests.benchmarks.bare_route", str(bare)]
        here = {"PYTHONPATH": str(Path(__file__).parents[2])}
        api_argv = [executable("mixsync"), "api", "--port", str(api)]
        with served(bare_argv, here, bare, folder / "bare.log"), served(api_argv, environment, api, folder / "api.log"):
            loads = loads_of(bare, api, key)
            rounds: dict[str, list[Answered]] = {load.name: [] for load in loads}
            for load in loads:
                # What is made or loaded once is no part of what a request costs.
                ask(load, folder, seconds=_WARM_SECONDS, connections=1, round_number=options.rounds)
            for number in range(options.rounds):
                for load in loads:
                    took = ask(
                        load, folder, seconds=options.seconds, connections=options.connections, round_number=number
                    )
                    rounds[load.name].append(took)
    return [_row(name, found, rounds[BARE]) for name, found in rounds.items()]


def _row(name: str, found: Sequence[Answered], bare: Sequence[Answered]) -> dict[str, Any]:
    rate = statistics.median(one.requests_per_second for one in found)
    shares = [one.requests_per_second / other.requests_per_second for one, other in zip(found, bare, strict=True)]
    return {
        "request": name,
        "requests_per_second": round(rate, 1),
        "of_bare_route": round(statistics.median(shares), 3),
        "p50_ms": round(1000 * statistics.median(one.p50_seconds for one in found), 2),
        "p99_ms": round(1000 * statistics.median(one.p99_seconds for one in found), 2),
        "rounds": [one.requests_per_second for one in found],
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table; return the exit status: 0, or 1 when something could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--syncs", type=int, default=10_000, help="syncs in the bucket")
    parser.add_argument("--connections", type=int, default=8, help="connections that ask at once")
    parser.add_argument("--seconds", type=int, default=10, help="how long each round of each request lasts")
    parser.add_argument("--rounds", type=int, default=3)
    work = Path(tempfile.gettempdir()) / "mixsync-benchmarks"
    parser.add_argument("--work", type=Path, default=work, help="where each run gets a new folder")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    console = Console()
    if shutil.which("wrk") is None:
        console.print("wrk is not installed; on Debian and Ubuntu: apt-get install wrk")
        return 1
    now = datetime.now(UTC)
    folder = options.work.resolve() / f"requests-{now:%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True)
    try:
        rows = measured(options, folder)
    except (BenchmarkFailed, ServerMissing) as failure:
        console.print(str(failure), style="red", markup=False)
        return 1
    table = Table(*(name.replace("_", " ") for name in rows[0] if name != "rounds"))
    for row in rows:
        table.add_row(*(str(value) for name, value in row.items() if name != "rounds"))
    console.print(table)
    if options.json is not None:
        settings = {name: getattr(options, name) for name in ("syncs", "connections", "seconds", "rounds")}
        document = {"date": f"{now:%Y-%m-%d %H:%M} UTC", "machine": describe_machine(), **settings}
        options.json.write_text(json.dumps({**document, "requests": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
