"""The process that workers are forked from: it has imported everything and begun nothing.

No thread of ours, no connection and no client exists in it, so a fork is as good as a new process and costs a
hundredth. It reads requests from its standard input, one JSON document a line, and tells on its standard output which
process was started and what became of it. It ends with its standard input, and its workers with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from mixsync_dagster_tests.faults import mutants

_USED = (
    "mixsync_dagster.cli",
    "mixsync_dagster.buckets.embedded",
    "mixsync_dagster.commands.output",
    "mixsync_dagster.control.presenting",
    "mixsync_dagster.engine.run",
    "mixsync_dagster.providers.s3.factory",
    "mixsync_dagster.state.store",
    "pandas",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "mixsync_dagster_tests.faults.points",
)
_USED_BY_DAGSTER = ("dagster._cli", "mixsync_dagster.definitions", "mixsync_dagster.orchestration.location")


def main() -> None:
    """Serve until the input ends."""
    mutant = os.environ.get(mutants.VARIABLE)
    if mutant:
        mutants.seed(mutant)
    for name in _USED:
        import_module(name)
    if os.environ.get("FAULTS_DAGSTER"):
        for name in _USED_BY_DAGSTER:
            import_module(name)
    # What libraries start for themselves and renew after a fork is allowed.
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    threads = [name for name in names if name != "jemalloc_bg_thd"]
    _tell({"ready": os.getpid(), "threads": len(threads)})
    with contextlib.ExitStack() as stack:
        children: set[int] = set()
        stack.callback(_end, children)
        _serve(children)


def _serve(children: set[int]) -> None:
    awake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    buffered = b""
    while True:
        ready, _, _ = select.select([0, awake], [], [])
        if awake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(awake, 4096)
            _reap(children)
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                return
            *lines, buffered = (buffered + read).split(b"\n")
            for line in lines:
                _start(json.loads(line), children)


def _start(request: dict[str, Any], children: set[int]) -> None:
    pid = os.fork()
    if pid == 0:
        _be_worker(request)
    children.add(pid)
    _tell({"request": request["request"], "pid": pid})


def _reap(children: set[int]) -> None:
    while children:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if os.WIFSTOPPED(status):
            _tell({"stopped": pid})
            continue
        children.discard(pid)
        _tell({"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def _end(children: set[int]) -> None:
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _be_worker(request: dict[str, Any]) -> None:
    """Run the request's command in this new process and end it with the command's status."""
    status = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _redirect(request["output"])
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        from mixsync_dagster_tests.faults.points import Plan, install

        if request["plan"] is not None:
            install(Plan.load(request["plan"]))
        status = _status(_COMMANDS[request["command"][0]], request["command"][1:])
    except BaseException:  # noqa: BLE001 - the edge of a process that must not return into its parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _redirect(output: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, ending in ((1, "out"), (2, "err")):
        file = os.open(f"{output}.{ending}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)


def _status(command: Callable[[Sequence[str]], Any], arguments: Sequence[str]) -> int:
    try:
        command(list(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _mixsync(arguments: Sequence[str]) -> None:
    from mixsync_dagster.cli import main as mixsync

    mixsync(arguments)


def _dagster(arguments: Sequence[str]) -> None:
    from dagster._cli import cli as dagster

    dagster(list(arguments), prog_name="dagster")


_COMMANDS: dict[str, Callable[[Sequence[str]], Any]] = {"mixsync": _mixsync, "dagster": _dagster}


def _tell(event: dict[str, Any]) -> None:
    os.write(1, json.dumps(event).encode() + b"\n")


if __name__ == "__main__":
    main()
