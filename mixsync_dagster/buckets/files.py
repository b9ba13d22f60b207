"""The system calls that decide what a power cut leaves behind, behind a seam that tests can record and break."""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

# statfs(2) types of the file systems whose syncfs writes everything out and reports errors of written-back data.
# Overlays, FUSE and network file systems are left out on purpose: there, syncfs may promise less than fsync does.
_WHOLE_SYNC_TYPES = frozenset({0xEF53, 0x58465342, 0x9123683E})  # ext2-4, xfs, btrfs

# syncfs reports failed write-back only since Linux 5.8 (man 2 syncfs, "NOTES").
_FIRST_HONEST_KERNEL = (5, 8)

_STATFS_BYTES = 512
"""More than any platform's struct statfs, whose first member is the type."""

_FEW = 2
"""Up to this many files are flushed one by one, which does not wait for what other programs wrote."""

_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
_MODE = 0o640
"""Contents may be private: the owner's group reads, others do not."""


class Files:
    """Every changing call of a BlobFolder, relative to an open folder. Each raises OSError as the system does."""

    def create(self, name: str, folder: int) -> int:
        """Create a file that must not exist yet and return its descriptor."""
        return os.open(name, _CREATE, _MODE, dir_fd=folder)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write some of the data and return how many bytes that were."""
        return os.write(descriptor, data)

    def close(self, descriptor: int) -> None:
        """Close a file."""
        os.close(descriptor)

    def flush(self, name: str, folder: int) -> None:
        """Return when a file's data, or a folder's entries, are on the device."""
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        try:
            if sys.platform == "darwin":
                # fsync(2) of macOS stops at the drive's cache.
                fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            else:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def can_flush_all(self, folder: int) -> bool:
        """Return whether `flush_all` promises here what `flush` of every file would."""
        return _syncfs() is not None and _file_system_type(folder) in _WHOLE_SYNC_TYPES

    def flush_all(self, folder: int) -> None:
        """Return when everything written to the folder's file system is on the device."""
        syncfs = _syncfs()
        if syncfs is None or syncfs(folder) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def rename(self, old: str, new: str, folder: int) -> None:
        """Give a file its other name at once, replacing what had it."""
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)

    def touch(self, name: str, folder: int) -> None:
        """Give a file the present as its time of modification."""
        os.utime(name, dir_fd=folder, follow_symlinks=False)

    def unlink(self, name: str, folder: int) -> None:
        """Remove a file."""
        os.unlink(name, dir_fd=folder)

    def make_folder(self, name: str, folder: int) -> None:
        """Make a folder that must not exist yet."""
        os.mkdir(name, 0o750, dir_fd=folder)


def flush_many(files: Files, names: Collection[str], folder: int, *, whole: bool) -> None:
    """Return when these files' data or folders' entries are on the device; `whole` says what `can_flush_all` does."""
    if len(names) > _FEW and whole:
        files.flush_all(folder)
        return
    for name in names:
        files.flush(name, folder)


def make_folders(path: Path) -> None:
    """Make a folder and its missing parents so that they survive a power cut. Raises OSError."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o750, exist_ok=True)
        flush_folder(folder.parent)


def flush_folder(path: Path) -> None:
    """Return when the folder's entries are on the device. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _syncfs() -> Callable[[int], int] | None:
    if sys.platform != "linux" or _kernel() < _FIRST_HONEST_KERNEL:
        return None
    function: Callable[[int], int] | None = getattr(_library(), "syncfs", None)
    return function


def _kernel() -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _file_system_type(folder: int) -> int | None:
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    if _library().fstatfs(folder, buffer) != 0:
        return None
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF
