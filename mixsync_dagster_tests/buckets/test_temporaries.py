from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixsync_dagster.buckets.files import Files
from mixsync_dagster.buckets.temporaries import Temporaries, unavailable


@pytest.fixture
def temporaries(tmp_path: Path) -> Iterator[Temporaries]:
    (tmp_path / "tmp").mkdir()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield Temporaries(tmp_path, descriptor, Files())
    os.close(descriptor)


def test_every_file_has_a_name_of_its_own(temporaries: Temporaries, tmp_path: Path) -> None:
    first, second = temporaries.write([b"hel", b"lo"]), temporaries.write([b"hello"])
    assert first != second
    assert [(tmp_path / name).read_bytes() for name in (first, second)] == [b"hello", b"hello"]


def test_a_dropped_file_is_gone_and_dropping_it_again_is_harmless(temporaries: Temporaries, tmp_path: Path) -> None:
    name = temporaries.write([b"hello"])
    temporaries.drop(name)
    temporaries.drop(name)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_sweep_leaves_young_files_and_no_trace_of_itself(temporaries: Temporaries, tmp_path: Path) -> None:
    name = temporaries.write([b"hello"])
    assert temporaries.sweep() == 0
    os.utime(tmp_path / name, (0, 0))
    assert temporaries.sweep() == 1
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_and_no_quota_say_what_to_do(number: int) -> None:
    assert str(unavailable(Path("/data"), OSError(number, "x"))) == (
        "blob store /data is full; free space there, then run the sync again."
    )


def test_other_errors_say_what_the_system_said() -> None:
    error = OSError(errno.EROFS, os.strerror(errno.EROFS))
    assert str(unavailable(Path("/data"), error)) == "blob store /data cannot be used: Read-only file system."
