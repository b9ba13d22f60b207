"""Synthetic buckets: objects computed from their numbers, so that a million of them need one file of records."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 32
"""The last bytes of each object are its number in decimal: no two objects of a bucket are equal."""

FILLER_BYTES = 1024 * 1024
"""The bytes before it repeat one block of random bytes of this size."""

LAST_MODIFIED_SECONDS = 1_767_323_045
"""2026-01-02 03:04:05 UTC, the modification time of every object."""

_SIZES = 17
_SIZE_STEP_BYTES = 128


@dataclass(frozen=True, slots=True)
class Dataset:
    """A bucket of `count` objects of `mean_bytes` plus or minus 1 KiB, each request held back by `latency_ms`."""

    count: int
    mean_bytes: int
    latency_ms: int = 0

    @property
    def stored_name(self) -> str:
        """The name that datasets share which differ in latency alone."""
        return f"objects-{self.count}-of-{self.mean_bytes}"

    @property
    def bucket(self) -> str:
        """The bucket's name; the server reads the dataset from it."""
        return self.stored_name + (f"-after-{self.latency_ms}ms" if self.latency_ms else "")

    @property
    def total_bytes(self) -> int:
        """The content bytes of all objects."""
        return sum(self.size_of(number % _SIZES) for number in range(self.count))

    def size_of(self, number: int) -> int:
        """Return an object's size in bytes: one of 17 sizes in turn."""
        return self.mean_bytes + (number % _SIZES - _SIZES // 2) * _SIZE_STEP_BYTES

    def key_of(self, number: int) -> str:
        """Return an object's key; keys are in the order of numbers, a thousand to a folder."""
        return f"data/{number // 1000:03d}/{number:06d}.bin"

    def write_listing(self, folder: Path) -> None:
        """Write the bucket's listing records, all of one width, and the filler, unless they are there."""
        folder.mkdir(parents=True, exist_ok=True)
        block = filler()
        _write_once(folder / "filler.bin", [block])
        path = folder / f"{self.stored_name}.entries"
        if path.exists():
            return
        begun = [hashlib.md5(usedforsecurity=False) for _ in range(_SIZES)]
        for number, digest in enumerate(begun):
            filled = self.size_of(number) - TAIL_BYTES
            digest.update((block * (filled // FILLER_BYTES + 1))[:filled])
        widths = {len(self._record(number, "")) for number in (0, _SIZES - 1, self.count - 1)}
        if len(widths) != 1:
            raise ValueError(f"{self.stored_name}: keys or sizes have different numbers of digits.")

        def records() -> Iterator[bytes]:
            for number in range(self.count):
                digest = begun[number % _SIZES].copy()
                digest.update(b"%0*d" % (TAIL_BYTES, number))
                yield self._record(number, digest.hexdigest())

        _write_once(path, records())

    def _record(self, number: int, digest: str) -> bytes:
        return (
            f"<Contents><Key>{self.key_of(number)}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
            f"<ETag>&quot;{digest}&quot;</ETag><Size>{self.size_of(number)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        ).encode()

    def write_tree(self, folder: Path) -> Path:
        """Return a folder that holds a file of each object's key, size and time, made unless it is there.

        The files are sparse: a tool that compares sizes and times takes them for the objects, and a million of them
        need inodes only.
        """
        root = folder / f"{self.stored_name}.tree"
        if root.exists():
            return root
        building = root.with_suffix(".building")
        times = (LAST_MODIFIED_SECONDS, LAST_MODIFIED_SECONDS)
        for number in range(self.count):
            path = building / self.key_of(number)
            if number % 1000 == 0:
                path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
            os.ftruncate(descriptor, self.size_of(number))
            os.utime(descriptor, times)
            os.close(descriptor)
        building.rename(root)
        return root


def filler() -> bytes:
    """Return the block of bytes that objects are filled with; the same at every call, and not compressible."""
    return random.Random(20260102).randbytes(FILLER_BYTES)


def _write_once(path: Path, chunks: Iterable[bytes]) -> None:
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            file.writelines(chunks)
        unfinished.rename(path)
