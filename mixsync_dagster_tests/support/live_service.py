"""The product as a user runs it: `mixsync init`, `mixsync api` and `dagster dev`, which share one folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from mixsync_dagster_tests.support.dagster_dev import DagsterDev, running_dagster_dev

_COMMAND_SECONDS = 60
_STOP_SECONDS = 30
_RUN_SECONDS = 120
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class LiveService:
    """Where it is, and the Dagster that works for it."""

    folder: Path
    url: str
    """Address of the API, without /v1."""
    dagster: DagsterDev

    def new_key(self, namespace: str, *, organisation: str = "local") -> str:
        """Make an admin's API key by command and return it."""
        given = ("--namespace", namespace, "--organisation", organisation, "--role", "admin")
        made: dict[str, Any] = json.loads(mixsync(self.folder, "keys", "create", *given, "--json"))
        return str(made["key"])


def mixsync(folder: Path, *arguments: str) -> str:
    """Run a command in a folder with a home of its own and return what it printed. Raises AssertionError."""
    done = subprocess.run(
        [sys.executable, "-m", "mixsync_dagster.cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment_of(folder),
        timeout=_COMMAND_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment_of(folder: Path) -> dict[str, str]:
    """Return the environment of a user whose settings are those of the folder alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MIXSYNC_", "DAGSTER_"))}
    home = folder / ".mixsync"
    return {
        **kept,
        "MIXSYNC_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        # The storages of tests stand on this machine, where no tenant may reach without it.
        "MIXSYNC_ALLOWED_ADDRESSES": "127.0.0.1",
    }


@contextmanager
def running_live_service(folder: Path) -> Iterator[LiveService]:
    """Run the API and `dagster dev` on a new state store in the folder, and stop both at the end."""
    mixsync(folder, "init")
    with running_api(folder) as url, running_dagster_dev(folder, environment_of(folder)) as dagster:
        yield LiveService(folder, url, dagster)
        # Dagster's servers do not end before the runs that they started.
        with dg.DagsterInstance.from_config(str(folder / ".mixsync" / "dagster")) as instance:
            under_way = dg.RunsFilter(statuses=_UNDER_WAY)
            dagster.wait_until(lambda: not instance.get_runs_count(under_way), _RUN_SECONDS, "no run was under way")


@contextmanager
def running_api(folder: Path) -> Iterator[str]:
    """Run `mixsync api` on a free port and give its address. Raises AssertionError when it ends badly."""
    command = [sys.executable, "-m", "mixsync_dagster.cli", "api", "--port", "0"]
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder, env=environment_of(folder)
        )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("The API is at http://"), said or (folder / "api.log").read_text()
        yield said.split()[4].removesuffix("/v1,")
        assert process.poll() is None, (folder / "api.log").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=_STOP_SECONDS)
        finally:
            process.kill()
            process.wait(_STOP_SECONDS)
