"""Starting workers by the fork server, or as true commands, and waiting for what becomes of them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mixsync_dagster_tests.faults import mutants
from mixsync_dagster_tests.faults.points import Plan

PATIENCE_SECONDS = 60.0
FORK_SERVER = "mixsync_dagster_tests.faults.fork_server"
"""The module that is the fork server; another one may import more before it becomes one."""

_TREE = Path(__file__).parents[2]


@dataclass
class Worker:
    """One process on its way; `status` is what Popen calls the return code."""

    pid: int
    output: Path
    status: int | None = None
    stops: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Return the status at the end of the process."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.status is not None, seconds), f"worker {self.pid} does not end"
        assert self.status is not None
        return self.status

    def wait_stopped(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Return whether the process was stopped; False when it ended instead."""
        with self.changed:
            found = self.changed.wait_for(lambda: self.stops > 0 or self.status is not None, seconds)
            assert found, f"worker {self.pid} neither stops nor ends"
            return self.status is None

    def signal(self, number: int) -> None:
        with self.changed:
            if self.status is None:
                os.kill(self.pid, number)

    @property
    def said(self) -> str:
        """What it wrote to stderr."""
        return Path(f"{self.output}.err").read_text(errors="replace")

    @property
    def told(self) -> str:
        """The end of what it wrote to stdout and stderr, on one line."""
        return " ".join((Path(f"{self.output}.out").read_text(errors="replace") + self.said).split())[-400:]


class ForkServer:
    """The client of one fork server; a context manager. From any thread."""

    def __init__(
        self,
        *,
        mutant: str | None = None,
        dagster: bool = False,
        module: str = "mixsync_dagster_tests.faults.fork_server",
    ) -> None:
        self._module = module
        self._environment = {"OPENBLAS_NUM_THREADS": "1", "DAGSTER_DISABLE_TELEMETRY": "yes"}
        if mutant is not None:
            self._environment[mutants.VARIABLE] = mutant
        if dagster:
            self._environment["FAULTS_DAGSTER"] = "1"
        self._numbers = itertools.count()
        self._events = threading.Condition()
        self._started: dict[int, int] = {}
        self._workers: dict[int, Worker] = {}
        self._early: dict[int, list[dict[str, Any]]] = {}
        self.threads = 0
        self._ready = self._over = False
        self.workers = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean_environment(self._environment),
            cwd=_TREE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        with self._events:
            self._events.wait_for(lambda: self._ready or self._over, PATIENCE_SECONDS)
        assert self._ready, "the fork server does not start; stderr says why"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=PATIENCE_SECONDS)
        self._reader.join(timeout=5)
        self._process.stdout.close()

    def start(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        output: Path,
        plan: Plan | None,
        environment: Mapping[str, str],
    ) -> Worker:
        """Fork a worker that runs `mixsync ...` or `dagster ...`."""
        number = next(self._numbers)
        request = {
            "request": number,
            "command": list(command),
            "folder": str(folder),
            "output": str(output),
            "plan": None if plan is None else plan.dump(),
            "environment": dict(environment),
        }
        assert self._process.stdin is not None
        with self._events:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            assert self._events.wait_for(lambda: number in self._started, PATIENCE_SECONDS), "no worker was forked"
            worker = Worker(self._started.pop(number), output)
            self._workers[worker.pid] = worker
            self.workers += 1
            for event in self._early.pop(worker.pid, []):
                self._happened(worker, event)
        return worker

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            with self._events:
                if "ready" in event:
                    self._ready, self.threads = True, event["threads"]
                elif "pid" in event:
                    self._started[event["request"]] = event["pid"]
                else:
                    pid = event.get("ended", event.get("stopped"))
                    worker = self._workers.get(pid)
                    if worker is None:
                        self._early.setdefault(pid, []).append(event)
                    else:
                        self._happened(worker, event)
                self._events.notify_all()
        with self._events:
            self._over = True
            self._events.notify_all()

    def _happened(self, worker: Worker, event: dict[str, Any]) -> None:
        with worker.changed:
            if "stopped" in event:
                worker.stops += 1
            else:
                worker.status = event["status"]
                del self._workers[worker.pid]
            worker.changed.notify_all()


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without settings of whoever runs the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MIXSYNC_", "DAGSTER_", "FAULTS_"))}
    return {**kept, **extra}


class CommandStarter:
    """Starts true commands, as a user's shell does; the points are put in by a sitecustomize on PYTHONPATH."""

    threads = 1

    def __init__(self, folder: Path, extra: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._extra = dict(extra or {})
        self.workers = 0
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(
            "import os\n"
            "if 'FAULTS_PLAN' in os.environ:\n"
            "    from mixsync_dagster_tests.faults.points import Plan, install\n"
            "    install(Plan.load(os.environ['FAULTS_PLAN']))\n"
        )

    def start(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        output: Path,
        plan: Plan | None,
        environment: Mapping[str, str],
    ) -> Worker:
        """Start `mixsync ...` with the command's own interpreter."""
        assert command[0] == "mixsync"
        given = {**environment, **self._extra, "PYTHONPATH": f"{self._folder}{os.pathsep}{_TREE}"}
        if plan is not None:
            given["FAULTS_PLAN"] = plan.dump()
        with Path(f"{output}.out").open("wb") as out, Path(f"{output}.err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-c", "from mixsync_dagster.cli import main; main()", *command[1:]],
                cwd=folder,
                env=clean_environment(given),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self.workers += 1
        worker = Worker(process.pid, output)
        threading.Thread(target=_watch, args=(process, worker), daemon=True).start()
        return worker


def _watch(process: subprocess.Popen[bytes], worker: Worker) -> None:
    status = process.wait()
    with worker.changed:
        worker.status = status
        worker.changed.notify_all()


def stopped_state(pid: int) -> bool:
    """Return whether the system has the process as stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def kill_after(worker: Worker, seconds: float) -> None:
    """Kill a worker at a moment that nobody chose for what it does then."""
    time.sleep(seconds)
    worker.signal(signal.SIGKILL)
