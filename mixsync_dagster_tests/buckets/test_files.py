from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixsync_dagster.buckets.files import Files, flush_folder, make_folders


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_a_file_is_written_renamed_and_removed(folder: int, tmp_path: Path) -> None:
    files = Files()
    descriptor = files.create("a", folder)
    assert files.write(descriptor, b"hello") == 5
    files.close(descriptor)
    files.flush("a", folder)
    files.make_folder("sub", folder)
    files.rename("a", "sub/b", folder)
    files.flush("sub", folder)
    assert (tmp_path / "sub" / "b").read_bytes() == b"hello"
    assert (tmp_path / "sub" / "b").stat().st_mode & 0o007 == 0
    files.unlink("sub/b", folder)
    assert list((tmp_path / "sub").iterdir()) == []


def test_a_file_that_is_there_is_not_created_again(folder: int) -> None:
    files = Files()
    files.close(files.create("a", folder))
    with pytest.raises(FileExistsError):
        files.create("a", folder)


def test_flushing_everything_works_where_it_is_promised(folder: int) -> None:
    files = Files()
    if not files.can_flush_all(folder):
        pytest.skip("this file system is flushed file by file")
    files.flush_all(folder)


def test_flushing_everything_of_nothing_is_an_error() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        Files().flush_all(-1)


def test_a_closed_folder_promises_nothing() -> None:
    assert not Files().can_flush_all(-1)


def test_a_file_system_of_another_kind_is_flushed_file_by_file() -> None:
    descriptor = os.open("/proc", os.O_RDONLY)
    assert not Files().can_flush_all(descriptor)
    os.close(descriptor)


def test_missing_folders_are_made_and_present_ones_are_fine(tmp_path: Path) -> None:
    make_folders(tmp_path / "a" / "b" / "c")
    make_folders(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    flush_folder(tmp_path / "a")
