"""Whether the process of a run, or what launched it, still lives, as far as another process of its machine can tell."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

_ANSWER_SECONDS = 1.0
_PROC = Path("/proc")


def this_process() -> str | None:
    """Return a name for this process that no other one ever has: machine, its boot, process id and start.

    None where /proc does not tell, as on macOS.
    """
    place, started = _place(), _started(os.getpid())
    return None if place is None or started is None else f"{place}:{os.getpid()}:{started}"


def is_gone(process: str | None) -> bool:
    """Return whether the process of this name is known to have ended; False for one of another machine or container."""
    place, _, rest = (process or "").partition(":")
    pid, _, started = rest.partition(":")
    if not place or place != _place() or not (pid.isascii() and pid.isdecimal()):
        return False
    return _started(int(pid)) != started


def server_is_gone(launch_info: str | None) -> bool:
    """Return whether nobody listens any more where a run was launched by a code server of this machine.

    `launch_info` is what Dagster notes on a run that it launches: JSON with `host` and `socket` or `port`. False where
    another machine may have launched it, and for anything else.
    """
    try:
        info = json.loads(launch_info or "{}")
    except ValueError:
        return False
    address = info.get("socket") if isinstance(info, dict) and info.get("host") == "localhost" else None
    if not isinstance(address, str):
        return False
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_ANSWER_SECONDS)
        try:
            asking.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            return True
        except OSError:
            return False
    return False


def _place() -> str | None:
    """Return this boot of this machine, and the namespace in which process ids mean something here."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        # Such as `pid:[4026531836]`: containers of one machine share its boot, not their process ids.
        return f"{boot}/{str((_PROC / 'self/ns/pid').readlink()).strip('pid:[]')}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """Return when a live process started, in the kernel's ticks; None when there is none, or only its exit status."""
    try:
        # The name in brackets may hold anything: count from its end.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
