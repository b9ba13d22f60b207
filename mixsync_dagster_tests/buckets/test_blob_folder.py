from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mixsync_dagster.buckets.blob_folder import BlobFolder
from mixsync_dagster.errors import NotFound, StoreUnavailable
from mixsync_dagster.model.objects import StoredBlob
from mixsync_dagster_tests.buckets.faulty_files import (
    FailingFiles,
    HalvingFiles,
    PowerCut,
    RecordingFiles,
    VolatileFiles,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
WORLD = "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def folder(root: Path) -> Iterator[BlobFolder]:
    folder = BlobFolder(root)
    yield folder
    folder.close()


def temporaries(root: Path) -> list[str]:
    return [path.name for path in (root / "tmp").iterdir()]


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_blob_stands_under_its_hash_and_nothing_else_is_left(folder: BlobFolder, root: Path) -> None:
    assert folder.store([b"hel", b"lo"]) == StoredBlob(HELLO, 5)
    folder.make_durable()
    assert files_below(root) == [f"2c/{HELLO}"]
    assert (root / "2c" / HELLO).read_bytes() == b"hello"
    assert folder.location(HELLO) == str(root / "2c" / HELLO)


def test_a_blob_has_no_name_before_it_is_durable(folder: BlobFolder) -> None:
    folder.store([b"hello"])
    assert not folder.exists(HELLO)
    with pytest.raises(NotFound, match="there is no blob"):
        folder.open(HELLO)
    folder.make_durable()
    assert folder.exists(HELLO)


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 4096, b"x" * 1_048_575, b"x" * 1_048_576, b"x" * 1_048_577])
def test_content_at_the_bounds_of_the_read_size_comes_back(folder: BlobFolder, content: bytes) -> None:
    blob = folder.store([content])
    folder.make_durable()
    assert b"".join(folder.open(blob.sha256)) == content
    assert max(map(len, folder.open(blob.sha256)), default=0) <= 1_048_576


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0, None, b"hello"), (2, None, b"llo"), (1, 3, b"ell"), (4, 9, b"o"), (5, None, b""), (9, 1, b""), (0, 0, b"")],
)
def test_a_part_of_a_blob_can_be_read(folder: BlobFolder, offset: int, length: int | None, expected: bytes) -> None:
    folder.store([b"hello"])
    folder.make_durable()
    assert b"".join(folder.open(HELLO, offset, length)) == expected


@pytest.mark.parametrize("flushes_all", [True, False])
def test_data_is_flushed_before_it_is_named_and_names_before_anyone_is_told(root: Path, flushes_all: bool) -> None:
    files = RecordingFiles(flushes_all=flushes_all)
    folder = BlobFolder(root, files=files)
    blobs = [folder.store([b"%d" % number]) for number in range(4)]
    assert [call for call, _ in files.calls] == ["create", "write", "close"] * 4
    names = [name for call, name in files.calls if call == "create"]

    del files.calls[:]
    folder.make_durable(blob.sha256 for blob in blobs)
    renames = [index for index, (call, _) in enumerate(files.calls) if call == "rename"]
    before, after = files.calls[: renames[0]], files.calls[renames[-1] + 1 :]
    prefixes = {blob.sha256[:2] for blob in blobs}
    assert sorted(name for call, name in files.calls if call == "rename") == sorted(names)
    if flushes_all:
        assert ("flush_all", "") in before
        assert after == [("flush_all", "")]
    else:
        assert {name for call, name in before if call == "flush"} == set(names)
        assert {name for call, name in after if call == "flush"} == prefixes | {"."}
    folder.close()


def test_the_system_itself_sees_flush_then_rename_then_flush(root: Path, tmp_path: Path) -> None:
    strace = next((path for path in ("/usr/bin/strace", "/usr/local/bin/strace") if os.access(path, os.X_OK)), None)
    if strace is None:
        pytest.skip("strace is not installed")
    script = (
        "from pathlib import Path; from mixsync_dagster.buckets.blob_folder import BlobFolder\n"
        f"folder = BlobFolder(Path({str(root)!r})); folder.store([b'hello']); folder.make_durable(); folder.close()\n"
    )
    log = tmp_path / "strace.log"
    command = [strace, "-f", "-y", "-e", "trace=fsync,syncfs,rename,renameat,renameat2", "-o", str(log)]
    done = subprocess.run([*command, sys.executable, "-c", script], check=False, capture_output=True, timeout=120)
    if not log.exists() or done.returncode != 0:
        pytest.skip(f"strace may not trace here: {done.stderr[-200:]!r}")
    calls = [line for line in log.read_text().splitlines() if str(root) in line]
    rename = next(index for index, line in enumerate(calls) if "rename" in line and HELLO in line)
    assert "sync" in calls[rename - 1]
    assert f"{root}/tmp/" in calls[rename - 1] or "syncfs" in calls[rename - 1]
    assert any("sync" in line and (f"{root}/2c>" in line or "syncfs" in line) for line in calls[rename + 1 :])


