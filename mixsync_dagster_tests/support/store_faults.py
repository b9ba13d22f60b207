"""What befalls a state store: no space left, a writer that does not let go, a disk that is full."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

from mixsync_dagster.state.store import SqlStateStore

_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def without_space(store: SqlStateStore, spare_pages: int) -> Iterator[None]:
    """Let a SQLite store's file grow by so many pages at most while the block lasts."""
    engine = store._database._engine

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + spare_pages}").close()

    sa.event.listen(engine, "connect", limit)
    engine.dispose()
    try:
        yield
    finally:
        sa.event.remove(engine, "connect", limit)
        engine.dispose()


class Writer:
    """Another process that takes a SQLite store's write lock and keeps it until it is told to let go."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "held\n"

    def let_go(self) -> None:
        """End the process, which undoes its transaction. Twice is harmless."""
        if self._process.poll() is None:
            self._process.communicate(timeout=30)


@contextmanager
def short_files(most_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes while the block lasts: writes beyond fail with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


class SmallDisk:
    """A file system in memory at a folder, with a ballast that takes its space away and gives it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, free_bytes: int) -> None:
        """Leave about so much space free."""
        with self._ballast.open("ab", buffering=0) as file:
            with suppress(OSError):
                while True:
                    file.write(bytes(64 * 1024))
            file.truncate(max(0, self._ballast.stat().st_size - free_bytes))

    def empty(self) -> None:
        """Give the space back. Twice is harmless."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[SmallDisk | None]:
    """Mount one while the block lasts; None where this user or machine cannot mount."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield SmallDisk(folder) if mounted else None
    finally:
        if mounted:
            # Lazily: a test that failed may have left files open.
            subprocess.run(["umount", "-l", str(folder)], check=True)
