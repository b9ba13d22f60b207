"""Contents on their way: held once, given back as they are, never in memory, and never more than there is room for."""

import hashlib
import threading

import pytest

from mixsync_dagster.buckets.mixpeek import spool as spools
from mixsync_dagster.buckets.mixpeek.spool import Spool
from mixsync_dagster.errors import ItemRefused

MIB = 1024 * 1024


@pytest.fixture
def spool(tmp_path, monkeypatch):
    monkeypatch.setattr(spools, "LARGE_BYTES", 100)
    made = Spool(tmp_path / "uploads", most_bytes=200, most_file_bytes=5 * MIB)
    yield made
    made.close()


def read(content):
    opened = content.open()
    return opened if isinstance(opened, bytes) else opened.read()


def test_contents_come_back_with_their_hashes(spool):
    small, large = spool.take([b"hel", b"lo"]), spool.take([b"x" * 60, b"y" * 60])
    assert (read(small), read(large), read(large)) == (b"hello", b"x" * 60 + b"y" * 60, b"x" * 60 + b"y" * 60)
    assert small.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert large.md5 == hashlib.md5(b"x" * 60 + b"y" * 60).hexdigest()
    assert [content.stored.size_bytes for content in (small, large)] == [5, 120]


def test_the_same_bytes_are_held_once(spool):
    assert spool.take([b"hello"]) is spool.take([b"hel", b"lo"])
    assert spool.take([b"x" * 120]) is spool.take([b"x" * 120])


def test_files_have_no_names_so_that_a_process_that_ends_leaves_nothing(spool, tmp_path):
    spool.take([b"hello"])
    spool.take([b"x" * 120])
    assert list((tmp_path / "uploads").iterdir()) == []


def test_one_large_content_asks_to_be_put_and_a_third_one_waits_for_that(spool):
    assert not spool.full
    first, second = spool.take([b"a" * 120]), spool.take([b"b" * 120])
    assert spool.full
    done = threading.Event()
    thread = threading.Thread(target=lambda: (spool.take([b"c" * 120]), done.set()), daemon=True)
    thread.start()
    assert not done.wait(0.2)
    spool.release([first.sha256])
    assert done.wait(5)
    spool.release([second.sha256, hashlib.sha256(b"c" * 120).hexdigest()])
    assert not spool.full


def test_small_contents_fill_two_segments_and_the_next_one_waits_until_the_first_was_used(spool):
    first = [spool.take([b"%02d" % number * 15]) for number in range(3)]
    second = [spool.take([b"%02d" % number * 15]) for number in range(3, 6)]
    assert spool.full
    done = threading.Event()
    thread = threading.Thread(target=lambda: (spool.take([b"next" * 10]), done.set()), daemon=True)
    thread.start()
    assert not done.wait(0.2)
    spool.release([content.sha256 for content in first])
    assert done.wait(5)
    assert spool.find(first[0].sha256) is None
    assert read(spool.find(second[0].sha256)) == b"03" * 15


def test_a_used_content_that_is_stored_again_is_held_for_its_next_user(spool):
    content = spool.take([b"hello"])
    spool.release([content.sha256])
    assert spool.take([b"hello"]).used is False


def test_what_fails_on_the_way_leaves_nothing_and_gives_its_room_back(spool):
    def broken():
        yield b"x" * 120
        raise ConnectionResetError

    for _ in range(5):
        with pytest.raises(ConnectionResetError):
            spool.take(broken())
    with pytest.raises(ItemRefused, match="the limit is 5,242,880 bytes"):
        spool.take(iter([b"x" * MIB] * 6))
    assert not spool.full
    spool.take([b"a" * 120])
    spool.take([b"b" * 120])
