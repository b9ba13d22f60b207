"""Bytes that somebody counts on are never removed, in whatever order a run and a removal take their steps."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mixsync_dagster.buckets.blob_folder import BlobFolder
from mixsync_dagster.buckets.files import Files
from mixsync_dagster.errors import StoreUnavailable
from mixsync_dagster.testing.clock import SimulatedClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def folder(root: Path) -> Iterator[BlobFolder]:
    folder = BlobFolder(root)
    folder.store([b"hello"])
    folder.make_durable()
    yield folder
    folder.close()


def day_ago() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)


def age(root: Path, days: float = 2) -> Path:
    path = root / "2c" / HELLO
    then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    os.utime(path, (then, then))
    return path


def test_old_bytes_are_removed_and_young_ones_are_not(folder: BlobFolder, root: Path) -> None:
    assert not folder.remove_unused(HELLO, before=day_ago())
    path = age(root)
    assert folder.counted_on_at(HELLO) == datetime.fromtimestamp(path.stat().st_mtime, UTC)
    assert folder.remove_unused(HELLO, before=day_ago())
    assert not folder.remove_unused(HELLO, before=day_ago())
    assert (folder.exists(HELLO), folder.counted_on_at(HELLO), folder.size_of(HELLO)) == (False, None, None)


def test_what_is_not_a_hash_names_nothing(folder: BlobFolder) -> None:
    assert folder.size_of("../x") is None
    assert folder.counted_on_at("../x") is None
    assert not folder.remove_unused("../x", before=datetime.now(UTC) + timedelta(days=1))


@pytest.mark.parametrize("chunks", [[b"hello"], [b"he", b"llo"]])
def test_storing_bytes_that_are_held_keeps_them(folder: BlobFolder, root: Path, chunks: list[bytes]) -> None:
    age(root)
    folder.store(chunks)
    assert not folder.remove_unused(HELLO, before=day_ago())


def test_a_flush_before_a_commit_keeps_bytes_that_were_stored_long_ago(folder: BlobFolder, root: Path) -> None:
    folder.store([b"hello"])
    age(root)
    folder.make_durable([HELLO])
    assert not folder.remove_unused(HELLO, before=day_ago())


def test_bytes_that_waited_long_for_their_name_are_young_when_they_get_it(tmp_path: Path) -> None:
    clock = SimulatedClock()
    folder = BlobFolder(tmp_path, clock=clock)
    folder.store([b"hello"])
    (temporary,) = (tmp_path / "tmp").iterdir()
    then = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    os.utime(temporary, (then, then))
    clock.advance(2 * 24 * 3600)
    folder.make_durable()
    assert not folder.remove_unused(HELLO, before=day_ago())
    folder.close()


def test_bytes_removed_before_a_flush_are_told_and_stored_again(folder: BlobFolder, root: Path) -> None:
    folder.store([b"hello"])
    age(root)
    assert folder.remove_unused(HELLO, before=day_ago())
    with pytest.raises(StoreUnavailable, match="is not held"):
        folder.make_durable([HELLO])
    folder.store([b"hello"])
    folder.make_durable([HELLO])
    assert folder.exists(HELLO)


class Meeting(Files):
    """Lets another thread act in the middle of a call."""

    def __init__(self, call: str, act: Callable[[], object]) -> None:
        self.call = call
        self.thread = threading.Thread(target=act)

    def _meet(self, call: str) -> None:
        if call == self.call:
            self.call = ""
            self.thread.start()
            # Long enough for the other thread to come to the lock, and through it where there is none.
            self.thread.join(0.3)

    def touch(self, name: str, folder: int) -> None:
        self._meet("touch")
        super().touch(name, folder)

    def unlink(self, name: str, folder: int) -> None:
        self._meet("unlink")
        super().unlink(name, folder)


def test_a_run_that_stores_while_bytes_are_being_removed_stores_them_anew(folder: BlobFolder, root: Path) -> None:
    def run() -> None:
        folder.store([b"hello"])
        folder.make_durable([HELLO])

    age(root)
    files = Meeting("unlink", run)
    collector = BlobFolder(root, files=files)
    assert collector.remove_unused(HELLO, before=day_ago())
    files.thread.join()
    collector.close()
    assert folder.exists(HELLO)


def test_a_removal_while_a_run_counts_on_the_bytes_finds_them_in_use(folder: BlobFolder, root: Path) -> None:
    age(root)
    removed: list[bool] = []
    files = Meeting("touch", lambda: removed.append(folder.remove_unused(HELLO, before=day_ago())))
    runner = BlobFolder(root, files=files)
    runner.store([b"hello"])
    files.thread.join()
    runner.make_durable([HELLO])
    runner.close()
    assert removed == [False]
    assert folder.exists(HELLO)


REMOVER = """
import sys, pathlib
from datetime import datetime, UTC, timedelta
from mixsync_dagster.buckets.blob_folder import BlobFolder
from mixsync_dagster.buckets.files import Files

class Slow(Files):
    def unlink(self, name, folder):
        print("removing", flush=True)
        sys.stdin.readline()
        super().unlink(name, folder)

folder = BlobFolder(pathlib.Path(sys.argv[1]), files=Slow())
print(folder.remove_unused(sys.argv[2], before=datetime.now(UTC) - timedelta(days=1)), flush=True)
"""


def test_another_process_that_stopped_in_a_removal_takes_nothing_that_is_stored_after_it(
    folder: BlobFolder, root: Path
) -> None:
    age(root)
    command = [sys.executable, "-c", REMOVER, str(root), HELLO]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as remover:
        assert remover.stdout is not None
        assert remover.stdout.readline() == "removing\n"
        stored = threading.Thread(target=lambda: (folder.store([b"hello"]), folder.make_durable([HELLO])))
        stored.start()
        stored.join(0.2)
        assert stored.is_alive(), "it waits for the removal, and would count on bytes that go otherwise"
        told, _ = remover.communicate("go on\n")
        stored.join()
    assert told == "True\n"
    assert folder.exists(HELLO)


def test_a_process_that_dies_in_a_removal_holds_nobody_up(folder: BlobFolder, root: Path) -> None:
    age(root)
    command = [sys.executable, "-c", REMOVER, str(root), HELLO]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as remover:
        assert remover.stdout is not None
        assert remover.stdout.readline() == "removing\n"
        remover.kill()
        remover.communicate()
    folder.store([b"hello"])
    folder.make_durable([HELLO])
    assert folder.exists(HELLO)
