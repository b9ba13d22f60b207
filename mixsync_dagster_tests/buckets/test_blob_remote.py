from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mixsync_dagster.buckets.blob_remote import BlobRemote
from mixsync_dagster.errors import NotFound, StoreUnavailable
from mixsync_dagster.model.objects import StoredBlob
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.transport.clock import SystemClock

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.fixture(params=["memory", "file"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> BlobRemote:
    return BlobRemote("memory://" if request.param == "memory" else tmp_path.as_uri())


def test_bytes_stand_under_their_hash_at_once(tmp_path: Path) -> None:
    remote = BlobRemote(tmp_path.as_uri())
    assert remote.store([b"hel", b"lo"]) == StoredBlob(HELLO, 5)
    assert (tmp_path / "2c" / HELLO).read_bytes() == b"hello"
    assert remote.location(HELLO) == f"{tmp_path.as_uri()}/2c/{HELLO}"


@pytest.mark.parametrize("size_bytes", [0, 1, 8_388_607, 8_388_608, 8_388_609, 20_000_000])
def test_content_at_the_bounds_of_one_request_comes_back(remote: BlobRemote, size_bytes: int) -> None:
    content = os.urandom(1000) * (size_bytes // 1000 + 1)
    chunks = (content[start : min(start + 1_000_000, size_bytes)] for start in range(0, size_bytes, 1_000_000))
    blob = remote.store(chunks)
    assert blob.size_bytes == size_bytes
    assert b"".join(remote.open(blob.sha256)) == content[:size_bytes]
    assert remote.verify(blob.sha256)


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0, None, b"hello"), (2, None, b"llo"), (1, 3, b"ell"), (4, 9, b"o"), (5, None, b""), (9, 1, b""), (0, 0, b"")],
)
def test_a_part_of_a_blob_can_be_read(remote: BlobRemote, offset: int, length: int | None, expected: bytes) -> None:
    remote.store([b"hello"])
    assert b"".join(remote.open(HELLO, offset, length)) == expected


def test_a_large_blob_that_is_there_is_not_sent_again(tmp_path: Path) -> None:
    remote = BlobRemote(tmp_path.as_uri())
    chunks = [b"x" * 1_000_000] * 9
    blob = remote.store(chunks)
    path = tmp_path / blob.sha256[:2] / blob.sha256
    before = path.stat().st_ino
    remote.store(chunks)
    assert path.stat().st_ino == before


def test_an_error_of_the_chunks_passes_through_and_leaves_nothing(remote: BlobRemote) -> None:
    def broken() -> Iterator[bytes]:
        yield b"hel"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        remote.store(broken())
    assert list(remote.list_blobs()) == []


def test_bytes_that_changed_are_found(tmp_path: Path) -> None:
    remote = BlobRemote(tmp_path.as_uri())
    remote.store([b"hello"])
    (tmp_path / "2c" / HELLO).write_bytes(b"hellO")
    assert not remote.verify(HELLO)


def test_blobs_are_listed_with_their_sizes_and_strangers_are_not(tmp_path: Path) -> None:
    remote = BlobRemote(tmp_path.as_uri())
    remote.store([b"hello"])
    (tmp_path / "2c" / "note.txt").write_text("not a blob")
    assert list(remote.list_blobs()) == [StoredBlob(HELLO, 5)]


def test_deleting_removes_the_bytes_and_absent_ones_are_fine(remote: BlobRemote) -> None:
    remote.store([b"hello"])
    assert remote.exists(HELLO)
    remote.delete(HELLO)
    remote.delete(HELLO)
    remote.delete("no hash")
    assert not remote.exists(HELLO)


def test_absent_bytes_are_not_found(remote: BlobRemote) -> None:
    assert not remote.exists(HELLO)
    assert not remote.exists("../../etc/passwd")
    with pytest.raises(NotFound, match="does not exist"):
        b"".join(remote.open(HELLO))
    with pytest.raises(NotFound, match="has no blob"):
        remote.open("../../etc/passwd")


def test_there_is_nothing_to_make_durable_sweep_or_close(remote: BlobRemote) -> None:
    blob = remote.store([b"hello"])
    remote.make_durable([blob.sha256])
    assert remote.sweep_temporaries() == 0
    remote.close()
    remote.close()
    assert remote.exists(HELLO)


def test_a_store_that_cannot_be_written_is_told_without_its_words(tmp_path: Path) -> None:
    remote = BlobRemote(tmp_path.as_uri())
    (tmp_path / "2c").write_text("in the way")
    with pytest.raises(StoreUnavailable, match=r"^object store file:///.* cannot be written \(\w+\)\.$"):
        remote.store([b"hello"])


def test_bytes_are_removed_when_they_were_put_long_ago_only(remote: BlobRemote) -> None:
    remote.store([b"hello"])
    at = remote.counted_on_at(HELLO)
    assert at is not None
    assert remote.size_of(HELLO) == 5
    assert not remote.remove_unused(HELLO, before=at)
    assert remote.remove_unused(HELLO, before=at + timedelta(seconds=1))
    assert not remote.remove_unused(HELLO, before=at + timedelta(seconds=1))
    assert (remote.size_of(HELLO), remote.counted_on_at(HELLO)) == (None, None)
    assert remote.size_of("../x") is None


def test_a_large_blob_that_was_put_long_ago_is_put_again(tmp_path: Path) -> None:
    """Its time is what keeps it from a removal that begins now."""
    clock = SimulatedClock(SystemClock().now() + timedelta(hours=13))
    remote = BlobRemote(tmp_path.as_uri(), clock=clock)
    chunks = [b"x" * 1_000_000] * 9
    blob = remote.store(chunks)
    path = tmp_path / blob.sha256[:2] / blob.sha256
    before = path.stat().st_ino
    remote.store(chunks)
    assert path.stat().st_ino != before
