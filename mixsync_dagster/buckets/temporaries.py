"""Temporary files of a blob folder: where bytes are until their name is known and their data is on the device."""

from __future__ import annotations

import errno
import itertools
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from mixsync_dagster.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mixsync_dagster.buckets.files import Files

TEMPORARY_FOLDER = "tmp"

_SWEEP_AFTER_SECONDS = 24 * 60 * 60
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def unavailable(root: Path, error: OSError) -> StoreUnavailable:
    """Return our error for a failed call on the blob folder at `root`."""
    if error.errno in _FULL:
        return StoreUnavailable(f"blob store {root} is full; free space there, then run the sync again.")
    return StoreUnavailable(f"blob store {root} cannot be used: {error.strerror or error}.")


class Temporaries:
    """Writes temporary files below `root`, whose open descriptor is `folder`; from many threads and processes."""

    def __init__(self, root: Path, folder: int, files: Files) -> None:
        self._root = root
        self._folder = folder
        self._files = files
        self._token = os.urandom(8).hex()
        self._numbers = itertools.count()

    def write(self, chunks: Iterable[bytes]) -> str:
        """Write a new file and return its name relative to `root`, nothing of it flushed.

        Raises StoreUnavailable, and whatever `chunks` raises; no file is left then.
        """
        # The process id keeps apart what a forked child writes with the same token.
        name = f"{TEMPORARY_FOLDER}/{os.getpid()}-{self._token}-{next(self._numbers)}"
        try:
            descriptor = self._files.create(name, self._folder)
        except OSError as error:
            raise unavailable(self._root, error) from error
        try:
            try:
                for chunk in chunks:
                    self._write_all(descriptor, chunk)
            finally:
                self._close(descriptor)
        except BaseException:  # whatever ended it, the file goes and the error passes on
            self.drop(name)
            raise
        return name

    def drop(self, name: str) -> None:
        """Remove a file; what cannot be removed now is swept a day later."""
        with suppress(OSError):
            self._files.unlink(name, self._folder)

    def sweep(self) -> int:
        """Remove files not written to for a day, which no living process has; return how many.

        Raises StoreUnavailable.
        """
        folder = self._root / TEMPORARY_FOLDER
        try:
            names = [entry.name for entry in folder.iterdir()]
            if not names:
                return 0
            # The file system's own clock: the one that stamped the files, also on a share of another host.
            probe = self.write(())
            now = (self._root / probe).stat().st_mtime
            self.drop(probe)
        except OSError as error:
            raise unavailable(self._root, error) from error
        old = [name for name in names if _age_seconds(folder / name, now) > _SWEEP_AFTER_SECONDS]
        for name in old:
            self.drop(f"{TEMPORARY_FOLDER}/{name}")
        return len(old)

    def _write_all(self, descriptor: int, chunk: bytes) -> None:
        try:
            written = self._files.write(descriptor, chunk)
            while written < len(chunk):
                written += self._files.write(descriptor, memoryview(chunk)[written:])
        except OSError as error:
            raise unavailable(self._root, error) from error

    def _close(self, descriptor: int) -> None:
        try:
            self._files.close(descriptor)
        except OSError as error:
            raise unavailable(self._root, error) from error


def _age_seconds(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except OSError:  # swept by another process meanwhile
        return 0.0
