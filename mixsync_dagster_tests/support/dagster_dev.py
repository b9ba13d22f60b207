"""`dagster dev` as a user starts it, in a folder of its own, and its end: nothing that it started is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mixsync_dagster_tests.support.s3_servers import free_ports

_STOP_SECONDS = 30.0
_LOG_LINES = 60
_PROCESSES = Path("/proc")
_DEFINITIONS = ("-m", "mixsync_dagster.definitions")


@dataclass(frozen=True)
class DagsterDev:
    """The running `dagster dev`: webserver, daemon and code server, with everything that they start; or a daemon."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def wait_until(self, reached: Callable[[], bool], seconds: float, what: str) -> None:
        """Return as soon as `reached` says so. Raises AssertionError after the seconds, or when Dagster ended."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert self.process.poll() is None, f"{self.log.stem} ended while the test waited until {what}"
            assert time.monotonic() < deadline, f"{seconds:g} seconds were too short until {what}"
            time.sleep(0.2)

    def kill_all(self) -> None:
        """End everything that it started, and itself, at one moment, as a power cut would."""
        kill_together([self.process])

    def log_tail(self) -> str:
        """Return what the log says last, without the many lines of each step."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join([line for line in lines if " - DEBUG - " not in line][-_LOG_LINES:])


def kill_together(leaders: Sequence[subprocess.Popen[bytes]]) -> int:
    """End the leaders of sessions and all that they started at one moment, and return how many processes those were."""
    killed: set[int] = set()
    while left := [pid for leader in leaders for pid in _session(leader.pid)]:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed.update(left)
        for leader in leaders:
            leader.wait(_STOP_SECONDS)
    return len(killed)


@contextlib.contextmanager
def running_dagster_dev(folder: Path, environment: Mapping[str, str]) -> Iterator[DagsterDev]:
    """Run it on a free port and stop it, by its process group, at the end.

    Prints the tail of its log when the block raises. Raises AssertionError when something of it outlives its end.
    """
    [port] = free_ports(1)
    command = [sys.executable, "-m", "dagster", "dev", *_DEFINITIONS, "-h", "127.0.0.1", "-p", str(port)]
    with _running(command, folder, environment, log=folder / "dagster-dev.log", port=port) as dagster:
        yield dagster
    deadline = time.monotonic() + _STOP_SECONDS
    # What was killed gives its sockets back a moment later.
    while not _is_free(port):
        assert time.monotonic() < deadline, f"port {port} is still taken"
        time.sleep(0.1)


def _is_free(port: int) -> bool:
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            again.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def running_dagster_daemon(folder: Path, environment: Mapping[str, str], *, name: str) -> Iterator[DagsterDev]:
    """Run a daemon with a code server of its own, and end it as `running_dagster_dev` does; its port is 0."""
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", *_DEFINITIONS]
    with _running(command, folder, environment, log=folder / f"{name}.log", port=0) as daemon:
        yield daemon


@contextlib.contextmanager
def _running(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, log: Path, port: int
) -> Iterator[DagsterDev]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509 - sets one signal, between fork and exec
        )
    dagster = DagsterDev(process, port, log)
    try:
        yield dagster
    except BaseException:
        print(f"{log} ends:\n{dagster.log_tail()}")  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        left = _stop(process)
    assert not left, f"these processes outlived {Path(command[0]).name} and were killed: {left}"


def _heed_interrupts() -> None:
    # A shell starts its background jobs with Ctrl-C ignored, and so would everything below.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _stop(process: subprocess.Popen[bytes]) -> list[str]:
    """Stop the process as Ctrl-C would, and return what of its session is left when it has ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    deadline = time.monotonic() + _STOP_SECONDS
    while (left := _session(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(_STOP_SECONDS)
    return list(left.values())


def _session(leader: int) -> dict[int, str]:
    """Return the command line of every live process of a session, by its id; Linux only, empty elsewhere."""
    found = {}
    for folder in _PROCESSES.glob("[0-9]*"):
        try:
            # The name in brackets may hold anything: count from its end.
            state, _parent, _group, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            command = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        if int(session) == leader and state not in "ZX":
            found[int(folder.name)] = command
    return found
