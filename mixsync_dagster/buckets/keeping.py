"""When a blob of a folder was last counted on, and its removal once nobody has counted on it for long.

The time is the file's own: storing the bytes and each flush before a commit set it. Counting and removing exclude each
other by a lock on the folder, shared by processes, which ends with its holder. So a run that counts on bytes either
comes first, and the removal finds them in use, or comes later, and finds them gone and stores them again.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mixsync_dagster.buckets.temporaries import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mixsync_dagster.buckets.files import Files


class Keeping:
    """Works on names relative to `root`, whose open descriptor is `folder`; from many threads.

    Every method may raise StoreUnavailable.
    """

    def __init__(self, root: Path, folder: int, files: Files) -> None:
        self._root = root
        self._folder = folder
        self._files = files

    def count_on(self, name: str) -> bool:
        """Return whether the file is there to be counted on from now; False also where that cannot be noted."""
        with self._locked(fcntl.LOCK_SH):
            try:
                self._files.touch(name, self._folder)
            except (FileNotFoundError, PermissionError):
                return False
        return True

    def counted_on_at(self, name: str) -> datetime | None:
        """Return when the file was last counted on, None when there is none."""
        try:
            found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unavailable(self._root, error) from error
        return datetime.fromtimestamp(found.st_mtime, UTC)

    def remove(self, name: str, before: datetime) -> bool:
        """Remove the file if it was last counted on before this time; return whether it was."""
        with self._locked(fcntl.LOCK_EX):
            at = self.counted_on_at(name)
            if at is None or at >= before:
                return False
            self._files.unlink(name, self._folder)
        return True

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        try:
            # A descriptor of its own: locks of one descriptor would not keep threads apart.
            descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._folder)
            try:
                fcntl.flock(descriptor, kind)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            raise unavailable(self._root, error) from error
