"""Files that record their calls, fail, or lose power: what BlobFolder must survive."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mixsync_dagster.buckets.files import Files

if TYPE_CHECKING:
    from collections.abc import Callable


class PowerCut(BaseException):
    """The process ends here: nothing that it would still do gets done."""


class RecordingFiles(Files):
    """Notes every call as (call, name); whether whole file systems can be flushed is chosen."""

    def __init__(self, *, flushes_all: bool) -> None:
        self.calls: list[tuple[str, str]] = []
        self._flushes_all = flushes_all
        self._names: dict[int, str] = {}

    def passing(self, call: str, name: str) -> None:
        """Note a call that is about to be made."""
        self.calls.append((call, name))

    def create(self, name: str, folder: int) -> int:
        self.passing("create", name)
        descriptor = super().create(name, folder)
        self._names[descriptor] = name
        return descriptor

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self.passing("write", self._names[descriptor])
        return super().write(descriptor, data)

    def close(self, descriptor: int) -> None:
        self.passing("close", self._names[descriptor])
        super().close(descriptor)

    def flush(self, name: str, folder: int) -> None:
        self.passing("flush", name)
        super().flush(name, folder)

    def can_flush_all(self, folder: int) -> bool:
        return self._flushes_all

    def flush_all(self, folder: int) -> None:
        self.passing("flush_all", "")

    def rename(self, old: str, new: str, folder: int) -> None:
        self.passing("rename", old)
        super().rename(old, new, folder)

    def unlink(self, name: str, folder: int) -> None:
        self.passing("unlink", name)
        super().unlink(name, folder)

    def make_folder(self, name: str, folder: int) -> None:
        self.passing("make_folder", name)
        super().make_folder(name, folder)


class FailingFiles(RecordingFiles):
    """Raises OSError at every call for which `fails(call, name)` holds."""

    def __init__(
        self, fails: Callable[[str, str], bool], *, number: int = errno.ENOSPC, flushes_all: bool = False
    ) -> None:
        super().__init__(flushes_all=flushes_all)
        self.fails = fails
        self._number = number

    def passing(self, call: str, name: str) -> None:
        super().passing(call, name)
        if self.fails(call, name):
            raise OSError(self._number, os.strerror(self._number))


class HalvingFiles(RecordingFiles):
    """Writes at most half of what it is given at a time, as a system may."""

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        return super().write(descriptor, data[: max(1, len(data) // 2)])


class VolatileFiles(RecordingFiles):
    """Loses power before call number `cut`; `settle` then shows what the device kept in the worst case.

    Data that was not flushed is torn, and a name whose folder was not flushed is gone.
    """

    def __init__(self, root: Path, cut: int, *, flushes_all: bool) -> None:
        super().__init__(flushes_all=flushes_all)
        self._root = root
        self._cut = cut
        self._torn: set[str] = set()
        self._loose: set[str] = set()

    def passing(self, call: str, name: str) -> None:
        if len(self.calls) >= self._cut:
            raise PowerCut
        super().passing(call, name)

    def create(self, name: str, folder: int) -> int:
        descriptor = super().create(name, folder)
        self._torn.add(name)
        return descriptor

    def flush(self, name: str, folder: int) -> None:
        super().flush(name, folder)
        self._torn.discard(name)
        self._loose = {loose for loose in self._loose if str(Path(loose).parent) != name}

    def flush_all(self, folder: int) -> None:
        super().flush_all(folder)
        self._torn.clear()
        self._loose.clear()

    def rename(self, old: str, new: str, folder: int) -> None:
        super().rename(old, new, folder)
        self._loose.add(new)
        if old in self._torn:
            self._torn.remove(old)
            self._torn.add(new)

    def make_folder(self, name: str, folder: int) -> None:
        super().make_folder(name, folder)
        self._loose.add(name)

    def settle(self) -> None:
        """Leave on the disk what is there after the power cut."""
        for name in self._torn:
            path = self._root / name
            if path.exists():
                os.truncate(path, path.stat().st_size // 2)
        for name in sorted(self._loose, reverse=True):
            path = self._root / name
            if path.is_dir():
                for entry in path.iterdir():
                    entry.unlink()
                path.rmdir()
            elif path.exists():
                path.unlink()