@pytest.mark.parametrize("flushes_all", [True, False])
def test_a_power_cut_at_any_call_tears_no_blob_and_loses_nothing_answered(tmp_path: Path, flushes_all: bool) -> None:
    contents = [b"%d" % number * 1000 for number in range(5)]
    cut = 0
    finished = False
    while not finished:
        root = tmp_path / str(cut)
        files = VolatileFiles(root, cut, flushes_all=flushes_all)
        answered: list[StoredBlob] = []
        try:
            folder = BlobFolder(root, files=files)
            for part in (contents[:3], contents[3:]):
                blobs = [folder.store([content]) for content in part]
                folder.make_durable(blob.sha256 for blob in blobs)
                answered += blobs
            finished = True
        except PowerCut:
            pass
        files.settle()

        after = BlobFolder(root)
        assert all(after.verify(blob.sha256) for blob in after.list_blobs())
        assert {blob.sha256 for blob in answered} <= {blob.sha256 for blob in after.list_blobs()}
        again = [after.store([content]) for content in contents]
        after.make_durable(blob.sha256 for blob in again)
        assert [b"".join(after.open(blob.sha256)) for blob in again] == contents
        after.close()
        cut += 1
    assert cut > 30


@pytest.mark.parametrize("asked_for", [[], [HELLO]])
def test_bytes_named_by_a_process_that_died_are_flushed_by_the_next(root: Path, asked_for: list[str]) -> None:
    first = BlobFolder(root)
    first.store([b"hello"])
    first.make_durable()
    first.close()
    files = RecordingFiles(flushes_all=False)
    second = BlobFolder(root, files=files)
    second.store([b"hello"])
    second.make_durable(asked_for)
    assert files.calls == [("flush", "2c")]
    second.close()


def test_the_same_bytes_again_are_not_written(root: Path) -> None:
    files = RecordingFiles(flushes_all=False)
    folder = BlobFolder(root, files=files)
    folder.store([b"hello"])
    folder.store([b"hello"])
    folder.store([b"hel", b"lo"])
    folder.make_durable()
    folder.store([b"hello"])
    folder.store([b"hel", b"lo"])
    folder.make_durable()
    assert [call for call, _ in files.calls].count("rename") == 1
    assert files_below(root) == [f"2c/{HELLO}"]
    folder.close()


def test_the_same_bytes_from_many_threads_end_as_one(folder: BlobFolder, root: Path) -> None:
    def store_and_flush(number: int) -> StoredBlob:
        blob = folder.store([b"hello"] if number % 2 else [b"hel", b"lo"])
        folder.make_durable([blob.sha256])
        assert b"".join(folder.open(blob.sha256)) == b"hello"
        return blob

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(store_and_flush, range(200))) == {StoredBlob(HELLO, 5)}
    assert files_below(root) == [f"2c/{HELLO}"]


def test_two_stores_on_one_folder_do_not_disturb_each_other(root: Path) -> None:
    first, second = BlobFolder(root), BlobFolder(root)
    first.store([b"hello"])
    second.store([b"hello"])
    second.store([b"world"])
    first.close()
    second.make_durable([HELLO, WORLD])
    assert files_below(root) == [f"2c/{HELLO}", f"48/{WORLD}"]
    second.close()


def test_a_damaged_file_is_repaired_by_storing_its_bytes_again(folder: BlobFolder, root: Path) -> None:
    folder.store([b"hello"])
    folder.make_durable()
    (root / "2c" / HELLO).write_bytes(b"hel")
    assert not folder.verify(HELLO)
    folder.store([b"hello"])
    folder.make_durable()
    assert folder.verify(HELLO)


def test_verify_finds_bytes_that_changed_under_the_same_size(folder: BlobFolder, root: Path) -> None:
    folder.store([b"hello"])
    folder.make_durable()
    assert folder.verify(HELLO)
    (root / "2c" / HELLO).write_bytes(b"hellO")
    assert not folder.verify(HELLO)


def test_an_error_of_the_chunks_passes_through_and_leaves_nothing(folder: BlobFolder, root: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"hel"
        yield b"lo"
        raise ConnectionResetError(errno.ECONNRESET, "reset by peer")

    with pytest.raises(ConnectionResetError):
        folder.store(broken())
    assert files_below(root) == []


@pytest.mark.parametrize("call", ["create", "write", "close"])
@pytest.mark.parametrize("chunks", [[b"hello"], [b"hel", b"lo"]])
def test_a_full_disk_is_told_in_a_sentence_and_leaves_nothing(root: Path, call: str, chunks: list[bytes]) -> None:
    files = FailingFiles(lambda made, _: made == call)
    folder = BlobFolder(root, files=files)
    with pytest.raises(StoreUnavailable, match="is full; free space there"):
        folder.store(chunks)
    assert files_below(root) == []
    files.fails = lambda *_: False
    folder.store(chunks)
    folder.make_durable([HELLO])
    assert folder.verify(HELLO)
    folder.close()


def test_a_disk_without_space_takes_what_fits_and_works_again_once_there_is_space(tmp_path: Path) -> None:
    mounted = tmp_path / "small"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mounted)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system takes root")
    try:
        folder = BlobFolder(mounted / "blobs")
        small = folder.store([b"hello"])
        folder.make_durable()
        with pytest.raises(StoreUnavailable, match="is full"):
            folder.store([b"x" * 100_000, b"x" * 100_000, b"x" * 100_000])
        assert files_below(mounted / "blobs") == [f"2c/{HELLO}"]
        assert folder.verify(small.sha256)
        fits = folder.store([b"x" * 100_000])
        folder.make_durable([fits.sha256])
        assert folder.verify(fits.sha256)
        folder.close()
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


