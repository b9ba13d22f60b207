"""Virtual environments of their own for programs that judge ours: no package of theirs comes among ours.

They are made by pip from the index that this machine is configured for, once for each set of requirements, and kept in
the folder for temporary files.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
_PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input")
_INSTALL_SECONDS = 300
_UNREACHABLE = re.compile(r"from versions: none|Connection|Temporary failure|timed out|Max retries", re.IGNORECASE)
"""What pip says where no index answers, or where it has nothing of that name."""


def environment_with(*requirements: str, constrained: bool = False) -> Path:
    """Return the Python of an environment that holds exactly the requirements, and what they need.

    With `constrained`, what this project pins has the same version there. Skips the test when no package index can be
    reached; raises AssertionError when the requirements cannot be installed for any other reason.
    """
    wanted = [*requirements, *(["-c", str(CONSTRAINTS)] if constrained else [])]
    pins = CONSTRAINTS.read_text("utf-8") if constrained else ""
    key = hashlib.sha256("\n".join([sys.version, *requirements, pins]).encode()).hexdigest()[:16]
    folder = _kept() / f"{re.sub(r'[^A-Za-z0-9.]+', '-', requirements[0])}-{key}"
    python = folder / "bin" / "python"
    with _alone(folder.with_name(f"{folder.name}.lock")):
        complete = folder / "complete"
        if not complete.exists():
            venv.create(folder, with_pip=True, clear=True, symlinks=True)
            _install(python, wanted)
            complete.touch()
    return python


def _install(python: Path, wanted: list[str]) -> None:
    done = subprocess.run(
        [str(python), *_PIP, *wanted], capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS
    )
    if done.returncode == 0:
        return
    said = " ".join(line for line in done.stderr.splitlines() if line.startswith("ERROR"))
    if _UNREACHABLE.search(done.stderr):
        pytest.skip(f"no package index gives {wanted[0]}: {said[:300]}")
    raise AssertionError(said or done.stderr)


def _kept() -> Path:
    """Return the folder of all environments, which is ours alone: others can write where it lies."""
    folder = Path(tempfile.gettempdir()) / f"mixsync-environments-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert folder.stat().st_uid == os.getuid(), f"{folder} belongs to somebody else"
    return folder


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process makes the same environment."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
