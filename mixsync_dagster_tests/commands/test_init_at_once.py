"""Two processes that prepare one fresh home at once: a Dagster instance that both open first would stay broken."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROUNDS = 10
INIT = """
import sys
import dagster
from mixsync_dagster.cli import main
sys.stdin.readline()
sys.argv[1:] = ['init', '--json']
main()
"""
OPEN = """
import sys
from dagster import DagsterInstance
sys.stdin.readline()
with DagsterInstance.get() as instance:
    print(instance.get_runs_count(), len(instance.get_asset_keys()), len(instance.all_instigator_state()))
"""


def at_once(code: str, environment: dict[str, str]) -> list[tuple[int, str, str]]:
    """Run code in two processes that set off together behind their imports; return exit status, stdout, stderr."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(2)
    ]
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [(process.wait(120), *process.communicate()) for process in started]


def revisions(folder: Path) -> dict[str, int]:
    """Return, for each database below a folder, how many revisions it says it has; more than one is the break."""
    found = {}
    for path in folder.rglob("*.db"):
        with closing(sqlite3.connect(path)) as connection:
            found[path.name] = connection.execute("SELECT count(*) FROM alembic_version").fetchone()[0]
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_fresh_home_that_two_processes_prepare_at_once_is_whole(tmp_path: Path) -> None:
    for number in range(ROUNDS):
        home = tmp_path / f"home-{number}"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("MIXSYNC_", "DAGSTER_"))
        }
        environment |= {"MIXSYNC_HOME": str(home)}
        (first, second) = at_once(INIT, environment)
        assert (first[0], first[2]) == (0, "")
        assert first == second
        found = revisions(home)
        assert set(found.values()) == {1}
        assert {"state.db", "runs.db", "schedules.db", "index.db"} <= set(found)
    environment["DAGSTER_HOME"] = str(home / "dagster")
    assert at_once(OPEN, environment) == [(0, "0 0 0\n", "")] * 2