@pytest.mark.parametrize("flushes_all", [True, False])
def test_bytes_whose_flush_failed_are_not_held_until_they_are_stored_again(root: Path, flushes_all: bool) -> None:
    files = FailingFiles(lambda call, _: call.startswith("flush"), number=errno.EIO, flushes_all=flushes_all)
    folder = BlobFolder(root, files=files)
    for content in (b"hello", b"world", b"!"):
        folder.store([content])
    with pytest.raises(StoreUnavailable, match="cannot be used: Input/output error"):
        folder.make_durable()
    files.fails = lambda *_: False
    with pytest.raises(StoreUnavailable, match="is not held; store its bytes again"):
        folder.make_durable([HELLO])
    assert files_below(root) == []
    folder.store([b"hello"])
    folder.make_durable([HELLO])
    assert folder.verify(HELLO)
    folder.close()


def test_a_folder_whose_flush_failed_is_flushed_by_the_next_call(root: Path) -> None:
    files = FailingFiles(lambda call, name: (call, name) == ("flush", "2c"), number=errno.EIO)
    folder = BlobFolder(root, files=files)
    folder.store([b"hello"])
    with pytest.raises(StoreUnavailable):
        folder.make_durable([HELLO])
    files.fails = lambda *_: False
    del files.calls[:]
    folder.make_durable([HELLO])
    assert ("flush", "2c") in files.calls
    assert ("flush", ".") in files.calls
    folder.close()


def test_a_failed_rename_is_made_up_for_by_the_next_call(root: Path) -> None:
    files = FailingFiles(lambda call, _: call == "rename", number=errno.EIO)
    folder = BlobFolder(root, files=files)
    folder.store([b"hello"])
    with pytest.raises(StoreUnavailable):
        folder.make_durable()
    assert not folder.exists(HELLO)
    files.fails = lambda *_: False
    folder.make_durable([HELLO])
    assert folder.verify(HELLO)
    folder.close()


def test_a_system_that_writes_only_a_part_is_asked_again(root: Path) -> None:
    folder = BlobFolder(root, files=HalvingFiles(flushes_all=False))
    content = os.urandom(10_000)
    blob = folder.store([content])
    folder.make_durable()
    assert b"".join(folder.open(blob.sha256)) == content
    folder.close()


def test_temporaries_go_after_a_day_and_not_before(root: Path) -> None:
    BlobFolder(root).close()
    now = (root / "tmp").stat().st_mtime
    for name, age_seconds in (("young", 23 * 3600), ("old", 25 * 3600)):
        path = root / "tmp" / name
        path.write_bytes(b"x")
        os.utime(path, (now - age_seconds, now - age_seconds))
    folder = BlobFolder(root)
    assert temporaries(root) == ["young"]
    assert folder.sweep_temporaries() == 0
    folder.close()


def test_closing_takes_back_what_was_not_made_durable_and_twice_is_harmless(folder: BlobFolder, root: Path) -> None:
    folder.store([b"hello"])
    folder.close()
    folder.close()
    assert files_below(root) == []
    with pytest.raises(StoreUnavailable):
        folder.store([b"hello"])


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "2c/../x", HELLO.upper(), HELLO[:-1], HELLO + "\n"])
def test_what_is_no_hash_names_no_file(folder: BlobFolder, name: str) -> None:
    assert not folder.exists(name)
    with pytest.raises(NotFound):
        folder.open(name)
    folder.delete(name)


def test_deleting_removes_the_bytes_and_absent_ones_are_fine(folder: BlobFolder) -> None:
    folder.store([b"hello"])
    folder.make_durable()
    folder.delete(HELLO)
    folder.delete(HELLO)
    assert not folder.exists(HELLO)


def test_blobs_are_listed_with_their_sizes_and_strangers_are_not(folder: BlobFolder, root: Path) -> None:
    folder.store([b"hello"])
    folder.store([])
    folder.make_durable()
    (root / "2c" / "note.txt").write_text("not a blob")
    assert sorted(folder.list_blobs(), key=lambda blob: blob.size_bytes) == [StoredBlob(EMPTY, 0), StoredBlob(HELLO, 5)]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match=r"file/blobs cannot be used: Not a directory\.$"):
        BlobFolder(tmp_path / "file" / "blobs")


def test_the_hash_is_sha256(folder: BlobFolder) -> None:
    content = os.urandom(5000)
    assert folder.store([content[:100], content[100:]]).sha256 == hashlib.sha256(content).hexdigest()
