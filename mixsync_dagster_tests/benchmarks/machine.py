"""What the numbers were measured on, and what the server can do with nobody but a load generator before it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mixsync_dagster_tests.benchmarks.contenders import executable
from mixsync_dagster_tests.benchmarks.datasets import Dataset
from mixsync_dagster_tests.benchmarks.source_server import SourceServer, server_version

_SMALL = Dataset(10_000, 3072)

_READS = """\
local n = 0
request = function()
  n = (n * 1103515 + 12345) % 10000
  return wrk.format("GET", string.format("/objects-10000-of-3072/data/%03d/%06d.bin", math.floor(n / 1000), n))
end
"""

_LISTS = """\
local n = 0
request = function()
  n = (n + 1) % 9
  return wrk.format("GET", string.format(
    "/objects-10000-of-3072?list-type=2&encoding-type=url&start-after=data/%03d/%06d.bin", n, n * 1000))
end
"""


def describe_machine() -> dict[str, str]:
    """Return cores, processor, memory and the versions that matter."""
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "CPU": _line("/proc/cpuinfo", r"model name\s*:\s*(.+)"),
        "memory kB": _line("/proc/meminfo", r"MemTotal:\s*(\d+)"),
        "Linux": platform.release(),
        "Python": platform.python_version(),
        "nginx": server_version(),
        "mixsync-dagster": _version("mixsync-dagster"),
        "dagster": _version("dagster"),
        "rclone": _told([executable("rclone"), "version"], r"v(\S+)"),
        "s5cmd": _told([executable("s5cmd"), "version"], r"v([\d.]+)"),
    }


def server_limits(server: SourceServer) -> dict[str, str]:
    """Return small reads and listed objects a second by `wrk`; nothing where `wrk` is not installed."""
    if shutil.which("wrk") is None:
        return {}
    server.offer(_SMALL)
    reads = _requests_per_second(server, _READS, connections=64)
    pages = _requests_per_second(server, _LISTS, connections=4)
    return {"small reads/s": f"{reads:,.0f}", "listed objects/s": f"{pages * 1000:,.0f}"}


def _requests_per_second(server: SourceServer, script: str, *, connections: int) -> float:
    path = server.folder / "load.lua"
    path.write_text(script)
    argv = ["wrk", "-t1", f"-c{connections}", "-d2", "-s", str(path), server.url]
    return float(_told(argv, r"Requests/sec:\s*([\d.]+)", default="0"))


def _told(argv: list[str], pattern: str, default: str = "absent") -> str:
    try:
        told = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return default
    found = re.search(pattern, told)
    return found.group(1) if found else default


def _line(path: str, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text()) if Path(path).exists() else None
    return found.group(1).strip() if found else "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
